"""The editors by name, each made by a call with the base model and the editor's own settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from errata.errors import ConfigError

EDITORS: Mapping[str, str] = {
    "serac": "errata.editors.serac:Serac",
    "retrieve_prompt": "errata.editors.retrieve_prompt:retrieve_prompt",
    "lookup": "errata.editors.lookup:lookup",
    "ft": "errata.editors.finetune:FineTune",
    "mend": "errata.editors.mend:mend",
    "enn": "errata.editors.enn:enn",
    "seprog": "errata.editors.seprog:seprog",
}
"""Where each is."""


def get_editor(name: str) -> Callable[..., Any]:
    """What makes an editor: call it with a base model and the editor's own settings, and `edit` what comes back.

    Args:
        name: a key of `EDITORS`.

    Raises:
        ConfigError: there is no such editor.

    Example:
        >>> editor = get_editor("ft")(load_model("mini"))  # doctest: +SKIP
        >>> edited = editor.edit(Edit(prompt="Who wrote Emma?", target="Ann Lee"))  # doctest: +SKIP
    """
    if name not in EDITORS:
        raise ConfigError(f"editor {name!r} is not known", key=str(name), accepted=tuple(EDITORS))
    module, _, attribute = EDITORS[name].partition(":")
    make: Callable[..., Any] = getattr(import_module(module), attribute)
    return make
