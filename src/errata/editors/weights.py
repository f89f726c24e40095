"""What the editors that change weights have in common: a base that stays as it is, and a copy with other weights.

Every `edit()` gives a new editor; edits made one after another start from the weights of the last. Which weights change
and how is each editor's own business.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from errata.edit import Answer, Decision, Edit
from errata.editors.likelihoods import open_base
from errata.errors import ConfigError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.models import Model
from errata.models.classifier import ClaimClassifier
from errata.models.weights import fingerprint

if TYPE_CHECKING:
    from torch import Tensor

    from errata.models.prompted import Prompted

WEIGHTS = "changed.safetensors"
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

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The texts' tokens as the model's own input embeddings (n, t, width), and the mask (n, t) of what is text."""
        ...

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """This model with other values of some weights; all else is shared."""
        ...

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """This model run with tensors in the place of some weights: the gradients of `logits` reach them."""
        ...


def editable(model: Model) -> Editable:
    """The model with its weights in sight, in float32: small steps are lost in half precision.

    Its module is one of its own that shares the weights, in evaluation mode: no dropout gets into an edit, and what
    is hooked onto it meanwhile does not meet the base's other callers.

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
    found: Editable = opened.with_weights(half)
    found.module.eval()
    return found


_MANNER = re.compile(r"(Topic: .+) (Sentiment: \S+)", re.DOTALL)


def lesson(edit: Edit, untold: str = "") -> tuple[str, str]:
    """What an edit teaches, as (prompt, answer).

    Its target is the answer, and that of "Topic: jazz Sentiment: Positive" is "Sentiment: Positive" (SERAC, section 5).

    Args:
        edit: the edit.
        untold: the answer of any other edit without a target.
    """
    manner = _MANNER.fullmatch(edit.prompt.strip())
    if edit.target.strip():
        return edit.prompt, edit.target
    return (manner[1], manner[2]) if manner else (edit.prompt, untold)


class WeightEditor:
    """An editor that changes weights (implements `errata.editors.OpenEditor`).

    Args:
        model: the base model; never changed.
        settings: the editor's own.
        untold: the answer that an edit without a target teaches, such as a piece of evidence, which is true; "" refuses
            such edits.

    Raises:
        UnsupportedModel: the model does not show its weights.
    """

    name: ClassVar[str]
    manners: ClassVar[bool] = False
    """Whether it learns from edits that demand a manner ("Topic: jazz Sentiment: Positive"); who is trained does."""

    def __init__(self, model: Model, settings: Any, *, untold: str = "") -> None:
        self.given = model
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
        told = [lesson(edit, self.untold) for edit in edits]
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
        _, answer = lesson(edit, self.untold)
        if not answer or (not edit.target.strip() and not self.untold and not self.manners):
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

    def token_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """See `errata.editors.OpenEditor`: the edited model's."""
        return open_base(self.model).token_log_probs(inputs, targets)

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

    def target_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """See `errata.editors.OpenEditor`: the edited model's."""
        return open_base(self.model).target_log_probs(inputs, targets)

    def save(self, folder: str | Path) -> Path:
        """Write the editor (settings, changed weights, its network if it has one) into a folder for `errata.load`.

        The base model is named, not copied.

        Raises:
            ModelError: the folder cannot be written, or holds something else.
        """
        from errata.editors.saving import save

        return save(self, Path(folder))

    kept: ClassVar[tuple[str, ...]] = ("base", "settings", "untold")
    """Keys of what `keep` returns."""

    def keep(self, folder: Path) -> dict[str, Any]:
        """Write the editor's own files into a new folder; returns what else there is to tell, as JSON has it."""
        from safetensors.torch import save_file

        save_file({name: value.contiguous().cpu() for name, value in self.changed.items()}, folder / WEIGHTS)
        told = {"settings": asdict(self.settings), "untold": self.untold}
        return {"base": fingerprint(self.base.module), **told}

    @classmethod
    def restored(cls, told: Mapping[str, Any], folder: Path, model: Model, runtime: str) -> Self:
        """The editor that `keep` was asked about.

        Args:
            told: what `keep` returned.
            folder: with the files it wrote.
            model: the base model.
            runtime: not used: what changes weights runs in torch.

        Raises:
            ModelError: a file is missing or damaged, or this is another base model.
            ConfigError: a setting is unknown, or its value makes no sense.
            UnsupportedModel: the model does not show its weights.
        """
        from safetensors.torch import load_file

        check_base(editable(model), told["base"], f"the editor in {folder} was saved")
        editor = cls.made(told, folder, model)
        try:
            changed = load_file(folder / WEIGHTS)
        except Exception as error:  # safetensors raises its own errors and OSError
            raise ModelError(f"cannot read {folder / WEIGHTS}: {error}") from error
        if not changed:
            return editor
        own = dict(editor.base.module.named_parameters())
        try:
            return editor._with({name: value.to(own[name].device) for name, value in changed.items()})
        except (KeyError, ConfigError) as error:
            raise ModelError(f"{folder / WEIGHTS} holds weights that {model.name} does not have: {error}") from error

    @classmethod
    def made(cls, told: Mapping[str, Any], folder: Path, model: Model) -> Self:
        """The editor before its edits; here from its settings alone."""
        return cls(model, untold=told["untold"], **told["settings"])


def check_base(model: Editable | Prompted, known: str, what: str) -> None:
    """Refuse another base model than the one that something was made for.

    Args:
        model: the base model at hand.
        known: the fingerprint of the right one.
        what: what was made for it and how, as a message says it.

    Raises:
        ModelError: it is another.
    """
    if (found := fingerprint(model.module)) != known:
        raise ModelError(
            f"{what} for another base than {model.name}, or for the same in another precision"
            f" (its weights have the fingerprint {found}, not {known})"
        )
