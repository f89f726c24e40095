"""Train SeProG: scope and prefixes at once, in front of a frozen base (SeProG, section 3.3).

A step draws edits, an input in the scope of each and as many out of scope, and deals them out to sets of k, drawn anew
each time, since an edit is selected among one as well as among many. The loss is lambda times the scope loss, over all
inputs, and 1 - lambda times the prompt guidance loss, over those in scope.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errata.editors.seprog import Seprog
from errata.editors.weights import editable
from errata.errors import ConfigError
from errata.models.load import load_model
from errata.models.prompted import Prompted, prompted
from errata.models.prompter import SeprogSettings, new_prompter
from errata.problems.cases import EditCase, Problem
from errata.training.diets import BASES, DIETS, UNTOLD, Drawn, dev_of, diet_of, examined
from errata.training.loop import LoopSettings, train

if TYPE_CHECKING:
    from torch import Tensor


PROBLEMS = tuple(name for name in DIETS if name != "sentiment")
"""A prefix is learnt from the answer that is due under it; edits that demand a manner have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeprogTraining:
    """SeProG's network and how it is trained. The paper: Adam, lr 1e-5 to 1e-4, lambda 0.1 to 0.5, clip 5."""

    problem: str = "qa"
    """What it is trained for."""
    base: str = ""
    """The base model that it puts prefixes before; "" is the problem's own, see `diets.BASES`."""
    edits: int = 12
    """Edits drawn a step; they are dealt out to sets of k edits, k drawn from 1 to this."""
    scope_weight: float = 0.3
    """Weight of the scope loss beside the prompt guidance loss (the paper's lambda, Equation 7)."""
    attend_weight: float = 0.3
    """Weight of one loss more, -log of the attention that an input in scope pays to its own edit; the paper has none,
    and leaves it to the other two to find out which edit is meant."""
    exam: int = 60
    """Dev edits that edit success and drawdown are measured on while training."""
    exam_edits: int = 10
    """Edits in force at once in that exam."""
    network: SeprogSettings = field(
        default_factory=lambda: SeprogSettings(start="dual", reads="encoder", compares=True)
    )
    """The network."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=500, batch=1, lr=1e-3, warmup=30, clip=5.0, evaluate_every=250, save_every=50
        )
    )
    """The training loop; `batch` is not used, see `edits`."""

    def __post_init__(self) -> None:
        if self.problem not in PROBLEMS:
            said = f"there is no {self.problem!r} to train for: its edits have no answer, or it is not known"
            raise ConfigError(said, key="problem", accepted=PROBLEMS)
        if self.edits < 1 or self.exam < 1 or self.exam_edits < 1:
            raise ConfigError("edits, exam and exam_edits must be 1 or more", key="edits")
        if not 0 <= self.scope_weight <= 1:
            raise ConfigError(f"scope_weight must be 0 to 1, not {self.scope_weight!r}", key="scope_weight")
        if self.attend_weight < 0:
            raise ConfigError("attend_weight must be 0 or more", key="attend_weight")


@dataclass(frozen=True, slots=True)
class Sets:
    """A step's edits with their inputs, in sets.

    Args:
        drawn: what was drawn.
        number: of each edit, and of the inputs at its place on either side, which set it is in.
    """

    drawn: Drawn
    number: Sequence[int]


def dealt(drawn: Drawn, most: int, source: random.Random) -> Sets:
    """Sets of k edits each, the last of what is left; k drawn from 1 to `most`."""
    k = source.randint(1, most)
    return Sets(drawn, [at // k for at in range(len(drawn.told))])


def objective(network: Any, base: Prompted, sets: Sets, weight: float, attend: float = 0.0) -> Mapping[str, Tensor]:
    """The losses (Equations 5 to 7), each a mean over inputs.

    Equation 5 is printed with 1 - log e for inputs out of scope, which would push e up there; it is -log(1 - e) here.

    Args:
        network: see `new_prompter`.
        base: the frozen base model.
        sets: edits and inputs; as many in scope as out of it.
        weight: of the scope loss.
        attend: of the attention's own loss.

    Returns:
        "scope", "prompt" (per token, averaged over inputs), "attend", and "loss", their weighted sum.
    """
    import torch
    from torch.nn.functional import cross_entropy

    drawn, number = sets.drawn, torch.tensor(sets.number)
    texts = [text for text, _ in drawn.inside]
    vectors = network.encode(drawn.told)
    asked = torch.cat([number, number[torch.arange(len(drawn.outside)) % len(number)]])  # in which set each is asked
    allowed = asked[:, None] == number
    weights, odds, prefixes = network(vectors, network.look([*texts, *drawn.outside]), allowed.to(vectors.device))
    rows = base.logits_under(texts, [answer for _, answer in drawn.inside], prefixes[: len(texts)])
    prompt = torch.stack([cross_entropy(logits.float(), ids) for logits, ids in rows]).mean()
    scope = scope_loss(odds, len(texts))
    own = -weights[: len(texts)].diagonal().clamp(min=1e-6).log().mean()
    loss = weight * scope + (1 - weight) * prompt + attend * own
    return {"loss": loss, "scope": scope, "prompt": prompt, "attend": own}


def scope_loss(odds: Tensor, inside: int) -> Tensor:
    """-log e(x) of the first so many inputs, -log(1 - e(x)) of the others, averaged; e = sigmoid(odds)."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    due = odds.new_zeros(len(odds))
    due[:inside] = 1.0
    return binary_cross_entropy_with_logits(odds.float(), due.float())


