"""Score an editor by how likely replies are to it, where edits demand a manner and no exact answer (SERAC, section 4).

In scope a row's figure is z_sent times z_topic (Equation 6), out of scope the KL divergence per token between base and
editor (Equation 7). Every input takes the editor's one path: where an edit fires, the likelihoods are those of the
counterfactual model under that edit, right or not; elsewhere they are the base's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from errata import metrics
from errata.counterfactual import OpenCounterfactual
from errata.edit import Edit
from errata.editors.likelihoods import open_base, open_counterfactual, share_vocabulary
from errata.editors.serac import Serac
from errata.experiments.scoring import Row, chunks, decided
from errata.models import OpenModel
from errata.problems.cases import Labelled, Problem, Replies, Unlabelled

CHUNK = 32
MEANING = (
    "likelihoods: es is z_sent times z_topic, of the average log-likelihood per token (the end of a reply included) of"
    " the topic's reference replies; dd is KL(base || editor) per token of those replies, 0 where no edit fired; where"
    " none fired at all, dd_ci bounds the share of inputs on which one fires"
)
"""What `es` and `dd` are here, for a report's config."""
REMEDY = "this problem scores it: give parts made for it, model='chat' and counterfactual='dialogue'"

Inside = tuple[Edit, Replies, Labelled]
Outside = tuple[str | None, Unlabelled]


@dataclass(frozen=True, slots=True)
class LikelihoodRow(Row):
    """A row scored by likelihoods; `expected` is the base's own reply and `answer` the editor's, both greedy.

    Args:
        log_right: average log-likelihood per token of the replies of the sentiment demanded, to the editor.
        log_wrong: the same of the other replies.
        log_base: the same of the first, to the base.
        z_sent: see `metrics.z_sent`.
        z_topic: see `metrics.z_topic`.
        kl: out of scope, the divergence per token.
    """

    log_right: float | None = None
    log_wrong: float | None = None
    log_base: float | None = None
    z_sent: float | None = None
    z_topic: float | None = None
    kl: float | None = None

    @property
    def value(self) -> float:
        """Edit success (Equation 6) in scope, divergence (Equation 7) out of it."""
        if self.z_sent is None or self.z_topic is None:
            return self.kl or 0.0
        return self.z_sent * self.z_topic

    def more(self) -> dict[str, float]:
        """The two factors of edit success."""
        return {"z_sent": self.z_sent or 0.0, "z_topic": self.z_topic or 0.0}


def by_likelihood(problem: Problem) -> bool:
    """Whether the problem's edits demand a manner, so that replies are scored and not one answer."""
    return any(case.replies for case in problem.cases)


def check(subject: Serac) -> None:
    """Refuse an editor whose parts do not tell likelihoods over one vocabulary.

    Raises:
        UnsupportedModel: a part tells none (a remote model, the reader), or their vocabularies differ.
    """
    share_vocabulary(*_parts(subject), REMEDY)


def rows(subject: Serac, part: Problem, number: int, seed: int, tell: Callable[[int], None]) -> Iterator[Row]:
    """Every input of a batch, answered and scored.

    Args:
        subject: an editor that holds the batch's edits; `check` has accepted it.
        part: cases with replies; out-of-scope inputs with reference replies.
        number: which batch it is; in every row.
        seed: the sampling seed; in every row.
        tell: told how many more inputs are done.

    Raises:
        UnsupportedModel: as `check`.
        ModelError: a part failed.
    """
    inside, outside = sides(part)
    for labelled in chunks(inside, CHUNK):
        yield from (replace(row, batch=number, seed=seed) for row in _in_rows(subject, labelled))
        tell(len(labelled))
    for unlabelled in chunks(outside, CHUNK):
        yield from (replace(row, batch=number, seed=seed) for row in _out_rows(subject, unlabelled))
        tell(len(unlabelled))


def sides(part: Problem) -> tuple[list[Inside], list[Outside]]:
    """A batch's inputs in scope, each with its edit and replies, and those out of it."""
    inside = [(case.edit, case.replies, one) for case in part.cases if case.replies for one in case.in_scope]
    outside: list[Outside] = [(case.edit.id, one) for case in part.cases for one in case.out_of_scope]
    return inside, outside + [(None, one) for one in part.shared]


