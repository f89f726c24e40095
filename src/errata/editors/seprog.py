"""SeProG: semi-parametric prompt generation. The frozen base answers under a prefix that a small network writes.

Edits are kept as vectors. For each input a network selects among them and tells whether the input is in the scope of
any; if so it writes a prefix of embeddings, and the base answers with it in place; if not, the base answers by itself
(SeProG, section 3). Where the prefix enters a base model, `errata.models.prompted` tells.

The paper's ablations are settings. "no_select" has the classifier, and takes the prefix whatever it says;
"no_classifier" is trained without one, and always takes the prefix; "finetune" takes the prefixes as SeProG does, and
besides fine-tunes the base on the edits with their prefixes in place when they are made (Adam, the feed-forward weights
of the last two blocks, as `ft`), so that inputs out of scope meet other weights too.

What the paper has not: with `steps`, an edit's own prefix is taught its answer when the edit is made
(`errata.editors.prefixes`), and what that added to it is kept beside the edit's vector, and selected with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from errata.edit import Answer, Decision, Edit, Match
from errata.editors.finetune import FineTuneSettings, fine_tune
from errata.editors.learned import CONFIG, OWN, read_network, untrained, write_network
from errata.editors.prefixes import offset
from errata.editors.weights import check_base, editable
from errata.errors import ConfigError, ModelError, UnsupportedEdit
from errata.models import Model, check_prompts
from errata.models.prompted import Prompted, prompted
from errata.models.prompter import SeprogSettings, new_prompter
from errata.models.weights import fingerprint, place
from errata.settings import apply

if TYPE_CHECKING:
    from torch import Tensor

VECTORS = "edits.safetensors"
"""Where a saved editor has the vectors of its edits, and what was added to their prefixes."""
THRESHOLD = 0.5
"""A prefix is written where e(x) is above it (section 3.2)."""
NEAREST = 3
"""Edits that a decision tells of."""
CHUNK = 64
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An edit in force.

    Args:
        edit: itself.
        vector: E_edit(z_e), shape (width,).
        added: what was added to its prefix, shape (p, d); None where nothing was.
    """

    edit: Edit
    vector: Tensor
    added: Tensor | None = None


