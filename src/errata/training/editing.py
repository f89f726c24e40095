"""Train the editors that learn to change weights: an edit made must hold for other wordings and leave the rest alone.

Every step makes k edits on the base model by the editor's own update, and asks for an input in the scope of each
(likelihood of its answer) and for one out of it (divergence from the base's answer): MEND, Equation 4; SLAG and ENN
have the same two terms. The base model stays as it is; gradients flow through the edited weights into the editor.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from errata import metrics
from errata.editors.enn import Enn, EnnSettings
from errata.editors.learned import Learned
from errata.editors.mend import Mend, MendSettings
from errata.editors.slag import Slag, SlagSettings
from errata.editors.updates import Updates, under
from errata.editors.weights import Editable, editable, lesson
from errata.errors import ConfigError, ModelError
from errata.models.load import load_model
from errata.problems.cases import EditCase, Problem
from errata.training.diets import BASES, DIETS, UNTOLD, Diet, Drawn, Told, dev_of, diet_of, examined
from errata.training.loop import LoopSettings, train
from errata.training.slag import slag_losses

if TYPE_CHECKING:
    from torch import Tensor


logger = logging.getLogger(__name__)
FACTORS = tuple(10 ** (at / 2) for at in range(-4, 7))
"""Of the recipe's step size, by which training may begin."""
MET = 400
"""Inputs out of scope whose vectors MEND's or SLAG's network meets before it is trained, about."""
TRIES = 100
"""Draws for a trial before a base is thought to say nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorTraining:
    """How an editor is trained; its network is its own."""

    problem: str = "qa"
    """What it is trained for."""
    base: str = ""
    """The base model that it edits; "" is the problem's own, see `diets.BASES`."""
    edits: int = 10
    """Edits made at once, k."""
    edit_weight: float = 0.1
    """Weight of the edits' likelihood beside the divergence on other inputs (the papers' c_e)."""
    exam: int = 60
    """Dev edits that edit success and drawdown are measured on while training."""
    network: Any = None
    """The network."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=250, batch=1, lr=1e-3, warmup=20, clip=100.0, evaluate_every=125, save_every=50
        )
    )
    """The training loop; a step averages over `batch` trials of k edits each."""

    def __post_init__(self) -> None:
        if self.problem not in DIETS:
            raise ConfigError(f"problem {self.problem!r} is not known", key="problem", accepted=tuple(DIETS))
        if self.edits < 1 or self.exam < 1:
            raise ConfigError("edits and exam must be 1 or more", key="edits")


@dataclass(frozen=True, slots=True, kw_only=True)
class MendTraining(EditorTraining):
    """MEND's network and how it is trained."""

    network: MendSettings = field(default_factory=lambda: MendSettings(step=1e-2, ridge=0.3))
    """The network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnnTraining(EditorTraining):
    """ENN's weights and step sizes and how they are trained."""

    base_weight: float = 1.0
    """Weight of the divergence of the answers before any edit from the base's; the released code's c_base."""
    network: EnnSettings = field(default_factory=lambda: EnnSettings(step=1.0))
    """The inner step."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=200, batch=1, lr=3e-4, warmup=20, clip=100.0, evaluate_every=100, save_every=50
        )
    )
    """The training loop; a step averages over `batch` trials of k edits each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlagTraining(EditorTraining):
    """SLAG's network and how it is trained (`errata.training.slag`)."""

    told_weight: float = 0.1
    """Weight of the edits' own likelihood; 1 in the released code."""
    edit_weight: float = 0.1
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
            steps=100, batch=1, lr=1e-3, warmup=20, clip=100.0, evaluate_every=50, save_every=50
        )
    )
    """The training loop; a step averages over `batch` trials of k edits each."""

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
        wrong: inputs in scope with answers that must not be given.
        others: the prompts of other edits with the base's own answers, where the editor's training asks them.
    """

    told: Told
    inside: Told
    outside: Told
    wrong: Told = ()
    others: Told = ()


def trials_of(
    model: Editable, diet: Diet, edits: int, count: int, source: random.Random, *, others: bool = False
) -> list[Trial]:
    """So many trials; one is drawn again where the base has nothing to say to any of its inputs out of scope.

    Args:
        model: the base model.
        diet: what is drawn from.
        edits: of each trial.
        count: how many trials.
        source: of what is drawn.
        others: whether the prompts of as many other edits are asked, less those that the trial itself asks.

    Raises:
        ModelError: the base has nothing to say, however often is drawn.
    """
    made: list[Trial] = []
    for _ in range(TRIES * count):
        drawn = [diet(edits, source) for _ in range(count - len(made))]
        apart = [_others(one, diet(edits, source).told) if others else [] for one in drawn]
        asked = [text for one, prompts in zip(drawn, apart, strict=True) for text in (*one.outside, *prompts)]
        said = iter(model.generate(asked))  # all at once
        for one, prompts in zip(drawn, apart, strict=True):
            outside, other = _answered(one.outside, said), _answered(prompts, said)
            if outside:
                made.append(Trial(one.told, one.inside, outside, one.wrong, other))
        if len(made) == count:
            return made
    raise ModelError(f"{model.name} says nothing to any input out of scope, so nothing tells what an edit must keep")


def _others(drawn: Drawn, told: Told) -> list[str]:
    """The prompts of other edits; one that the batch tells or asks in scope must change and cannot have to stay."""
    taken = {text for text, _ in (*drawn.told, *drawn.inside)}
    return [prompt for prompt, _ in told if prompt not in taken]


def _answered(texts: Sequence[str], said: Iterator[str]) -> Told:
    """Texts with the answers that come next, where they say something."""
    return [(text, answer) for text in texts if (answer := next(said))]


def divergence(before: Any, after: Any, asked: Told) -> Tensor:
    """KL(before || after) per token of these answers, differentiable in the second model."""
    import torch

    texts, answers = [text for text, _ in asked], [answer for _, answer in asked]
    with torch.no_grad():
        old = before.logits(texts, answers)
    return _divergence(old, after.logits(texts, answers))


def _divergence(before: Sequence[tuple[Tensor, Tensor]], after: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    import torch

    old, new = (torch.cat([logits for logits, _ in rows]).float().log_softmax(-1) for rows in (before, after))
    return torch.nn.functional.kl_div(new, old, reduction="batchmean", log_target=True)


def objective(
    model: Editable, updates: Mapping[str, Updates], trials: Sequence[Trial], weight: float, *, base: Any = None
) -> Mapping[str, Tensor]:
    """The losses of several updates, one a trial, all asked in one pass.

    Args:
        model: what the updates are of.
        updates: by weight, differentiable.
        trials: what is asked under each.
        weight: of the edits beside the rest.
        base: the base model, where it is another than `model`.

    Returns:
        "edit", the negative log-likelihood in scope, and with it, where there are wrong answers, the unlikelihood of
        these (SERAC, appendix D.2); "kept", the divergence from the base out of scope; "loss", their weighted sum.
    """
    import torch

    rows: list[tuple[int, str, str]] = []
    parts: dict[str, slice] = {}
    for name in ("inside", "outside", "wrong"):
        begin = len(rows)
        rows += [(at, *pair) for at, trial in enumerate(trials) for pair in getattr(trial, name)]
        parts[name] = slice(begin, len(rows))
    sets = torch.tensor([at for at, _, _ in rows], device=next(iter(updates.values())).inputs.device)
    texts, answers = [text for _, text, _ in rows], [answer for _, _, answer in rows]
    with under(model, {name: update.of(sets) for name, update in updates.items()}):
        said = model.logits(texts, answers)
    inside = [torch.nn.functional.cross_entropy(logits.float(), ids) for logits, ids in said[parts["inside"]]]
    edit = torch.stack(inside).mean()
    if said[parts["wrong"]]:
        edit = edit + unlikelihood(said[parts["wrong"]])
    with torch.no_grad():
        old = (base or model).logits(texts[parts["outside"]], answers[parts["outside"]])
    kept = _divergence(old, said[parts["outside"]])
    return {"loss": weight * edit + kept, "edit": edit, "kept": kept}


def unlikelihood(said: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """-log(1 - p) per token of answers that must not be given, averaged over answers (Li et al., 2020).

    Args:
        said: (logits of shape (tokens, vocabulary), token ids) of each.
    """
    import torch

    losses = []
    for logits, ids in said:
        likely = logits.float().log_softmax(-1).gather(-1, ids[:, None]).exp().clamp(max=1 - 1e-6)
        losses.append(-torch.log1p(-likely).mean())
    return torch.stack(losses).mean()


class Exam(Protocol):
    """Measures an editor's network while it is trained."""

    def figures(self, network: Any) -> dict[str, float]:
        """Edit success "es", drawdown "dd", and "net", which chooses the best network."""
        ...