def _in_rows(subject: Serac, part: Sequence[Inside]) -> Iterator[Row]:
    texts = [one.text for _, _, one in part]
    answers, bases = subject.generate(texts), subject.model.generate(texts)
    edits = [answer.decision.match.edit if answer.decision.match else None for answer in answers]
    right = _averages(subject, texts, edits, [replies.right for _, replies, _ in part])
    wrong = _averages(subject, texts, edits, [replies.wrong for _, replies, _ in part])
    base = _averages(subject, texts, [None] * len(texts), [replies.right for _, replies, _ in part])
    sent, topic = metrics.z_sent(right, wrong), metrics.z_topic(right, base)
    for at, (edit, _, one) in enumerate(part):
        z_sent, z_topic = float(sent[at]), float(topic[at])
        matched, score, nearest = decided(answers[at].decision)
        yield LikelihoodRow(
            "in", one.kind, one.hard, one.text, bases[at], answers[at].text, edit.id, matched, score, nearest,
            right=z_sent * z_topic >= 0.5, log_right=right[at], log_wrong=wrong[at], log_base=base[at], z_sent=z_sent,
            z_topic=z_topic,
        )  # fmt: skip


def _out_rows(subject: Serac, part: Sequence[Outside]) -> Iterator[Row]:
    """Only where an edit fired are both asked; elsewhere the editor's likelihoods are the base's own."""
    decisions = subject.decide([one.text for _, one in part])
    texts = [one.text for (_, one), decision in zip(part, decisions, strict=True) if decision.match]
    answers = iter(subject.generate(texts) if texts else [])
    bases = iter(subject.model.generate(texts) if texts else [])
    for (edit, one), decision in zip(part, decisions, strict=True):
        told = decided(decision)
        if decision.match is None:
            yield LikelihoodRow("out", one.kind, one.hard, one.text, None, None, edit, *told, right=True, kl=0.0)
            continue
        gap = divergence(subject, one.text, decision.match.edit, one.replies)
        before, after = next(bases), next(answers).text
        yield LikelihoodRow("out", one.kind, one.hard, one.text, before, after, edit, *told, right=gap == 0, kl=gap)


def pooled(said: Sequence[Row]) -> float | None:
    """Edit success as SERAC's released code has it: likelihoods averaged over a batch first, then Equation 6.

    The inputs of a batch weigh alike here (the code pools their tokens); the figure is the mean over batches. None
    where no row was scored by likelihoods. One edit's large margin makes up for another's small one, so it is the
    higher of the two figures.
    """
    batches: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    for row in said:
        if isinstance(row, LikelihoodRow) and None not in (row.log_right, row.log_wrong, row.log_base):
            one = (row.log_right or 0.0, row.log_wrong or 0.0, row.log_base or 0.0)
            batches.setdefault((row.seed, row.batch), []).append(one)
    if not batches:
        return None
    right, wrong, base = zip(*(np.mean(rows, axis=0) for rows in batches.values()), strict=True)
    return float(metrics.es_sent(right, wrong, base).mean())


def divergence(subject: Serac, text: str, edit: Edit, replies: Sequence[str]) -> float:
    """KL(base || counterfactual under the edit) per token of the reference replies (SERAC, Equation 7), in nats.

    Raises:
        UnsupportedModel: as `check`.
    """
    base, counterfactual = _parts(subject)
    texts = [text] * len(replies)
    before = np.concatenate(base.token_log_probs(texts, replies))
    after = np.concatenate(counterfactual.token_log_probs(texts, [edit] * len(replies), replies))
    return float(metrics.kl_drawdown(before[None], after[None], np.ones((1, len(before))))[0])


def _averages(
    subject: Serac, texts: Sequence[str], edits: Sequence[Edit | None], replies: Sequence[Sequence[str]]
) -> list[float]:
    """For each text the average log-likelihood per token of its replies, to the base where there is no edit."""
    base, counterfactual = _parts(subject)
    found: dict[tuple[int, int], Any] = {}
    for fired in (False, True):
        asked = [
            (at, n) for at, edit in enumerate(edits) if (edit is not None) == fired for n in range(len(replies[at]))
        ]
        if not asked:
            continue
        inputs, targets = [texts[at] for at, _ in asked], [replies[at][n] for at, n in asked]
        if fired:
            under = [edit for at, _ in asked if (edit := edits[at]) is not None]
            told = counterfactual.target_log_probs(inputs, under, targets)
        else:
            told = base.target_log_probs(inputs, targets)
        found.update(zip(asked, told, strict=True))
    return [metrics.per_token([found[at, n] for n in range(len(said))]) for at, said in enumerate(replies)]


def _parts(subject: Serac) -> tuple[OpenModel, OpenCounterfactual]:
    base = open_base(subject.model, REMEDY)
    return base, open_counterfactual(subject.counterfactual, base, REMEDY)
