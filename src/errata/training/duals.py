"""The dual network in training: its batches, its loss, what it scores. Inputs and edits are encoded apart.

Equation 2 of SERAC on every (input, edit) pair of a batch, not on the diagonal alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from errata.models.text import Texts
from errata.training.group import Group
from errata.training.tensors import embed, in_chunks, tensors

if TYPE_CHECKING:
    from errata.training.scope import ScopeSettings


def dual_batch(groups: Sequence[Group], texts: Texts, settings: ScopeSettings, source: random.Random) -> Any:
    """Inputs, edits, and for each (input, edit) whether the one is in the scope of the other (-1: not told)."""
    import torch

    edits = [(group.prompt, group.target) for group in groups]
    keys = [group.key for group in groups]
    inputs: list[tuple[str, int, bool]] = []
    rivals: list[str] = []
    for at, group in enumerate(groups):
        inputs += [(item.text, at, True) for item in group.inside]
        outside = source.sample(group.outside, min(settings.outside, len(group.outside)))
        inputs += [(text, at, False) for text in outside]
        if outside:  # what lies outside one edit is made an edit of its own, to be told apart when searching
            rivals.append(outside[0])
            edits.append((outside[0], source.choice(groups).target))
    labels = torch.zeros(len(inputs), len(edits))
    for row, (text, at, inside) in enumerate(inputs):
        for column in range(len(edits)):
            own = column == at
            if column < len(groups):
                if inside and (own or keys[column] == keys[at]):
                    labels[row, column] = 1.0
                elif not own and (not settings.all_negatives or keys[column] == keys[at]):
                    labels[row, column] = -1.0
            elif rivals[column - len(groups)] == text:
                labels[row, column] = -1.0
    owners = torch.tensor([at if inside else -1 for _, at, inside in inputs])
    asked = [text for text, _, _ in inputs]
    return in_chunks(texts.singles, asked), in_chunks(texts.edits, edits), labels, owners


def dual_loss(module: Any, batch: Any) -> Mapping[str, Any]:
    """Balanced binary cross-entropy over all pairs of the batch, plus telling the own edit from the others."""
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    inputs, edits, labels, owners = batch
    core = getattr(module, "module", module)
    left, right = embed(module, inputs), embed(module, edits)
    distances = (2 - 2 * left @ right.T).clamp(min=0)
    odds = core.log_odds(distances)
    each = binary_cross_entropy_with_logits(odds, labels.clamp(min=0), reduction="none")
    inside, outside = labels == 1, labels == 0
    # the hardest quarter of the negatives carries the gradient; the rest are long learnt
    hard = each[outside].topk(max(1, int(outside.sum()) // 4)).values
    judged = each[inside].mean() + hard.mean()
    rows = owners >= 0
    masked = odds.masked_fill((labels != 0) & ~_own(labels, owners), -1e4)
    told = cross_entropy(masked[rows], owners[rows])
    hit = (odds > 0).float()
    return {
        "loss": judged + told,
        "scope": judged,
        "told": told,
        "in": hit[inside].mean(),
        "out": 1 - hit[outside].mean(),
        "top1": (masked[rows].argmax(-1) == owners[rows]).float().mean(),
    }


def _own(labels: Any, owners: Any) -> Any:
    import torch

    own = torch.zeros_like(labels, dtype=torch.bool)
    rows = owners >= 0
    own[torch.nonzero(rows).squeeze(-1), owners[rows]] = True
    return own


def dual_scores(module: Any, texts: Texts, pairs: Sequence[tuple[str, str, str]], *, batch: int = 128) -> Any:
    """Scope log-odds of (input, prompt, target) triples."""
    import numpy as np
    import torch

    out = np.zeros(len(pairs), np.float32)
    for begin in range(0, len(pairs), batch):
        part = pairs[begin : begin + batch]
        with torch.inference_mode():
            left = module(*tensors(texts.singles([text for text, _, _ in part])))
            right = module(*tensors(texts.edits([(prompt, target) for _, prompt, target in part])))
            out[begin : begin + len(part)] = module.log_odds(((left - right) ** 2).sum(-1)).float().numpy()
    return out
