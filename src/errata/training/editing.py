"""Train the editors that learn to change weights: an edit made must hold for other wordings and leave the rest alone.

Every step makes k edits on the base model by the editor's own update, and asks for an input in the scope of each
(likelihood of its answer) and for one out of it (divergence from the base's answer): MEND, Equation 4; SLAG and ENN
have the same two terms. The base model stays as it is; gradients flow through the edited weights into the editor.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errata.editors.enn import Enn, EnnSettings
from errata.editors.gradients import edit_loss
from errata.editors.learned import Learned
from errata.editors.mend import Mend, MendSettings
from errata.editors.slag import Slag, SlagSettings
from errata.editors.weights import Editable, editable
from errata.errors import ConfigError
from errata.models.load import load_model
from errata.models.pair import SAID
from errata.problems.cases import Problem
from errata.problems.qa import load_qa
from errata.training.groups import Group, Inside, Sources
from errata.training.loop import LoopSettings, train
from errata.training.slag import slag_losses

if TYPE_CHECKING:
    from torch import Tensor

PROBLEMS = ("qa", "qa_hard")
Told = Sequence[tuple[str, str]]
"""Prompts with their answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorTraining:
    """How an editor is trained; its network is its own."""

    problem: str = "qa"
    """What it is trained for."""
    base: str = "mini"
    """The base model that it edits."""
    edits: int = 1
    """Edits made at once, k."""
    edit_weight: float = 0.1
    """Weight of the edits' likelihood beside the divergence on other inputs (the papers' c_e)."""
    exam: int = 60
    """Dev edits that edit success and drawdown are measured on while training."""
    base_weight: float = 0.0
    """Weight of the divergence of the answers before any edit from the base's, where the editor changes these too."""
    network: Any = None
    """The network."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1500, batch=1, lr=1e-3, warmup=50, clip=100.0, evaluate_every=250, save_every=100
        )
    )
    """The training loop; `batch` is not used, see `edits`."""

    def __post_init__(self) -> None:
        if self.problem not in PROBLEMS:
            raise ConfigError(f"problem {self.problem!r} is not known", key="problem", accepted=PROBLEMS)
        if self.edits < 1 or self.exam < 1:
            raise ConfigError("edits and exam must be 1 or more", key="edits")


@dataclass(frozen=True, slots=True, kw_only=True)
class MendTraining(EditorTraining):
    """MEND's network and how it is trained."""

    network: MendSettings = field(default_factory=MendSettings)
    """The network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnnTraining(EditorTraining):
    """ENN's weights and step sizes and how they are trained."""

    base_weight: float = 1.0
    """See EditorTraining; the released code's c_base."""
    network: EnnSettings = field(default_factory=EnnSettings)
    """The inner step."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1000, batch=1, lr=1e-4, warmup=50, clip=100.0, evaluate_every=250, save_every=100
        )
    )
    """The training loop; `batch` is not used, see `edits`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlagTraining(EditorTraining):
    """SLAG's network and how it is trained (`errata.training.slag`)."""

    told_weight: float = 1.0
    """Weight of the edits' own likelihood; 1 in the released code."""
    edit_weight: float = 1.0
    """Weight of the likelihood in scope; the released code's paraphrase term, 1 on Wikidata5m and off elsewhere."""
    kept_weight: float = 1.0
    """Weight of the divergence out of scope; the released code's independent neighbours, off in its main runs."""
    other_weight: float = 1.0
    """Weight of the divergence on the prompts of other edits, drawn at random; 1 in the released code."""
    successive: bool = False
    """Whether the edits of a trial are made one after another instead of at once (the paper: 10 of them so)."""
    network: SlagSettings = field(default_factory=SlagSettings)
    """The network."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=1000, batch=1, lr=3e-4, warmup=50, clip=100.0, evaluate_every=250, save_every=100
        )
    )
    """The training loop; `batch` is not used, see `edits`."""

    def __post_init__(self) -> None:
        EditorTraining.__post_init__(self)  # super() does not find a class with slots
        if min(self.told_weight, self.edit_weight, self.kept_weight, self.other_weight) < 0 or not self.told_weight:
            raise ConfigError("told_weight must be above 0, the other weights 0 or more", key="told_weight")


@dataclass(frozen=True, slots=True)
class Trial:
    """What one step tries.

    Args:
        told: the edits.
        inside: an input in the scope of each, with the answer due.
        outside: inputs out of scope, with the base model's own answers.
        others: the prompts of other edits, likewise, where the editor's training asks them.
    """

    told: Told
    inside: Told
    outside: Told
    others: Told = ()


def draw(sources: Sources, count: int, source: random.Random) -> tuple[Told, Told, list[str]]:
    """So many edits, an input in the scope of each with its answer, and one out of the scope of all."""
    groups: list[tuple[Group, Inside]] = []
    keys: set[str] = set()
    while len(groups) < count:
        group = sources.draw(source)
        asked = [one for one in group.inside if one.kind != "none"]
        if group.target and asked and group.outside and group.key not in keys:
            keys.add(group.key)
            groups.append((group, source.choice(asked)))
    return (
        [(group.prompt, group.target) for group, _ in groups],
        [(one.text, SAID.get(one.kind) or one.answer) for _, one in groups],
        [source.choice(group.outside) for group, _ in groups],
    )


def divergence(before: Any, after: Any, asked: Told) -> Tensor:
    """KL(before || after) per token of these answers, differentiable in the second model."""
    import torch

    texts, answers = [text for text, _ in asked], [answer for _, answer in asked]
    with torch.no_grad():
        old = torch.cat([logits for logits, _ in before.logits(texts, answers)]).log_softmax(-1)
    new = torch.cat([logits for logits, _ in after.logits(texts, answers)]).log_softmax(-1)
    return torch.nn.functional.kl_div(new, old, reduction="batchmean", log_target=True)


def objective(model: Editable, tensors: Mapping[str, Tensor], trial: Trial, weight: float) -> Mapping[str, Tensor]:
    """The losses of an update.

    Args:
        model: the base model.
        tensors: the edited weights, differentiable.
        trial: what is asked.
        weight: of the edits beside the rest.

    Returns:
        "edit", the negative log-likelihood in scope; "kept", the divergence out of it; "loss", their weighted sum.
    """
    moved = model.through(tensors)
    edit, kept = edit_loss(moved, trial.inside), divergence(model, moved, trial.outside)
    return {"loss": weight * edit + kept, "edit": edit, "kept": kept}


class Examiner:
    """Edit success and drawdown on dev edits, generated text, in batches of k.

    Args:
        model: the base model.
        problem: a dev split.
        edits: k.
        count: how many edits are made in all.
    """

    def __init__(self, model: Editable, problem: Problem, edits: int, count: int) -> None:
        self._model = model
        cases = random.Random(0).sample(problem.cases, min(count, len(problem.cases)))
        self._batches = [cases[at : at + edits] for at in range(0, len(cases), edits)]
        asked = [one.text for one in random.Random(1).sample(problem.shared, min(len(cases), len(problem.shared)))]
        self._asked = [asked[at : at + edits] for at in range(0, len(asked), edits)]
        self._before = [model.generate(texts) for texts in self._asked]

    def figures(self, network: Any) -> dict[str, float]:
        """Means over all edits: `es` of a rephrase each, `dd` of a question about something else each, and `net`."""
        import torch

        right, changed = [], []
        for cases, asked, before in zip_longest(self._batches, self._asked, self._before, fillvalue=()):
            told = [(case.edit.prompt, case.edit.target) for case in cases]
            with torch.no_grad():
                edited = self._model.with_weights(network.tensors(self._model, told))
            said = edited.generate([case.in_scope[0].text for case in cases])
            right += [text == case.in_scope[0].answer for text, case in zip(said, cases, strict=True)]
            changed += [now != then for now, then in zip(edited.generate(asked), before, strict=True)]
        es, dd = sum(right) / len(right), sum(changed) / max(1, len(changed))
        return {"es": es, "dd": dd, "net": es - dd}


EDITORS: Mapping[type[EditorTraining], type[Learned]] = {
    MendTraining: Mend,
    EnnTraining: Enn,
    SlagTraining: Slag,
}
"""The editor that settings are of."""


def train_editor(settings: EditorTraining, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train an editor's network into `folder/model`; returns its dev figures.

    Args:
        settings: network, diet and loop of a learned editor.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ConfigError: the data is missing or broken.
        ModelError, UnsupportedModel: the base model cannot be loaded or edited.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    model = editable(load_model(settings.base))
    model.module.requires_grad_(False).eval()
    editor = EDITORS[type(settings)]
    network = editor.new(model, settings.network)
    sources = Sources(data, seed=settings.loop.seed, problem=settings.problem)
    examiner = Examiner(model, load_qa(data, split="dev"), settings.edits, settings.exam)

    def answered(texts: Sequence[str]) -> Told:
        return [(text, said) for text, said in zip(texts, model.generate(texts), strict=True) if said]

    def batch_at(source: random.Random) -> Trial:
        told, inside, outside = draw(sources, settings.edits, source)
        others = draw(sources, settings.edits, source)[0] if isinstance(settings, SlagTraining) else []
        return Trial(told, inside, answered(outside), answered([prompt for prompt, _ in others]))

    def loss_of(trained: Any, trial: Trial) -> Mapping[str, Any]:
        if isinstance(settings, SlagTraining):
            return slag_losses(trained, model, trial, settings)
        losses = dict(objective(model, trained(model, trial.told), trial, settings.edit_weight))
        if settings.base_weight:
            losses["base"] = divergence(model, model.through(network.before()), trial.outside)
            losses["loss"] = losses["loss"] + settings.base_weight * losses["base"]
        return losses

    train(network, batch_at, loss_of, settings.loop, folder, evaluate=examiner.figures, better="net")
    figures = Examiner(model, load_qa(data, split="dev"), settings.edits, 4 * settings.exam).figures(network)
    editor(model, network, settings.network).save_pretrained(folder / "model")
    return {f"dev {name}": value for name, value in figures.items()}
