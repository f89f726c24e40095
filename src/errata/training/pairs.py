"""The pair network in training: its batches, its loss, what it scores. One network judges and answers.

Equations 2 and 3 of SERAC on groups of one edit and inputs around it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from errata.models.network import KINDS
from errata.models.pair import span_scores, whole_target
from errata.models.text import PairSpans, Texts
from errata.training.dev import DevPair
from errata.training.group import Group, Inside
from errata.training.groups import Sources
from errata.training.tensors import CHUNKS, tensors

if TYPE_CHECKING:
    from errata.training.scope import ScopeSettings


def locate(answer: str, prompt: str, target: str, spans: PairSpans) -> tuple[int, int] | None:
    """First and last token of the answer in the pair, looked for in the target, then in the prompt; None if absent."""
    for part, text in ((1, target), (0, prompt)):
        at = text.find(answer)
        if at < 0:
            at = text.lower().find(answer.lower())
        if not answer or at < 0:
            continue
        inside = [
            i
            for i, (own, start, end) in enumerate(spans.offsets)
            if own == part and end > at and start < at + len(answer)
        ]
        if inside:
            return spans.first + inside[0], spans.first + inside[-1]
    return None


def pair_batch(groups: Sequence[Group], texts: Texts, settings: ScopeSettings, source: random.Random) -> Any:
    """(input, edit) pairs of a batch of groups with their labels."""
    import torch

    pairs: list[tuple[str, str, str]] = []
    labels: list[float] = []
    asked: list[Inside | None] = []
    for at, group in enumerate(groups):
        outside = source.sample(group.outside, min(settings.outside, len(group.outside)))
        stranger = groups[(at + 1) % len(groups)]
        if at % 3 == 0 and stranger.key != group.key and stranger.inside:
            outside.append(stranger.inside[0].text)
        for one in group.inside:
            pairs.append((one.text, group.prompt, group.target))
            labels.append(1.0)
            asked.append(one)
        for text in outside:
            pairs.append((text, group.prompt, group.target))
            labels.append(0.0)
            asked.append(None)
    # pairs of like length run together: a long one must not pad all others
    order = sorted(range(len(pairs)), key=lambda at: sum(map(len, pairs[at])))
    pairs, labels, asked = (
        [pairs[at] for at in order],
        [labels[at] for at in order],
        [asked[at] for at in order],
    )
    size = -(-len(pairs) // CHUNKS)
    chunks, spans = [], []
    for begin in range(0, len(pairs), size):
        tokens, where = texts.pairs(pairs[begin : begin + size])
        chunks.append(tensors(tokens))
        spans += where
    kinds = torch.full((len(pairs),), -100)
    starts, ends = kinds.clone(), kinds.clone()
    for at, item in enumerate(asked):
        if item is None or item.kind == "none":
            continue
        found = locate(item.answer, pairs[at][1], pairs[at][2], spans[at]) if item.kind == "span" else None
        if item.kind == "span" and found is None:
            continue
        kinds[at] = KINDS.index(item.kind)
        if found:
            starts[at], ends[at] = found
    return chunks, torch.tensor(labels), kinds, starts, ends


def _balanced(odds: Any, labels: Any) -> Any:
    """Binary cross-entropy in which the inputs in scope weigh as much as those outside (Equation 2)."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    each = binary_cross_entropy_with_logits(odds, labels, reduction="none")
    inside = (each * labels).sum() / labels.sum().clamp(min=1)
    return inside + (each * (1 - labels)).sum() / (1 - labels).sum().clamp(min=1)


