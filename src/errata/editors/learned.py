"""Editors that are trained: a network for one base model, kept in a folder, that makes an edit's new weights.

How the network looks is each editor's own business; it has `tensors(model, told)`, which gives the edited weights,
differentiable in the network's own while it is trained.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from errata.editors.weights import Editable, WeightEditor, check_base, editable
from errata.errors import ConfigError, ModelError
from errata.models import Model
from errata.models.weights import fingerprint
from errata.settings import apply

if TYPE_CHECKING:
    from torch import Tensor

NETWORK = "network.safetensors"
CONFIG = "config.json"
BASE = "base"
"""The key of the base model's fingerprint among the network's settings."""
OWN = "network"
"""The folder of the network in that of a saved editor."""


class Learned(WeightEditor):
    """An editor with a trained network.

    Args:
        model: the base model that the network was trained for.
        network: what `new` made, trained.
        settings: what it was made with.
        untold: see WeightEditor.
    """

    manners = True
    defaults: ClassVar[Any]
    """The settings' own defaults."""

    def __init__(self, model: Model, network: Any, settings: Any, *, untold: str = "") -> None:
        super().__init__(model, settings, untold=untold)
        self.network = network.eval()

    @staticmethod
    @abstractmethod
    def new(model: Editable, settings: Any) -> Any:
        """An untrained network for a model."""

    @classmethod
    def from_pretrained(cls, folder: str | Path, model: Model, *, untold: str = "") -> Self:
        """The network of a folder that training left, in front of the base model it was trained for.

        Raises:
            ModelError: the folder holds none, or it does not fit the model.
            ConfigError: its settings hold an unknown key.
            UnsupportedModel: the model does not show its weights.
        """
        path, base = Path(folder), editable(model)
        found, state = read_network(cls.name, path, base)
        settings = apply(found, cls.defaults, str(path / CONFIG))
        network = cls.new(base, settings)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ModelError(f"the network in {path} was trained for another base than {model.name}") from error
        return cls(model, network, settings, untold=untold)

    @classmethod
    def made(cls, told: Mapping[str, Any], folder: Path, model: Model) -> Self:
        """See WeightEditor: with the network that was saved along."""
        return cls.from_pretrained(folder / OWN, model, untold=told["untold"])

    def keep(self, folder: Path) -> dict[str, Any]:
        """See WeightEditor: the network too."""
        self.save_pretrained(folder / OWN)
        return super().keep(folder)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the network and its settings.

        Raises:
            ModelError: the folder cannot be written.
        """
        write_network(Path(folder), self.network.state_dict(), asdict(self.settings), self.base)

    def learn(self, model: Editable, told: Sequence[tuple[str, str]]) -> Mapping[str, Tensor]:
        """See WeightEditor: what the network makes of all edits together."""
        return {name: value.detach() for name, value in self.network.tensors(model, told).items()}


def write_network(folder: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any], base: Editable) -> None:
    """Write a network with its settings, and which base model it is for.

    Raises:
        ModelError: the folder cannot be written.
    """
    from safetensors.torch import save_file

    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in state.items()}, folder / NETWORK)
        told = {**settings, BASE: fingerprint(base.module)}
        (folder / CONFIG).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot save the network in {folder}: {error.strerror or error}") from error


def read_network(editor: str, folder: Path, base: Editable) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What `write_network` wrote: the settings and the tensors.

    Args:
        editor: the editor's name, for messages.
        folder: where they are.
        base: the base model at hand; a network that does not tell its own is taken on trust.

    Raises:
        ModelError: there is none, or it was trained for another base model.
    """
    from safetensors.torch import load_file

    try:
        found = dict(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        state = load_file(folder / NETWORK)
    except Exception as error:  # safetensors raises its own errors and OSError
        raise ModelError(f"{folder} holds no trained {editor} network: {error}") from error
    if known := found.pop(BASE, ""):
        check_base(base, known, f"the {editor} network in {folder} was trained")
    return found, state


def untrained(editor: str, problem: str) -> ConfigError:
    """What is to be said where an editor has no network: the command that trains one for a problem."""
    said = f"{editor} needs a trained network: `errata train editor {editor} {problem}`, then weights=FOLDER"
    return ConfigError(said, key="weights")


def trained(editor: type[Learned], model: Model, weights: str | Path, untold: str) -> Any:
    """An editor from the folder of its network, which must be named.

    Raises:
        ConfigError: it is not.
        ModelError, UnsupportedModel: see `Learned.from_pretrained`.
    """
    editable(model)  # no training would help
    if not str(weights):
        raise untrained(editor.name, "PROBLEM")
    return editor.from_pretrained(weights, model, untold=untold)