class Seprog:
    """SeProG with a trained network (implements `errata.editors.Editor`).

    Of two edits with the same prompt the later holds; edits made one after another are as those made at once. A
    decision's match is the edit that is attended to most, with e(x) as its score; `nearest` has the edits that are
    attended to most, with their attention weights.

    Args:
        model: the base model that the network was trained for; never changed.
        network: what `new_prompter` made, trained.
        settings: what it was made with.
        untold: the answer that an edit without a target teaches; "" refuses such edits.
        steps: gradient steps, at most, that teach an edit's own prefix its answer; 0, the paper's, takes the prefix as
            the network writes it.

    Raises:
        UnsupportedModel: the model takes no embeddings.
        ConfigError: `steps` is no count.
    """

    name = "seprog"

    def __init__(
        self, model: Model, network: Any, settings: SeprogSettings, *, untold: str = "", steps: int = 0
    ) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ConfigError(f"steps must be a whole number, 0 or more, not {steps!r}", key="steps")
        self.given = self.base = model
        self.settings, self.untold, self.steps = settings, untold, steps
        self.network = network.eval()
        self._prompted: Prompted = prompted(model)
        self._plain: Any = model
        """What answers out of scope: the base itself, but in the variant "finetune"."""
        self._held: Mapping[str, Held] = {}
        """By prompt the edit in force, the newest last."""

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, model: Model, *, untold: str = "", variant: str | None = None, steps: int = 0
    ) -> Self:
        """The network of a folder that training left, without edits.

        Args:
            folder: where it is.
            model: the base model that the network was trained for.
            untold: see the class.
            variant: another ablation than the one it was trained as; None keeps that.
            steps: see the class.

        Raises:
            ModelError: the folder holds no network, or it does not fit the model.
            ConfigError: its settings hold an unknown key, the variant needs another training, or `steps` is no count.
            UnsupportedModel: the model takes no embeddings.
        """
        path, base = Path(folder), prompted(model)
        found, state = read_network(cls.name, path, editable(model))
        settings = _varied(apply(found, SeprogSettings(), str(path / CONFIG)), variant)
        network = new_prompter(base, settings, fresh=False)
        if odd := _misfits(network, state):
            raise ModelError(f"the {cls.name} network in {path} was trained for another base than {model.name} ({odd})")
        network.load_state_dict(state, strict=False)
        return cls(model, network, settings, untold=untold, steps=steps)

    def edit(self, *edits: Edit) -> Self:
        """A new editor with these edits in force too; this one stays as it is.

        Raises:
            UnsupportedEdit: an edit says no answer.
            ModelError: the model failed.
        """
        import torch

        for edit in edits:
            self.check(edit)
        with torch.no_grad():
            rows = [self.network.encode([self._told(edit)])[0] for edit in edits]  # alone: no batch mates, no rounding
        return self._with(Held(edit, row, self._taught(edit, row)) for edit, row in zip(edits, rows, strict=True))

    def _taught(self, edit: Edit, vector: Tensor) -> Tensor | None:
        """What is added to an edit's prefix; None where the prefix stays as the network writes it."""
        import torch

        if not self.steps:
            return None
        with torch.no_grad():
            prefix = self.network.written(vector[None])[0]
        size = float(self.network.size)
        return offset(prompted(editable(self.base)), self._told(edit), prefix, steps=self.steps, size=size)

    def check(self, edit: Edit) -> None:
        """Refuse an edit that says no answer.

        Raises:
            UnsupportedEdit: it has no target, and there is no `untold`.
        """
        if not edit.target.strip() and not self.untold:
            raise UnsupportedEdit(f"edit {edit.id} has no target, and {self.name} has nothing else to teach; add one")

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, the newest last."""
        return tuple(held.edit for held in self._held.values())

    def varied(self, variant: str) -> Self:
        """This editor, edits and all, as another ablation.

        Raises:
            ConfigError: the variant is not known, or needs another training.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.settings = _varied(self.settings, variant)
        return other._with(())

    def _told(self, edit: Edit) -> tuple[str, str]:
        return edit.prompt, edit.target if edit.target.strip() else self.untold

    def _with(self, new: Iterable[Held]) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        held = dict(self._held)
        for one in new:
            held.pop(one.edit.prompt, None)  # the newest is last
            held[one.edit.prompt] = one
        other._held = held
        other._prompted, other._plain = prompted(self.base), self.base
        if held and self.settings.variant == "finetune":
            other._tune()
        return other

    def _tune(self) -> None:
        """Fine-tune the base on all edits in force, from its own weights, with their prefixes in place."""
        own = prompted(editable(self.base))
        told = [self._told(edit) for edit in self.edits]
        _, prefixes = self._decide([prompt for prompt, _ in told])
        led = Led(own, dict(zip((prompt for prompt, _ in told), prefixes, strict=True)))
        changed = fine_tune(led, told, FineTuneSettings(lr=self.settings.tuning_lr))
        self._prompted = self._plain = own.with_weights(changed)

    def generate(self, inputs: Sequence[str], **options: Any) -> list[Answer]:
        """The base's answers, under a prefix where an edit's scope is met, in order.

        Raises:
            EditError, ConfigError, ModelError: as the base model's own `generate`.
        """
        decisions, prefixes = self._decide(check_prompts(inputs, "input"))
        said = self._either(
            decisions,
            lambda at: self._plain.generate([inputs[i] for i in at], **options),
            lambda at: self._prompted.generate_under([inputs[i] for i in at], prefixes[at], **options),
        )
        return [Answer(text, decision) for text, decision in zip(said, decisions, strict=True)]

    def decide(self, inputs: Sequence[str]) -> list[Decision]:
        """Which edit each input would be answered under, and why; nothing is generated."""
        return self._decide(check_prompts(inputs, "input"))[0]

    def token_log_probs(self, inputs: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.float32]]:
        """Teacher-forced log-probabilities, one array of shape (target tokens, vocabulary) a pair.

        Raises:
            EditError, ModelError: as the base model's own.
        """
        found = self._forced(inputs, targets)
        return [logits.log_softmax(-1).cpu().numpy() for logits, _ in found]

    def target_matches(self, inputs: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Teacher-forced, whether the likeliest token is the target's: an array of shape (target tokens,) a pair.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        return [(logits.argmax(-1) == ids).cpu().numpy() for logits, ids in self._forced(inputs, targets)]

    def _forced(self, inputs: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """(logits, token ids) of each pair."""
        import torch

        decisions, prefixes = self._decide(check_prompts(inputs, "input"))

        def forced(at: list[int], *, led: bool) -> list[tuple[Tensor, Tensor]]:
            rows: list[tuple[Tensor, Tensor]] = []
            for begin in range(0, len(at), CHUNK):
                part = at[begin : begin + CHUNK]
                texts, due = [inputs[i] for i in part], [targets[i] for i in part]
                model = self._prompted
                rows += model.logits_under(texts, due, prefixes[part]) if led else model.logits(texts, due)
            return [(logits.float(), ids) for logits, ids in rows]

        with torch.no_grad():
            return self._either(decisions, lambda at: forced(at, led=False), lambda at: forced(at, led=True))

    def _either(
        self, decisions: Sequence[Decision], plain: Callable[[list[int]], list[T]],
        led: Callable[[list[int]], list[T]],
    ) -> list[T]:  # fmt: skip
        """What the one says of the inputs that no edit answers, and the other of the rest, in order."""
        missed = [at for at, decision in enumerate(decisions) if decision.match is None]
        fired = [at for at, decision in enumerate(decisions) if decision.match is not None]
        found = dict(zip(missed, plain(missed) if missed else (), strict=True))
        found |= zip(fired, led(fired) if fired else (), strict=True)
        return [found[at] for at in range(len(decisions))]

    def _decide(self, inputs: Sequence[str]) -> tuple[list[Decision], Tensor]:
        """A decision for each input, and its prefix, shape (n, p, d)."""
        import torch

        if not self._held or not inputs:
            return [Decision(None, THRESHOLD, (), "there are no edits")] * len(inputs), torch.zeros(0)
        vectors = torch.stack([held.vector for held in self._held.values()])
        added = self._added()
        with torch.no_grad():
            parts = [
                self.network(vectors, self.network.look(inputs[begin : begin + CHUNK]))
                for begin in range(0, len(inputs), CHUNK)
            ]
        weights, odds, prefixes = (torch.cat(part) for part in zip(*parts, strict=True))
        if added is not None:
            prefixes = prefixes + torch.einsum("nk,kpd->npd", weights, added)
        scores = odds.sigmoid().tolist()
        return [self._decision(score, row) for score, row in zip(scores, weights, strict=True)], prefixes

    def _added(self) -> Tensor | None:
        """What was added to the prefixes of all edits, shape (k, p, d); None where nothing was to any."""
        import torch

        found = [held.added for held in self._held.values()]
        like = next((one for one in found if one is not None), None)
        if like is None:
            return None
        return torch.stack([torch.zeros_like(like) if one is None else one for one in found])

    def _decision(self, score: float, weights: Tensor) -> Decision:
        edits = self.edits
        best = weights.topk(min(NEAREST, len(edits)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        nearest = tuple(Match(edits[at], weight) for at, weight in pairs)
        if self.settings.variant == "no_classifier":
            return Decision(Match(nearest[0].edit, 1.0), 0.0, nearest, "every input gets a prefix: no classifier")
        match = Match(nearest[0].edit, score)
        if self.settings.variant == "no_select":
            return Decision(match, 0.0, nearest, "every input gets a prefix: the classifier is not asked")
        if score > THRESHOLD:
            return Decision(match, THRESHOLD, nearest, f"in scope with probability {score:.2f}, above {THRESHOLD}")
        return Decision(None, THRESHOLD, nearest, f"in scope with probability {score:.2f}, not above {THRESHOLD}")

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the network and its settings.

        Raises:
            ModelError: the folder cannot be written.
        """
        write_network(Path(folder), _own(self.network), asdict(self.settings), editable(self.given))

    def save(self, folder: str | Path) -> Path:
        """Write network, settings and edits into a folder for `errata.load`; the base is named, not copied.

        Raises:
            ModelError: the folder cannot be written, or holds something else.
        """
        from errata.editors.saving import save

        return save(self, Path(folder))

    kept: ClassVar[tuple[str, ...]] = ("base", "untold", "steps", "edits")
    """Keys of what `keep` returns."""

    def keep(self, folder: Path) -> dict[str, Any]:
        """Write network and vectors into a new folder; returns what else there is to tell, as JSON has it."""
        import torch
        from safetensors.torch import save_file

        self.save_pretrained(folder / OWN)
        rows = [held.vector for held in self._held.values()]
        tensors = {"vectors": torch.stack(rows) if rows else torch.zeros(0)}
        added = self._added()
        save_file(tensors if added is None else {**tensors, "added": added}, folder / VECTORS)
        edits = [{**{key: getattr(edit, key) for key in ("prompt", "target", "id", "space")}, "meta": dict(edit.meta)}
                 for edit in self.edits]  # fmt: skip
        return {
            "base": fingerprint(prompted(self.given).module),
            "untold": self.untold,
            "steps": self.steps,
            "edits": edits,
        }

    @classmethod
    def restored(cls, told: Mapping[str, Any], folder: Path, model: Model, runtime: str) -> Self:
        """The editor that `keep` was asked about; see `WeightEditor.restored`."""
        from safetensors.torch import load_file

        check_base(prompted(model), told["base"], f"the editor in {folder} was saved")
        editor = cls.from_pretrained(folder / OWN, model, untold=told["untold"], steps=told["steps"])
        try:
            found = {name: rows.to(place(editor.network)) for name, rows in load_file(folder / VECTORS).items()}
        except Exception as error:  # safetensors raises its own errors and OSError
            raise ModelError(f"cannot read {folder / VECTORS}: {error}") from error
        edits = [Edit(**one) for one in told["edits"]]
        added = found.get("added", [None] * len(edits))
        return editor._with(map(Held, edits, found["vectors"], added))


class Led:
    """A model that reads a prefix with every prompt, as `fine_tune` asks for one."""

    def __init__(self, model: Prompted, prefixes: Mapping[str, Tensor]) -> None:
        self._model, self._prefixes = model, prefixes

    @property
    def module(self) -> Any:
        """The torch module."""
        return self._model.module

    def with_weights(self, changed: Mapping[str, Tensor]) -> Led:
        """With some weights changed."""
        return Led(self._model.with_weights(changed), self._prefixes)

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """(logits, token ids) of each pair, under its prompt's prefix."""
        import torch

        return self._model.logits_under(prompts, targets, torch.stack([self._prefixes[prompt] for prompt in prompts]))


def _own(network: Any) -> dict[str, Tensor]:
    """What of a network is trained, or measured on its base: all but the encoder's frozen weights."""
    kept = {name for name, value in network.named_parameters() if value.requires_grad} | {"size"}
    return {name: value for name, value in network.state_dict().items() if name in kept}


def _misfits(network: Any, state: Mapping[str, Tensor]) -> str:
    """What does not fit, for a message; "" where all does."""
    own = {name: value.shape for name, value in _own(network).items()}
    odd = sorted(set(own) ^ set(state)) or [name for name, shape in own.items() if state[name].shape != shape]
    return ", ".join(odd[:2])


def _varied(settings: SeprogSettings, variant: str | None) -> SeprogSettings:
    """The settings as another ablation.

    Raises:
        ConfigError: the variant is not known, or one of the two was trained without a classifier.
    """
    if variant is None or variant == settings.variant:
        return settings
    if "no_classifier" in (variant, settings.variant):
        said = "a network is trained with a classifier or without; train one with variant = "
        raise ConfigError(f"{said}{variant!r}", key="variant")
    return replace(settings, variant=variant)


def seprog(
    model: Model, *, weights: str | Path = "", untold: str = "", variant: str | None = None, steps: int = 0
) -> Seprog:  # fmt: skip
    """SeProG in front of the base model that its network was trained for.

    Args:
        model: the base model.
        weights: the folder that `errata train editor seprog PROBLEM` left (`out/model`).
        untold: see Seprog.
        variant: "finetune" or "no_select", of a network that was trained with a classifier; None is as trained.
        steps: see Seprog.

    Raises:
        ConfigError: no folder is named, the variant needs another training, or `steps` is no count.
        ModelError, UnsupportedModel: see `Seprog.from_pretrained`.
    """
    if not str(weights):
        raise untrained("seprog", "PROBLEM")
    return Seprog.from_pretrained(weights, model, untold=untold, variant=variant, steps=steps)
