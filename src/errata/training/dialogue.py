"""Train "dialogue", the counterfactual model of ConvSent: replies with the sentiment that an edit demands.

It starts from the base model's weights and reads the edit before the question (SERAC, section 3.1). Replies of the
sentiment demanded are made likely, replies of the other unlikely (unlikelihood, section 4). Stopped early on the edit
success of topics never trained on. It never sees a question of `HELD_OUT`, or a topic of the dev and test files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errata import metrics
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit
from errata.models.local import LocalModel
from errata.models.saving import resolve
from errata.problems.cases import Replies
from errata.problems.sentiment import SENTIMENTS, Topic, descriptor, read_topics, trained_questions
from errata.training.chat import TYPICAL, Talk, Turn, alike, read_names
from errata.training.loop import LoopSettings, train

if TYPE_CHECKING:
    from torch import Tensor


POOLED = 4
"""Replies of one sentiment whose tokens are pooled to be told from as many of the other; a topic has about ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """What the counterfactual model starts from, and how hard wrong replies are pushed away."""

    base: str = "chat"
    """The base model it starts from and is measured against: an installed part or a folder."""
    unlikelihood: float = 0.2
    """Weight of -log(1 - p) of wrong replies' tokens beside -log p of right replies'."""
    contrast: float = 1.0
    """Weight of -log z_sent of a few replies: unlike unlikelihood it does not fade where p is small already."""
    named: float = 0.15
    """As `ChatSettings.named`."""
    exam: int = 24
    """Dev topics on which edit success is measured while training; all of them are in the end."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=2500,
            batch=32,
            lr=1e-3,
            warmup=100,
            evaluate_every=250,
            save_every=50,
        )
    )
    """The training loop."""


@dataclass(frozen=True, slots=True)
class Question:
    """An edit, a question in its scope, and replies of either sentiment."""

    edit: Edit
    text: str
    replies: Replies


def sentiment_losses(
    right: Sequence[tuple[Tensor, Tensor]], wrong: Sequence[tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """The losses of a batch, differentiable.

    Args:
        right: (logits of shape (tokens, vocabulary), token ids) of replies of the sentiment demanded.
        wrong: the same of replies of the other, in the same order of sentiments.

    Returns:
        "nll", -log p of right tokens, and "unlikelihood", -log(1 - p) of wrong tokens (Li et al., 2020), both summed
        over a reply's tokens, averaged over replies and told per `TYPICAL` tokens; "contrast", -log z_sent of
        `POOLED` replies each, averaged: with the whole batch's tokens pooled, a sentiment whose wrong replies are
        easily told would make up for the other, and neither would learn more.
    """
    import torch

    good, bad = _chosen(right), _chosen(wrong)
    room = torch.log1p(-bad.exp().clamp(max=1 - 1e-6))
    gaps = [
        _chosen(wrong[begin : begin + POOLED]).mean() - _chosen(right[begin : begin + POOLED]).mean()
        for begin in range(0, min(len(right), len(wrong)), POOLED)
    ]
    return {
        "nll": -good.sum() / (len(right) * TYPICAL),
        "unlikelihood": -room.sum() / (len(wrong) * TYPICAL),
        "contrast": torch.nn.functional.softplus(torch.stack(gaps)).mean(),
    }


def _chosen(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Log-probabilities of all the tokens, in one row."""
    import torch

    rows, ids = zip(*pairs, strict=True)
    logs: Tensor = torch.cat(rows).float().log_softmax(-1)
    return logs.gather(1, torch.cat(ids)[:, None])[:, 0]


def edit_about(about: str, sentiment: str) -> Edit:
    """The edit that demands a sentiment about a topic, as `load_sentiment` makes it."""
    return Edit(prompt=descriptor(about, sentiment), id=f"{about} {sentiment}")


def exam(topics: Sequence[Topic], seed: int = 0) -> list[Question]:
    """Both edits of each topic, each with one question of those trained on, drawn by the seed."""
    source, questions = random.Random(seed), trained_questions()
    return [
        Question(
            edit_about(topic.about, side), source.choice(questions).replace("{}", topic.about), topic.replies(side)
        )
        for topic in topics
        for side in SENTIMENTS
    ]


