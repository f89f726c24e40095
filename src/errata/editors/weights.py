"""What the editors that change weights have in common: a base that stays as it is, and a copy with other weights.

Every `edit()` gives a new editor; edits made one after another start from the weights of the last. Which weights change
and how is each editor's own business.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from errata.edit import Answer, Decision, Edit
from errata.errors import ModelError, UnsupportedEdit, UnsupportedModel
from errata.models import Model
from errata.models.classifier import ClaimClassifier

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "changed.safetensors"
SETTINGS = "errata.json"
EVERYWHERE = "the edited weights answer every input; there is no memory and no scope"
"""The reason that a decision of such an editor gives."""


class Editable(Model, Protocol):
    """A base model whose weights can be changed: what a weight editor asks for."""

    @property
    def module(self) -> Any:
        """The torch module."""
        ...

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """Differentiable (logits (tokens, vocabulary), token ids (tokens,)) for each pair."""
        ...

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """This model with other values of some weights; all else is shared."""
        ...

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """This model run with tensors in the place of some weights: the gradients of `logits` reach them."""
        ...


def editable(model: Model) -> Editable:
    """The model with its weights in sight, in float32: small steps are lost in half precision.

    Raises:
        UnsupportedModel: it has none here (a remote model).
    """
    opened: Any = model.opened() if isinstance(model, ClaimClassifier) else model
    if not all(hasattr(opened, name) for name in ("module", "logits", "with_weights")):
        raise UnsupportedModel(
            f"{model.name} does not show its weights, and this editor changes weights; take a local model,"
            " or an editor that needs none (serac, retrieve_prompt)"
        )
    half = {name: value.float() for name, value in opened.module.named_parameters() if value.element_size() < 4}
    found: Editable = opened.with_weights(half) if half else opened
    return found


class WeightEditor:
    """An editor that changes weights (implements `errata.editors.Editor`).

    Args:
        model: the base model; never changed.
        settings: the editor's own.
        untold: the answer that an edit without a target teaches, such as a piece of evidence, which is true; "" refuses
            such edits.

    Raises:
        UnsupportedModel: the model does not show its weights.
    """

    name: ClassVar[str]

    def __init__(self, model: Model, settings: Any, *, untold: str = "") -> None:
        self.model: Editable = editable(model)
        self.base, self.settings, self.untold = self.model, settings, untold
        self.changed: Mapping[str, Tensor] = {}

    @abstractmethod
    def learn(self, model: Editable, told: Sequence[tuple[str, str]]) -> Mapping[str, Tensor]:
        """New values of the weights that change.

        Args:
            model: as it answers now, after the edits before.
            told: (prompt, answer) of every edit.
        """

    def edit(self, *edits: Edit) -> Self:
        """A new editor with these edits made at once, on top of those made before; this one stays as it is.

        Raises:
            UnsupportedEdit: an edit says no answer.
            ModelError: the model failed, or the weights are no numbers any more.
        """
        for edit in edits:
            self.check(edit)
        told = [(edit.prompt, edit.target if edit.target.strip() else self.untold) for edit in edits]
        if not told:
            return self._with({})
        changed = self.learn(self.model, told)
        if odd := [name for name, value in changed.items() if not bool(value.isfinite().all())]:
            raise ModelError(f"{self.name} made weights that are no numbers ({odd[0]}); lower its step size")
        return self._with(changed)

    def check(self, edit: Edit) -> None:
        """Refuse an edit that says no answer.

        Raises:
            UnsupportedEdit: it has no target, and there is no `untold`.
        """
        if not edit.target.strip() and not self.untold:
            raise UnsupportedEdit(f"edit {edit.id} has no target, and {self.name} has nothing else to teach; add one")

    def _with(self, changed: Mapping[str, Tensor]) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.model = self.model.with_weights(changed)
        other.changed = {**self.changed, **changed}
        return other

    def generate(self, inputs: Sequence[str], **options: Any) -> list[Answer]:
        """The edited model's answers, in order."""
        decision = Decision(None, 0.0, (), EVERYWHERE)
        return [Answer(text, decision) for text in self.model.generate(inputs, **options)]

    def target_matches(self, inputs: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Teacher-forced, whether the likeliest token is the target's: an array of shape (target tokens,) a pair.

        Raises:
            EditError, ModelError: as the model's own.
            UnsupportedModel: the model writes no answers token by token.
        """
        model: Any = self.model
        if not hasattr(model, "target_matches"):
            raise UnsupportedModel(f"{model.name} tells no token likelihoods; take a model that writes its answers")
        found: list[NDArray[np.bool_]] = model.target_matches(inputs, targets)
        return found

    def save(self, folder: str | Path) -> Path:
        """Write settings and changed weights into a folder; the base is named, not copied.

        `editable(model).with_weights(load_file(folder / WEIGHTS))` is the edited model again; `errata.load` reads the
        editors with a memory only.

        Raises:
            ModelError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        path = Path(folder)
        settings = {"editor": self.name, "model": self.base.name, "untold": self.untold}
        try:
            path.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in self.changed.items()}, path / WEIGHTS)
            told = json.dumps({**settings, "settings": asdict(self.settings)}, indent=2)
            (path / SETTINGS).write_text(f"{told}\n", encoding="utf-8")
        except OSError as error:
            raise ModelError(f"cannot save the editor in {path}: {error.strerror or error}") from error
        return path
