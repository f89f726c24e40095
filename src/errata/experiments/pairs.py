"""Which editor can be measured on which problem: what would fail is refused before a model is loaded or trained for.

A pair that is refused says why, by the error that the editor itself would raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from errata.editors.catalogue import kind_of
from errata.editors.learned import Learned, untrained
from errata.editors.weights import WeightEditor, editable
from errata.errors import UnsupportedEdit, UnsupportedModel
from errata.experiments.likelihood import by_likelihood
from errata.models import Model
from errata.models.prompted import prompted
from errata.problems.cases import Problem
from errata.training.diets import DIETS

LABELLED = ("ft", "lookup", "seprog")
"""Editors that need an answer to learn or to keep; the papers do not measure them where there is none."""
URL = re.compile(r"https?://", re.IGNORECASE)


def check_pair(editor: str, problem: Problem, base: Model | str, settings: Mapping[str, Any]) -> None:
    """Refuse an editor that is of no use on a problem, on a base model, or untrained.

    Args:
        editor: its name.
        problem: what it is to be measured on.
        base: the base model, or its name; a name is not loaded here.
        settings: the editor's own.

    Raises:
        ConfigError: no such editor, or it must be trained first; names the command.
        UnsupportedEdit: the problem's edits say no answer, and the editor needs one.
        UnsupportedModel: the base model shows no weights or hidden states, and the editor needs them.
    """
    kind = kind_of(editor)
    if editor in LABELLED and by_likelihood(problem):
        raise UnsupportedEdit(
            f"{editor} does not apply to {problem.name}: its edits say in what manner to speak of a topic, and give no"
            " answer to learn or to keep (SERAC, section 5.1, leaves them out); take serac, retrieve_prompt, mend, enn"
            " or slag"
        )
    weights = issubclass(kind, WeightEditor)
    if (weights or editor in ("lookup", "seprog")) and isinstance(base, str) and URL.match(base):
        seen = "weights, and this editor changes weights" if weights else "hidden states, which this editor reads"
        raise UnsupportedModel(f"{base} is a remote model and does not show its {seen}; take a local model")
    if not isinstance(base, str):
        if weights:
            editable(base)
        elif editor == "seprog":
            prompted(base)
    if (issubclass(kind, Learned) or editor == "seprog") and not str(settings.get("weights", "")):
        raise untrained(editor, problem.name if problem.name in DIETS else next(iter(DIETS)))
