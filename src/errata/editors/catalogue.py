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
    "slag": "errata.editors.slag:slag",
    "seprog": "errata.editors.seprog:seprog",
}
"""Where each is."""
KINDS: Mapping[str, str] = {
    "serac": "errata.editors.serac:Serac",
    "retrieve_prompt": "errata.editors.serac:Serac",
    "lookup": "errata.editors.serac:Serac",
    "ft": "errata.editors.finetune:FineTune",
    "mend": "errata.editors.mend:Mend",
    "enn": "errata.editors.enn:Enn",
    "slag": "errata.editors.slag:Slag",
    "seprog": "errata.editors.seprog:Seprog",
}
"""The class of what each makes; `errata.load` finds it by the name that was saved."""


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
    make: Callable[..., Any] = _named(EDITORS, name)
    return make


def kind_of(name: str) -> type[Any]:
    """The class of an editor: what tells whether it changes weights or must be trained, and how it is loaded.

    Args:
        name: a key of `KINDS`.

    Raises:
        ConfigError: there is no such editor.
    """
    kind: type[Any] = _named(KINDS, name)
    return kind


def _named(table: Mapping[str, str], name: str) -> Any:
    if name not in table:
        raise ConfigError(f"editor {name!r} is not known", key=str(name), accepted=tuple(table))
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