def pair_loss(module: Any, batch: Any) -> Mapping[str, Any]:
    """Balanced binary cross-entropy of the scope (Equation 2) plus the answer's likelihood (Equation 3, as a span)."""
    import torch
    from torch.nn.functional import cross_entropy

    chunks, labels, kinds, starts, ends = batch
    out = [[part.float() for part in module(*chunk)] for chunk in chunks]
    scope, kind = torch.cat([part[0] for part in out]), torch.cat([part[1] for part in out])
    judged = _balanced(scope, labels)
    none = torch.zeros(())
    known = (starts >= 0).sum().clamp(min=1)
    read, begin = none, 0
    for (_, mask, _), (_, _, start, end) in zip(chunks, out, strict=True):
        rows = slice(begin, begin + len(mask))
        for logits, wanted in ((start, starts[rows]), (end, ends[rows])):
            hidden = logits.masked_fill(mask == 0, -1e4)
            read = read + cross_entropy(hidden, wanted, reduction="sum") / (2 * known)
        begin += len(mask)
    said = cross_entropy(kind, kinds) if (kinds >= 0).any() else none
    right = ((scope > 0) == (labels > 0)).float()
    return {
        "loss": judged + 0.5 * read + said,
        "scope": judged,
        "span": read,
        "kind": said,
        "in": (right * labels).sum() / labels.sum().clamp(min=1),
        "out": (right * (1 - labels)).sum() / (1 - labels).sum().clamp(min=1),
    }


def pair_logits(
    module: Any, texts: Texts, pairs: Sequence[tuple[str, str, str]], *, batch: int = 64
) -> tuple[Any, Any]:
    """Scope log-odds (n,) and kind logits (n, kinds) of (input, prompt, target) triples."""
    import numpy as np
    import torch

    order = sorted(range(len(pairs)), key=lambda at: sum(map(len, pairs[at])))
    odds, kinds = np.zeros(len(pairs), np.float32), np.zeros((len(pairs), len(KINDS)), np.float32)
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        with torch.inference_mode():
            out = module(*tensors(texts.pairs([pairs[at] for at in part])[0]))
            odds[part], kinds[part] = out[0].float().numpy(), out[1].float().numpy()
    return odds, kinds


def pair_scores(module: Any, texts: Texts, pairs: Sequence[tuple[str, str, str]]) -> Any:
    """Scope log-odds of (input, prompt, target) triples."""
    return pair_logits(module, texts, pairs)[0]


def whole_bonus(module: Any, texts: Texts, dev: Sequence[DevPair], sources: Sources, *, count: int = 600) -> float:
    """What a span gains for being the whole target, so that short answers are neither cut nor parts missed.

    Half of the examples are dev rephrases (the answer is the whole target), half are questions that an answer entails
    (it is a part of the edit); the bonus is the one under which most of both are read rightly.
    """
    import numpy as np
    import torch

    source = random.Random(0)
    asked = [(pair.triple, pair.triple[2]) for pair in dev if pair.part == "in"][:count]
    while len(asked) < 2 * count:
        group = sources.squad_group(source)
        asked.append(((group.inside[0].text, group.prompt, group.target), group.inside[0].answer))
    margins: dict[bool, list[float]] = {True: [], False: []}
    for begin in range(0, len(asked), 64):
        part = asked[begin : begin + 64]
        tokens, spans = texts.pairs([triple for triple, _ in part])
        with torch.inference_mode():
            _, _, start, end = (out.float().numpy() for out in module(*tensors(tokens)))
        for row, ((_, prompt, target), answer) in enumerate(part):
            gold, whole = locate(answer, prompt, target, spans[row]), whole_target(spans[row])
            if gold is None or whole is None:
                continue
            score = span_scores(start[row], end[row], spans[row])
            found = (gold[0] - spans[row].first, gold[1] - spans[row].first)
            own, score[whole] = float(score[whole]), -np.inf
            rival = float(score.max())
            if found == whole:
                margins[True].append(own - rival)
            elif np.isfinite(rival) and score[found] == rival:
                margins[False].append(rival - own)
    grid = [step / 4 for step in range(33)]
    right = [
        float(np.mean([m + bonus > 0 for m in margins[True]]) + np.mean([m > bonus for m in margins[False]]))
        for bonus in grid
    ]
    best = np.flatnonzero(np.array(right) >= max(right) - 1e-9)
    return grid[int(best[len(best) // 2])]  # the middle of the plateau