class Examiner:
    """Edit success and drawdown on dev edits, generated text, in batches of k.

    Args:
        model: the base model.
        problem: a dev split; of each case an input in scope is asked, and beside it one of those that are in no scope.
        edits: k.
        count: how many edits are made in all.
        untold: what an edit without a target teaches.
    """

    def __init__(self, model: Editable, problem: Problem, edits: int, count: int, untold: str = "") -> None:
        self._model, self._untold = model, untold
        self._batches = [(cases, asked, model.generate(asked)) for cases, asked in examined(problem, edits, count)]

    def figures(self, network: Any) -> dict[str, float]:
        """Means over all edits: `es` of an input in scope each, `dd` of one out of scope each, and `net`."""
        right, changed = [], []
        for cases, asked, before in self._batches:
            edited = _edited(self._model, network, [lesson(case.edit, self._untold) for case in cases])
            said = edited.generate([case.in_scope[0].text for case in cases])
            right += [text == case.in_scope[0].answer for text, case in zip(said, cases, strict=True)]
            changed += [now != then for now, then in zip(edited.generate(asked), before, strict=True)]
        return _balance(sum(right) / len(right), sum(changed) / max(1, len(changed)))


class SentimentExaminer:
    """Edit success (SERAC, Equation 6) and divergence a token (Equation 7) on dev topics, in batches of k.

    Args:
        model: the base model.
        problem: ConvSent's dev split.
        edits: k.
        count: how many edits are made in all.
    """

    def __init__(self, model: Any, problem: Problem, edits: int, count: int) -> None:
        self._model = model
        cases = random.Random(0).sample(problem.cases, min(count, len(problem.cases)))
        self._batches = [cases[at : at + edits] for at in range(0, len(cases), edits)]
        self._asked = [(one.text, one.replies[0]) for one in random.Random(1).sample(problem.shared, len(cases))]

    def figures(self, network: Any) -> dict[str, float]:
        """Means over all edits, one question each."""
        import torch

        right, wrong, base = [], [], []
        apart: list[float] = []
        for cases in self._batches:
            edited = _edited(self._model, network, [lesson(case.edit) for case in cases])
            right += [_likelihood(edited, case, "right") for case in cases]
            wrong += [_likelihood(edited, case, "wrong") for case in cases]
            base += [_likelihood(self._model, case, "right") for case in cases]
            with torch.no_grad():
                asked = self._asked[len(apart) * len(self._batches[0]) :][: len(cases)]
                apart.append(float(divergence(self._model, edited, asked)))
        return _balance(float(metrics.es_sent(right, wrong, base).mean()), sum(apart) / len(apart))


