"""Score an editor that changed weights by how likely replies are to it (SERAC, section 4, Equations 6 and 7).

The counterpart of `likelihood` for editors without a scope: base and edited model are both asked every input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from errata import metrics
from errata.editors.weights import WeightEditor
from errata.errors import UnsupportedModel
from errata.experiments.likelihood import CHUNK, REMEDY, Inside, LikelihoodRow, Outside, sides
from errata.experiments.scoring import chunks
from errata.problems.cases import Problem


def check(subject: WeightEditor) -> None:
    """Refuse an editor of a model that tells no likelihoods of replies.

    Raises:
        UnsupportedModel: it does not.
    """
    if not hasattr(subject.model, "token_log_probs"):
        raise UnsupportedModel(
            f"{subject.model.name} does not tell how likely a reply is, which this problem scores; {REMEDY}"
        )


def rows(
    base: WeightEditor, part: Problem, number: int, seed: int, tell: Callable[[int], None]
) -> Iterator[LikelihoodRow]:
    """Make a batch's edits, and answer and score every input of it; see `likelihood.rows`.

    Args:
        base: the editor before any edit.
        part: cases with replies; out-of-scope inputs with reference replies.
        number: which batch it is; in every row.
        seed: the sampling seed; in every row.
        tell: told how many more inputs are done.

    Raises:
        UnsupportedEdit, ModelError: as `WeightEditor.edit`.
    """
    inside, outside = sides(part)
    if not inside and not outside:
        return
    edited = base.edit(*(case.edit for case in part.cases))
    before, after = base.base, edited.model
    for labelled in chunks(inside, CHUNK):
        yield from _in_rows(before, after, labelled, number, seed)
        tell(len(labelled))
    for unlabelled in chunks(outside, CHUNK):
        yield from _out_rows(before, after, unlabelled, number, seed)
        tell(len(unlabelled))


def _in_rows(before: Any, after: Any, part: Sequence[Inside], number: int, seed: int) -> Iterator[LikelihoodRow]:
    texts = [one.text for _, _, one in part]
    said, own = after.generate(texts), before.generate(texts)
    right = _averages(after, texts, [replies.right for _, replies, _ in part])
    wrong = _averages(after, texts, [replies.wrong for _, replies, _ in part])
    base = _averages(before, texts, [replies.right for _, replies, _ in part])
    sent, topic = metrics.z_sent(right, wrong), metrics.z_topic(right, base)
    for at, (edit, _, one) in enumerate(part):
        z_sent, z_topic = float(sent[at]), float(topic[at])
        yield LikelihoodRow(
            "in", one.kind, one.hard, one.text, own[at], said[at], edit.id, None, None, None,
            z_sent * z_topic >= 0.5, number, seed, log_right=right[at], log_wrong=wrong[at], log_base=base[at],
            z_sent=z_sent, z_topic=z_topic,
        )  # fmt: skip


def _out_rows(before: Any, after: Any, part: Sequence[Outside], number: int, seed: int) -> Iterator[LikelihoodRow]:
    texts = [one.text for _, one in part]
    said, own = after.generate(texts), before.generate(texts)
    for at, (edit, one) in enumerate(part):
        asked = [one.text] * len(one.replies)
        old, new = (np.concatenate(model.token_log_probs(asked, one.replies)) for model in (before, after))
        gap = float(metrics.kl_drawdown(old[None], new[None], np.ones((1, len(old))))[0])
        yield LikelihoodRow(
            "out", one.kind, one.hard, one.text, own[at], said[at], edit, None, None, None, said[at] == own[at], number,
            seed, kl=gap,
        )  # fmt: skip


def _averages(model: Any, texts: Sequence[str], replies: Sequence[Sequence[str]]) -> list[float]:
    """For each text the average log-likelihood per token of its replies."""
    asked = [(text, reply) for text, own in zip(texts, replies, strict=True) for reply in own]
    told = iter(model.target_log_probs([text for text, _ in asked], [reply for _, reply in asked]))
    return [metrics.per_token([next(told) for _ in own]) for own in replies]