class Exam:
    """Edit success and drawdown on dev edits, generated text, in batches of k, and what they are made of.

    Args:
        problem: a dev split.
        edits: k.
        count: how many edits are made in all.
    """

    def __init__(self, problem: Problem, edits: int, count: int) -> None:
        self._batches = examined(problem, edits, count)

    def figures(self, editor: Seprog) -> dict[str, float]:
        """Means over all edits.

        Returns:
            `es` of an input in scope of each, `dd` of an input about something else each, `net`, their difference;
            `fired` and `strayed`, how often a prefix was taken in scope and out of it; `attended`, how often the right
            edit was attended to most; `led`, edit success were the prefix always taken.
        """
        found: dict[str, list[bool]] = {name: [] for name in ("es", "dd", "fired", "strayed", "attended", "led")}
        for cases, asked in self._batches:
            edited = editor.edit(*(case.edit for case in cases))
            bare = edited.settings.variant == "no_classifier"  # always led
            self._inside(edited, edited if bare else edited.varied("no_select"), cases, found)
            after = edited.generate(asked)
            before = edited.base.generate(asked)
            found["dd"] += [now.text != then for now, then in zip(after, before, strict=True)]
            found["strayed"] += [answer.edited for answer in after]
        means = {name: sum(values) / max(1, len(values)) for name, values in found.items()}
        return {**means, "net": means["es"] - means["dd"]}

    def _inside(self, edited: Seprog, led: Seprog, cases: Sequence[EditCase], found: Mapping[str, list[bool]]) -> None:
        texts = [case.in_scope[0].text for case in cases]
        answers = zip(cases, edited.generate(texts), led.generate(texts), strict=True)
        for case, answer, forced in answers:
            due = case.in_scope[0].answer
            found["es"].append(answer.text == due)
            found["led"].append(forced.text == due)
            found["fired"].append(answer.edited)
            found["attended"].append(answer.decision.nearest[0].edit.prompt == case.edit.prompt)


def train_seprog(settings: SeprogTraining, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train SeProG's network into `folder/model`; returns its dev figures.

    Args:
        settings: network, diet and loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ConfigError: the data is missing or broken.
        ModelError, UnsupportedModel: the base model cannot be loaded, or takes no embeddings.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    model = editable(load_model(settings.base or BASES[settings.problem]))  # in float32: gradients pass through it
    model.module.requires_grad_(False).eval()
    base = prompted(model)
    network = new_prompter(base, settings.network)
    diet, dev = diet_of(settings.problem, data, settings.loop.seed), dev_of(settings.problem, data)
    untold = UNTOLD.get(settings.problem, "")
    weight = 0.0 if settings.network.variant == "no_classifier" else settings.scope_weight

    def batch_at(source: random.Random) -> Sets:
        return dealt(diet(settings.edits, source), settings.edits, source)

    def figures(trained: Any, count: int) -> dict[str, float]:
        return Exam(dev, settings.exam_edits, count).figures(Seprog(model, trained, settings.network, untold=untold))

    train(
        network,
        batch_at,
        lambda trained, sets: objective(trained, base, sets, weight, settings.attend_weight),
        settings.loop,
        folder,
        evaluate=lambda trained: figures(trained, settings.exam),
        better="net",
    )
    found = figures(network, 4 * settings.exam)
    Seprog(model, network, settings.network).save_pretrained(folder / "model")
    return {f"dev {name}": value for name, value in found.items()}
