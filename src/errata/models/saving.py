"""Where trained parts are read from and written to: a shipped part's name, a folder, or the Hugging Face hub."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from errata import zoo
from errata.errors import ModelError


@dataclass(frozen=True, slots=True)
class Source:
    """What `load_model` is asked for to give a model again; a model that was loaded has one as its `source`.

    Args:
        name: as `load_model` takes it.
        options: what else it is told, each as JSON has it.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, place: str | Path, **options: Any) -> Self:
        """A source without what was left open; a folder by its whole path.

        Args:
            place: a folder, or any other name.
            options: None and "" are left out; a torch dtype is told by its name.
        """
        folder = Path(place).expanduser()
        told = {key: value for key, value in options.items() if value is not None and value != ""}
        if "dtype" in told:
            told["dtype"] = str(told["dtype"]).removeprefix("torch.")
        return cls(str(folder.resolve()) if folder.is_dir() else str(place), told)


def resolve(name: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a trained part.

    Args:
        name: a folder, the name of a shipped part, or a hub id ("owner/name").
        revision: branch, tag or commit on the hub.

    Raises:
        ModelError: there is no such part.
    """
    if Path(name).is_dir():
        return Path(name)
    if str(name) in zoo.names() or str(name) in zoo.TRAINED_BY:
        return zoo.path(str(name))
    if str(name).count("/") != 1:
        raise ModelError(
            f"no trained part {str(name)!r}: not a folder, not one of {', '.join(zoo.names())}, not a hub id"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(name), revision=revision))
    except Exception as error:  # the hub client raises a score of kinds
        raise ModelError(
            f"the hub did not give {str(name)!r} ({type(error).__name__}); give the path of a folder"
        ) from error


class Saved:
    """What the trained parts share: a folder that can be copied or pushed."""

    folder: Path

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the part (weights, config, card) into a folder."""
        if Path(folder).resolve() != self.folder.resolve():
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    def push_to_hub(self, name: str, **options: Any) -> str:
        """Upload the part to the hub as `name`; returns its URL (ModelError when the hub refuses)."""
        from huggingface_hub import HfApi

        try:
            api = HfApi()
            api.create_repo(name, exist_ok=True, **options)
            return str(api.upload_folder(repo_id=name, folder_path=str(self.folder)))
        except Exception as error:  # the hub client raises a score of kinds
            raise ModelError(f"could not push to {name!r}: {error}") from error
