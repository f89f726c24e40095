"""Save an editor to a folder and load it again: settings, trained parts and edits.

The base model is named, not copied; the shipped parts are named too, others are copied. Never runs a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from errata import zoo
from errata.edit import Terms
from errata.editors.serac import Serac, make_counterfactual
from errata.errors import ConfigError, ModelError
from errata.memory.sqlite import SqliteMemory
from errata.models import Model

SETTINGS = "errata.json"
EDITS = "edits.db"
KEYS = ("editor", "model", "scope", "counterfactual", "space", "threshold", "on_error")


def save(editor: Serac, folder: Path) -> Path:
    """Write an editor into a folder.

    Args:
        editor: any Serac.
        folder: made when missing; an editor saved there before is replaced.

    Raises:
        ModelError: the folder cannot be written.
    """
    settings: dict[str, Any] = {
        "editor": "serac",
        "model": editor.model.name,
        "space": editor.space,
        "threshold": editor._threshold,
        "on_error": editor.on_error,
        "scope": _part(editor.scope, folder / "scope"),
        "counterfactual": _part(editor.counterfactual, folder / "counterfactual"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{EDITS}*"):
            old.unlink()
        _save_edits(editor, folder / EDITS)
        (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot save the editor in {folder}: {error.strerror or error}") from error
    return folder


def _part(part: Any, folder: Path) -> dict[str, Any]:
    """How a trained part is named: shipped ones by name, others by the folder they are copied to."""
    kind = type(part).__name__
    named: dict[str, Any] = {"kind": kind}
    if options := getattr(part, "options", None):
        named["options"] = dict(options)
    pieces = (part, getattr(part, "dual", None), getattr(part, "cross", None))
    homes = [home for home in (getattr(piece, "folder", None) for piece in pieces) if home is not None]
    if homes and all(home.name in zoo.names() and zoo.path(home.name) == home for home in homes):
        return {**named, "from": "zoo", "part": homes[-1].name}
    if not hasattr(part, "save_pretrained"):
        raise ModelError(f"a {kind} cannot be saved: it has no save_pretrained")
    part.save_pretrained(folder)
    return {**named, "from": folder.name}


def _save_edits(editor: Serac, path: Path) -> None:
    with SqliteMemory(path) as copy:
        copy.bind(editor.scope.fingerprint, editor.scope.dimension)
        spaces: set[str] = set()
        for begin in range(0, len(revisions := editor.memory.list(live=True)), 512):
            part = revisions[begin : begin + 512]
            edits = [revision.edit for revision in part]
            terms: list[Terms] = [revision.terms for revision in part]
            copy.add(edits, editor.scope.encode_edits(edits), terms=terms)
            spaces.update(edit.space for edit in edits)
        for space in sorted(spaces | {editor.space}):
            own = editor.memory.threshold(space)
            if own is not None:
                copy.set_threshold(space, own)


def load(folder: str | Path, *, model: Model | str | None = None, runtime: str = "auto") -> Serac:
    """The editor that was saved in a folder.

    Args:
        folder: written by `Serac.save`.
        model: the base model; None loads the one it was saved with, by name.
        runtime: what runs the networks.

    Raises:
        ModelError: the folder holds no editor, or a part cannot be loaded.
        ConfigError: its settings hold an unknown key.
    """
    from errata.models.load import load_model

    path = Path(folder) / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no saved editor: cannot read {SETTINGS} ({error})") from error
    if not isinstance(settings, dict):
        raise ModelError(f"{folder} holds no saved editor: {SETTINGS} is not an object")
    for key in settings:
        if key not in KEYS:
            raise ConfigError(f"unknown key {key!r}", where=str(path), key=key, accepted=KEYS)
    for key in KEYS:
        if key not in settings:
            raise ConfigError(f"the key {key!r} is missing", where=str(path), key=key)
    chosen = settings["model"] if model is None else model
    return Serac(
        load_model(chosen) if isinstance(chosen, str) else chosen,
        scope=_load_scope(settings["scope"], Path(folder), runtime),
        counterfactual=_load_counterfactual(settings["counterfactual"], Path(folder), runtime),
        memory=SqliteMemory(Path(folder) / EDITS),
        space=settings["space"],
        threshold=settings["threshold"],
        on_error=settings["on_error"],
    )


def _load_scope(named: Mapping[str, Any], folder: Path, runtime: str) -> Any:
    from errata.scope.cascade import CascadeScope
    from errata.scope.cross import CrossScope
    from errata.scope.dual import DualScope

    kinds: dict[str, Any] = {"CascadeScope": CascadeScope, "DualScope": DualScope, "CrossScope": CrossScope}
    if named["kind"] not in kinds:
        raise ConfigError(f"unknown scope {named['kind']!r}", where=SETTINGS, key=named["kind"], accepted=tuple(kinds))
    make, options = kinds[named["kind"]].from_pretrained, {**named.get("options", {}), "runtime": runtime}
    if named["from"] != "zoo":
        return make(folder / named["from"], **options)
    if named["kind"] == "CascadeScope":
        return make(pair=named.get("part", "pair"), **options)
    return make(*_shipped(named), **options)


def _load_counterfactual(named: Mapping[str, Any], folder: Path, runtime: str) -> Any:
    from errata.counterfactual.reader import Reader
    from errata.counterfactual.verifier import Verifier

    kinds: dict[str, Any] = {"Reader": Reader, "Verifier": Verifier}
    if named["kind"] == "Retell":
        from errata.counterfactual.retell import Retell

        return Retell.from_pretrained(folder / named["from"])
    if named["kind"] in kinds:
        places = _shipped(named) if named["from"] == "zoo" else [folder / named["from"]]
        return kinds[named["kind"]].from_pretrained(*places, runtime=runtime)
    return make_counterfactual(str(folder / named["from"]))


def _shipped(named: Mapping[str, Any]) -> list[str]:
    """The shipped part that is named, if one is; else its kind's own will do."""
    return [named["part"]] if "part" in named else []
