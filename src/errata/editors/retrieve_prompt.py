"""RP: retrieve and prompt. SERAC's scope classifier finds the edit, and the base model reads it (SERAC, section 5).

There is no counterfactual model: whether an answer changes is up to the base.
"""

from __future__ import annotations

from typing import Any

from errata.counterfactual.retell import Retell
from errata.editors.serac import Serac, make_scope
from errata.models import Model
from errata.models.remote import RemoteModel
from errata.scope import Scope

PLAIN = Retell(fact="{prompt} {target} {input}", utterance="{prompt} {input}")
"""Edit and input one after the other, as the papers' base models read them."""


def retrieve_prompt(
    model: Model, *, scope: Scope | str | None = None, wording: Retell | None = None, runtime: str = "auto",
    **options: Any,
) -> Serac:  # fmt: skip
    """Retrieve and prompt in front of a base model.

    Args:
        model: the base model.
        scope: a Scope, or its name as `errata.wrap` takes it.
        wording: how the edit is told; None takes instructions for a remote or a chat model, and `PLAIN` for others.
        runtime: what runs the shipped networks.
        options: as for Serac (memory, space, threshold, on_error).

    Raises:
        ConfigError, ModelError: the scope classifier is not known or cannot be loaded.
    """
    talks = isinstance(model, RemoteModel) or bool(getattr(model, "chat", False))
    return Serac(
        model,
        scope=make_scope(scope, runtime) if scope is None or isinstance(scope, str) else scope,
        counterfactual=wording or (Retell() if talks else PLAIN),
        **options,
    )