def _likelihood(model: Any, case: EditCase, side: Literal["right", "wrong"]) -> float:
    """The average log-likelihood per token of a case's replies to its first question."""
    replies = getattr(case.replies, side)
    return metrics.per_token(model.target_log_probs([case.in_scope[0].text] * len(replies), replies))


def _edited(model: Editable, network: Any, told: Told) -> Editable:
    import torch

    with torch.no_grad():
        return model.with_weights(network.tensors(model, told))


def _balance(es: float, dd: float) -> dict[str, float]:
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
    model = editable(load_model(base_of(settings)))
    model.module.requires_grad_(False).eval()
    editor = EDITORS[type(settings)]
    network = editor.new(model, settings.network)
    diet, dev = diet_of(settings.problem, data, settings.loop.seed), dev_of(settings.problem, data)

    def exam(count: int) -> Exam:
        if any(case.replies for case in dev.cases):
            return SentimentExaminer(model, dev, settings.edits, count)
        return Examiner(model, dev, settings.edits, count, UNTOLD.get(settings.problem, ""))

    def batch_at(source: random.Random) -> Sequence[Trial]:
        others = isinstance(settings, SlagTraining)
        return trials_of(model, diet, settings.edits, settings.loop.batch, source, others=others)

    def loss_of(trained: Any, trials: Sequence[Trial]) -> Mapping[str, Any]:
        return losses_of(settings, model, trained, trials)

    source = random.Random(f"{settings.loop.seed} steps")
    if settings.network.ridge:
        met = trials_of(model, diet, settings.edits, -(-MET // settings.edits), source)
        network.meet(model, [trial.told for trial in met], [pair for trial in met for pair in trial.outside])
    if not isinstance(settings, SlagTraining):
        set_steps(settings, model, network, batch_at(source))

    train(network, batch_at, loss_of, settings.loop, folder, evaluate=exam(settings.exam).figures, better="net")
    figures = exam(4 * settings.exam).figures(network)
    editor(model, network, settings.network).save_pretrained(folder / "model")
    return {f"dev {name}": value for name, value in figures.items()}


def losses_of(settings: EditorTraining, model: Editable, network: Any, trials: Sequence[Trial]) -> Mapping[str, Any]:
    """The losses of a step, by the editor's own objective.

    Args:
        settings: of its training.
        model: the base model.
        network: what makes the edits.
        trials: what is tried, each by itself.
    """
    if isinstance(settings, SlagTraining):
        each = [slag_losses(network, model, trial, settings) for trial in trials]
        return {name: sum(losses.get(name, 0.0) for losses in each) / len(each) for name in each[0]}
    updates = network(model, [trial.told for trial in trials])
    if not isinstance(settings, EnnTraining):
        return objective(model, updates, trials, settings.edit_weight)
    before = model.through(network.before())
    losses = dict(objective(before, updates, trials, settings.edit_weight, base=model))
    losses["base"] = divergence(model, before, [pair for trial in trials for pair in trial.outside])
    losses["loss"] = losses["loss"] + settings.base_weight * losses["base"]
    return losses


def set_steps(settings: EditorTraining, model: Editable, network: Any, trials: Sequence[Trial]) -> None:
    """Let the step sizes begin where the untrained network does best: bases differ by orders of magnitude.

    Args:
        settings: of the training.
        model: the base model.
        network: with `log_steps`; in training mode, so that it meets the vectors it will be shown.
        trials: what is tried.
    """
    import torch

    network.train()
    begin = network.log_steps.detach().clone()
    found = []
    for factor in FACTORS:
        with torch.no_grad():
            network.log_steps.copy_(begin + math.log(factor))
        loss = losses_of(settings, model, network, trials)["loss"].detach()
        found.append(float(loss) if bool(loss.isfinite()) else math.inf)
    best = FACTORS[found.index(min(found))]
    logger.info("step sizes begin at %g times the recipe's", best)
    with torch.no_grad():
        network.log_steps.copy_(begin + math.log(best))


def base_of(settings: EditorTraining) -> str:
    """The base model's name: the settings' own, or the problem's."""
    return settings.base or BASES[settings.problem]
