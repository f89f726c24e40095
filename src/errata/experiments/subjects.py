"""The editor that an evaluation is about, made from its name and the names of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from errata.counterfactual import Counterfactual
from errata.editors.catalogue import get_editor
from errata.editors.serac import Serac, wrap
from errata.errors import ConfigError
from errata.experiments.presets import parts_of
from errata.experiments.reweighted import Reasked
from errata.models import Model
from errata.models.load import load_model
from errata.scope import Scope
from errata.training.diets import UNTOLD


def make_subject(
    editor: str,
    problem: str,
    base: Model | str,
    *,
    scope: Scope | str,
    counterfactual: Counterfactual | str | None,
    runtime: str,
    settings: Mapping[str, Any],
) -> Serac | Reasked:
    """An editor without edits in front of a base model.

    Args:
        editor: its name (`errata.get_editor`).
        problem: the problem's name, which decides what an edit without a target teaches.
        base: the base model, or its name.
        scope: the scope classifier, of editors that take one.
        counterfactual: what answers in scope, of serac; None is what the problem takes.
        runtime: what runs the shipped networks.
        settings: the editor's own.

    Raises:
        ConfigError: an editor, a part or a setting is not known.
        ModelError, UnsupportedModel: a part cannot be loaded, or is of no use to the editor.
    """
    make = get_editor(editor)
    own: dict[str, Any] = dict(settings)
    if editor == "serac":
        answers = counterfactual or parts_of(problem).counterfactual
        return wrap(base, scope=scope, counterfactual=answers, runtime=runtime, **own)
    if counterfactual is not None:
        raise ConfigError(f"{editor} has no counterfactual model; only serac takes one", key="counterfactual")
    if editor == "retrieve_prompt":
        own |= {"scope": scope, "runtime": runtime}
    elif problem in UNTOLD:
        own |= {"untold": UNTOLD[problem]}
    found: Serac | Reasked = make(load_model(base) if isinstance(base, str) else base, **own)
    return found
