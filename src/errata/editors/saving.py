"""Save an editor of any kind to a folder and load it again.

Each kind tells its own part (`keep`, `restored`); here is what all share: the settings file, the base model, which is
named and not copied, and that a folder is there whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from errata.editors.catalogue import KINDS, kind_of
from errata.editors.seprog import Seprog
from errata.editors.serac import Serac
from errata.editors.weights import WeightEditor
from errata.errors import ConfigError, ErrataError, ModelError
from errata.models import Model

SETTINGS = "errata.json"
KEYS = ("editor", "model")
"""What the settings file tells of any editor; the rest is its kind's own."""
FILES = (SETTINGS, "edits.db*", "scope", "counterfactual", "changed.safetensors", "edits.safetensors", "network")
"""What a saved editor's folder may hold; nothing else is ever replaced."""


def save(editor: Serac | WeightEditor | Seprog, folder: Path) -> Path:
    """Write an editor into a folder.

    Args:
        editor: of any kind.
        folder: made when missing; an editor saved there before is replaced, once all of this one is written.

    Raises:
        ModelError: the folder cannot be written, holds something else, or keeps this very editor's edits.
    """
    _check_free(editor, folder)
    try:
        with _replacing(folder) as fresh:
            told = {"editor": editor.name, "model": _named(editor), **editor.keep(fresh)}
            (fresh / SETTINGS).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot save the editor in {folder}: {error.strerror or error}") from error
    return folder


def _check_free(editor: Serac | WeightEditor | Seprog, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"cannot save the editor in {folder}: it is no folder")
    for entry in folder.iterdir() if folder.is_dir() else ():
        if not any(fnmatch(entry.name, own) for own in FILES):
            raise ModelError(f"{folder} holds something else too ({entry.name}); an editor has a folder of its own")
    memory: Any = editor.memory if isinstance(editor, Serac) else None
    while memory is not None:
        where = str(getattr(memory, "path", ""))
        if where and Path(where).resolve().parent == folder.resolve():
            raise ModelError(f"the edits of this editor are kept in {folder} itself; save it into another folder")
        memory = getattr(memory, "parent", None)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside this one, which takes its place when all is written and goes when something fails."""
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    fresh, old = (place.with_name(f".{place.name}.{mark}.{what}") for what in ("new", "old"))
    fresh.mkdir()
    try:
        yield fresh
        if place.exists():
            place.rename(old)
        try:
            fresh.rename(place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _named(editor: Serac | WeightEditor | Seprog) -> dict[str, Any]:
    """The base model: how it is called, and what loads it, None where nothing does."""
    model = editor.model if isinstance(editor, Serac) else editor.given
    source = getattr(model, "source", None)
    try:
        told = json.loads(json.dumps(dict(source.options))) if source else {}
    except TypeError as error:
        raise ModelError(f"{model.name} was made with an option that cannot be written down: {error}") from error
    return {"name": model.name, "load": source.name if source else None, "options": told}


def load(folder: str | Path, *, model: Model | str | None = None, runtime: str = "auto") -> Any:
    """The editor that was saved in a folder, of the kind that it was, with its edits in force.

    Args:
        folder: written by `save` of any editor.
        model: the base model; None loads the one it was saved with, by name.
        runtime: what runs the networks.

    Returns:
        A `Serac` (also of `retrieve_prompt` and `lookup`), whose memory is the folder's file from now on, or the
        editor that changes weights.

    Raises:
        ModelError: the folder holds no editor or a damaged one, a part cannot be loaded, or the base model is another
            one, or must be given because it was not loaded by name.
        StoreError: the edits cannot be read.
        ConfigError: its settings hold an unknown key.

    Example:
        >>> editor = load("my-editor")  # doctest: +SKIP
    """
    folder = Path(folder)
    told = _read(folder)
    where = str(folder / SETTINGS)
    if "editor" in told and str(told["editor"]) not in KINDS:
        raise ConfigError(
            f"unknown editor {told['editor']!r}", where=where, key=str(told["editor"]), accepted=tuple(KINDS)
        )
    kind = kind_of(told.get("editor", "serac"))
    keys = (*KEYS, *kind.kept)
    for key in told:
        if key not in keys:
            raise ConfigError(f"unknown key {key!r}", where=where, key=key, accepted=keys)
    for key in keys:
        if key not in told:
            raise ConfigError(f"the key {key!r} is missing", where=where, key=key)
    try:
        return kind.restored(told, folder, _base(told["model"], model, folder), runtime)
    except ErrataError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # values of other types than were written
        raise ModelError(f"{folder} holds a damaged editor: {type(error).__name__}: {error}") from error


def _read(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no saved editor: cannot read {SETTINGS} ({error})") from error
    if not isinstance(told, dict):
        raise ModelError(f"{folder} holds no saved editor: {SETTINGS} is not an object")
    return told


def _base(named: Mapping[str, Any], given: Model | str | None, folder: Path) -> Model:
    """The base model that is given, or else the one that is named."""
    from errata.models.load import load_model

    if given is not None:
        return load_model(given) if isinstance(given, str) else given
    if not named["load"]:
        raise ModelError(
            f"the editor in {folder} was saved in front of {named['name']}, which was not loaded by a name;"
            f" give the model: errata.load({str(folder)!r}, model=...)"
        )
    return load_model(named["load"], **named["options"])