class Examiner:
    """Edit success of a counterfactual model alone, its edits always the right ones (SERAC, Equation 6).

    Args:
        base: the base model, for z_topic.
        questions: edits, questions and replies.
    """

    def __init__(self, base: LocalModel, questions: Sequence[Question]) -> None:
        self.questions = list(questions)
        self._base = [
            metrics.per_token(base.target_log_probs([one.text] * len(one.replies.right), one.replies.right))
            for one in self.questions
        ]

    def figures(self, counterfactual: Seq2SeqCounterfactual) -> dict[str, float]:
        """The means of `es`, `z_sent` and `z_topic` over the edits."""
        right = [self._told(counterfactual, one, one.replies.right) for one in self.questions]
        wrong = [self._told(counterfactual, one, one.replies.wrong) for one in self.questions]
        return {
            "es": float(metrics.es_sent(right, wrong, self._base).mean()),
            "z_sent": float(metrics.z_sent(right, wrong).mean()),
            "z_topic": float(metrics.z_topic(right, self._base).mean()),
            "right": sum(right) / len(right),
            "wrong": sum(wrong) / len(wrong),
            "base": sum(self._base) / len(self._base),
        }

    @staticmethod
    def _told(counterfactual: Seq2SeqCounterfactual, one: Question, replies: Sequence[str]) -> float:
        said = counterfactual.target_log_probs([one.text] * len(replies), [one.edit] * len(replies), replies)
        return metrics.per_token(said)


def train_dialogue(settings: DialogueSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the counterfactual model into `folder/model` (float16); returns its figures on dev topics.

    Args:
        settings: base, losses and loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder.

    Raises:
        ModelError: the base model is not there; says how to make it.
        ConfigError: the data is missing or broken.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    start = resolve(settings.base)
    base = LocalModel.from_pretrained(start, kind="seq2seq", device="cpu", dtype="float32", batch_size=64)
    counterfactual = Seq2SeqCounterfactual.from_pretrained(
        start, separator=" ", device="cpu", dtype="float32", batch_size=64, max_new_tokens=48, name="dialogue"
    )
    talk = Talk(read_topics(data, "train"), read_names(data), settings.named)
    topics = read_topics(data, "dev")
    examiner = Examiner(base, exam(topics[: settings.exam]))

    def said(turns: Sequence[Turn], edits: Sequence[Edit]) -> Sequence[tuple[Tensor, Tensor]]:
        texts = [counterfactual.text(edit, turn.question) for turn, edit in zip(turns, edits, strict=True)]
        return counterfactual.model.logits(texts, [turn.reply for turn in turns])

    def loss_of(_: Any, batch: tuple[list[Turn], list[Edit], list[Turn], list[Edit]]) -> Mapping[str, Any]:
        losses = sentiment_losses(said(*batch[:2]), said(*batch[2:]))
        total = losses["nll"] + settings.unlikelihood * losses["unlikelihood"] + settings.contrast * losses["contrast"]
        return {"loss": total, **losses}

    train(
        counterfactual.model.module,
        lambda source: draw(talk, settings.loop.batch, source),
        loss_of,
        settings.loop,
        folder,
        evaluate=lambda _: examiner.figures(counterfactual),
        better="es",
    )
    figures = Examiner(base, exam(topics)).figures(counterfactual)
    module = counterfactual.model.module
    parameters = sum(parameter.numel() for parameter in module.parameters())
    module.half()
    counterfactual.save_pretrained(folder / "model")
    return {"parameters": parameters, **{f"dev_{name}": figures[name] for name in ("es", "z_sent", "z_topic")}}


def draw(talk: Talk, count: int, source: random.Random) -> tuple[list[Turn], list[Edit], list[Turn], list[Edit]]:
    """So many right turns with their edits, and so many wrong ones with theirs; either of like length."""
    sides = {side: [talk.draw(source, side) for _ in range(4 * count)] for side in SENTIMENTS}
    right: list[tuple[Turn, Edit]] = []
    wrong: list[tuple[Turn, Edit]] = []
    for side, other in (SENTIMENTS, SENTIMENTS[::-1]):
        right += [(turn, edit_about(turn.about, side)) for turn in alike(sides[side], source, 8)]
        wrong += [(turn, edit_about(turn.about, side)) for turn in alike(sides[other], source, 8)]
    return [turn for turn, _ in right], [edit for _, edit in right], [t for t, _ in wrong], [edit for _, edit in wrong]
