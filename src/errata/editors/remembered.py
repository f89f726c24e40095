"""What a memory editor keeps in its folder when it is saved: scope classifier, counterfactual model, and edits.

Shipped parts are named, others are copied; a part that is no more than its settings is told by these. Never runs a
model, but to encode the edits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errata import zoo
from errata.counterfactual.verbatim import Verbatim
from errata.edit import Terms
from errata.errors import ConfigError, ModelError
from errata.memory.sqlite import SqliteMemory
from errata.models import Model
from errata.scope.hidden import HiddenScope

if TYPE_CHECKING:
    from errata.editors.serac import Serac

EDITS = "edits.db"
KEPT = ("scope", "counterfactual", "space", "threshold", "on_error")
"""Keys of what `keep` returns."""


def keep(editor: Serac, folder: Path) -> dict[str, Any]:
    """Write an editor's parts and edits.

    Args:
        editor: any Serac, so `retrieve_prompt` and `lookup` too.
        folder: new.

    Returns:
        What else there is to tell, as JSON has it.

    Raises:
        ModelError: a part cannot be saved.
    """
    base: object = editor.model
    if isinstance(editor.scope, HiddenScope) and editor.scope.model is not base:
        raise ModelError("look-up compares another model's hidden states than its base model's; it cannot be saved")
    told = {
        "scope": _part(editor.scope, folder / "scope"),
        "counterfactual": _part(editor.counterfactual, folder / "counterfactual"),
        "space": editor.space,
        "threshold": editor._threshold,
        "on_error": editor.on_error,
    }
    _save_edits(editor, folder / EDITS)
    return told


def _part(part: Any, folder: Path) -> dict[str, Any]:
    """How a part is told: its settings, its name where it is a shipped one, or else the folder it is copied to."""
    kind = type(part).__name__
    if isinstance(part, HiddenScope):
        return {"kind": kind, "radius": part.radius}
    if isinstance(part, Verbatim):
        return {"kind": kind, "untold": part.untold}
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


def parts(told: Mapping[str, Any], folder: Path, model: Model, runtime: str) -> dict[str, Any]:
    """What `Serac` is made of, beside its model.

    Args:
        told: what `keep` returned.
        folder: with the files that it wrote.
        model: the base model.
        runtime: what runs the networks.

    Raises:
        ModelError, StoreError: a part or the edits cannot be loaded.
        ConfigError: a part is of no known kind.
    """
    if not (folder / EDITS).is_file():
        raise ModelError(f"{folder} holds no saved editor: {EDITS} is missing")
    return {
        "scope": _load_scope(told["scope"], folder, model, runtime),
        "counterfactual": _load_counterfactual(told["counterfactual"], folder, runtime),
        "memory": SqliteMemory(folder / EDITS),
        "space": told["space"],
        "threshold": told["threshold"],
        "on_error": told["on_error"],
    }


def _load_scope(named: Mapping[str, Any], folder: Path, model: Model, runtime: str) -> Any:
    from errata.scope.cascade import CascadeScope
    from errata.scope.cross import CrossScope
    from errata.scope.dual import DualScope

    def looked_up() -> HiddenScope:
        return HiddenScope(model, named["radius"])  # type: ignore[arg-type]

    def cascade() -> CascadeScope:
        own = {**named.get("options", {}), "runtime": runtime}
        if named["from"] == "zoo":
            return CascadeScope.from_pretrained(pair=named["part"], **own)
        return CascadeScope.from_pretrained(folder / named["from"], **own)

    return _kind(named, {
        "HiddenScope": looked_up,
        "CascadeScope": cascade,
        "DualScope": lambda: DualScope.from_pretrained(_place(named, folder), runtime=runtime),
        "CrossScope": lambda: CrossScope.from_pretrained(_place(named, folder), runtime=runtime),
    })  # fmt: skip


def _load_counterfactual(named: Mapping[str, Any], folder: Path, runtime: str) -> Any:
    from errata.counterfactual.reader import Reader
    from errata.counterfactual.retell import Retell
    from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
    from errata.counterfactual.verifier import Verifier

    return _kind(named, {
        "Verbatim": lambda: Verbatim(named["untold"]),
        "Retell": lambda: Retell.from_pretrained(_place(named, folder)),
        "Reader": lambda: Reader.from_pretrained(_place(named, folder), runtime=runtime),
        "Verifier": lambda: Verifier.from_pretrained(_place(named, folder), runtime=runtime),
        "Seq2SeqCounterfactual":
            lambda: Seq2SeqCounterfactual.from_pretrained(_place(named, folder), **named.get("options", {})),
    })  # fmt: skip


def _kind(named: Mapping[str, Any], kinds: Mapping[str, Callable[[], Any]]) -> Any:
    """The part that is named, made as its kind is."""
    if named["kind"] not in kinds:
        raise ConfigError(f"unknown part {named['kind']!r}", where="errata.json", key=named["kind"], accepted=kinds)
    return kinds[named["kind"]]()


def _place(named: Mapping[str, Any], folder: Path) -> str | Path:
    """A shipped part's name, or the folder that a part was copied to."""
    return str(named["part"]) if named["from"] == "zoo" else folder / named["from"]
