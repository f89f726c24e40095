"""Train the scope classifiers and the reader: Equation 2 (and 3) of SERAC on groups of one edit and inputs around it.

The dual network learns from every (input, edit) pair in a batch, not from the diagonal alone; the pair network learns
to judge and to answer in one pass. This module sees texts and tensors; it never sees a memory or a test file.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.backbone import find_backbone
from errata.models.network import KINDS, NetworkConfig, load_network, load_weights, new_network, save_network
from errata.models.pair import PairNetwork, span_scores, whole_target
from errata.models.saving import resolve
from errata.models.text import PairSpans, Texts, Tokens
from errata.scope.dual import DualScope
from errata.training.crowding import Crowd
from errata.training.dev import DevPair, calibrated, dev_figures
from errata.training.evidence import EvidenceDev, EvidenceSources, truth_odds
from errata.training.gating import gate_bound
from errata.training.group import Group, Inside
from errata.training.groups import SHARES, Sources
from errata.training.loop import LoopSettings, train

CHUNKS = 3
"""Parts a batch of pairs is run in."""
PROBLEMS = (*SHARES, "fact_check")
"""What a network can be trained for; "" is everything at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSettings:
    """A scope network and how it is trained."""

    problem: str = ""
    """What it is trained for: see `SHARES`, or "fact_check"; "" is everything at once."""
    start: str = ""
    """A shipped part, a folder or a hub id of a trained network of the same shape to begin with; "" begins anew."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The network's shape."""
    max_length: int = 72
    """Tokens kept of an input and of an edit while training."""
    outside: int = 3
    """Out-of-scope inputs of a group that are used."""
    alike: float = 0.0
    """Share of the groups that are about subjects which the shipped dual network takes for one another."""
    crowd: float = 0.0
    """Share of the groups with questions that `start`, or the shipped pair network, takes for an edit wrongly."""
    behind: str = "pair"
    """The network behind a gate: a shipped part, a folder or a hub id."""
    kept: float = 0.0
    """Share of the inputs in scope that a gate lets pass (pair): its bound is set for that; 0 for what is no gate."""
    all_negatives: bool = True
    """Whether every other edit of the batch is a negative (dual); the authors use the diagonal alone."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=4000, batch=12, lr=5e-4, warmup=200, precision="bf16", evaluate_every=1000, save_every=250
        )
    )
    """The training loop."""

    def __post_init__(self) -> None:
        if self.kept and not (self.start and self.network.shape == "pair" and 0 < self.kept < 1):
            raise ConfigError(
                "a gate is a pair network that starts from a trained one and keeps a share between 0 and 1", key="kept"
            )
        if self.problem not in PROBLEMS:
            raise ConfigError(f"problem {self.problem!r} is not known", key="problem", accepted=PROBLEMS)


EVIDENCE = ScopeSettings(
    problem="fact_check",
    network=NetworkConfig(shape="pair", rank=64, numbers=True),
    max_length=120,
    loop=LoopSettings(steps=4000, batch=32, lr=4e-4, warmup=200, precision="bf16", evaluate_every=500, save_every=250),
)
DUAL = ScopeSettings(
    network=NetworkConfig(shape="dual"),
    loop=LoopSettings(steps=1000, batch=20, lr=4e-4, warmup=100, precision="bf16", evaluate_every=500, save_every=100),
)
PAIR = ScopeSettings(network=NetworkConfig(shape="pair"))
GATE = ScopeSettings(
    start="pair",
    alike=0.25,
    crowd=0.3,
    kept=0.9995,
    network=NetworkConfig(shape="pair", layers=3),
    loop=LoopSettings(steps=2000, batch=12, lr=5e-4, warmup=100, precision="bf16", evaluate_every=0, save_every=100),
)


def tensors(tokens: Tokens) -> tuple[Any, Any, Any]:
    """A batch's three arrays as torch tensors."""
    import torch

    return torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask), torch.from_numpy(tokens.types)


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


# pair: one network judges and answers


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


# dual: inputs and edits apart


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


def in_chunks(make: Callable[[list[Any]], Tokens], items: Sequence[Any]) -> tuple[list[Any], Any]:
    """Token tensors of items in chunks of like length, and where each item's row is then found."""
    import torch

    order = sorted(range(len(items)), key=lambda at: len(str(items[at])))
    size = max(1, -(-len(items) // CHUNKS))
    chunks = [tensors(make([items[at] for at in order[begin : begin + size]])) for begin in range(0, len(order), size)]
    return chunks, torch.tensor(order).argsort()


def embed(module: Any, chunked: tuple[list[Any], Any]) -> Any:
    """Vectors of chunked items, in the items' own order."""
    import torch

    chunks, rows = chunked
    return torch.cat([module(*chunk).float() for chunk in chunks])[rows]


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


def train_scope(settings: ScopeSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train one scope network into `folder/model`; returns its dev figures.

    Args:
        settings: the network and its loop.
        folder: checkpoints, log and the finished network.
        data: the public data's folder.

    Raises:
        ModelError: the network to start from is of another shape.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    module = new_network(settings.network)
    if settings.start:
        load_weights(module, resolve(settings.start), cut=bool(settings.network.layers))
    backbone = find_backbone(settings.network.backbone)
    texts = Texts(backbone, max_length=settings.max_length, numbers=settings.network.numbers)
    if settings.problem == "fact_check":
        calibration, figures = _train_evidence(module, texts, settings, folder, data)
    else:
        calibration, figures = _train_questions(module, texts, settings, folder, data)
    save_network(module, replace(settings.network, calibration=calibration), folder / "model")
    return figures


def _widen(sources: Sources, settings: ScopeSettings) -> None:
    """Have the sources also draw what the networks, as they are, mistake."""
    dual = DualScope.from_pretrained() if settings.alike or settings.crowd else None
    if dual and settings.crowd:
        reader = PairNetwork(resolve(settings.start or "pair"))
        crowd = Crowd(
            sources, dual.encode_inputs, dual.encode_edits,
            lambda triples: [one.probability for one in reader.read(triples)], seed=settings.loop.seed,
        )  # fmt: skip
        sources.beside.append((settings.crowd, crowd.group))
    if dual and settings.alike:
        sources.learn_alike(dual.encode_inputs)
        sources.beside.append((settings.alike, sources.alike_group))


def _train_questions(
    module: Any, texts: Texts, settings: ScopeSettings, folder: Path, data: Path
) -> tuple[dict[str, float], Mapping[str, float]]:
    """Train on questions; returns the calibration and the dev figures."""
    sources = Sources(data, seed=settings.loop.seed, problem=settings.problem)
    _widen(sources, settings)
    pair = settings.network.shape == "pair"
    make, loss, score = (pair_batch, pair_loss, pair_scores) if pair else (dual_batch, dual_loss, dual_scores)
    dev = DevPair.read(data, sources)

    def batch_at(source: random.Random) -> Any:
        return make(sources.batch(source, settings.loop.batch), texts, settings, source)

    def evaluate(network: Any) -> Mapping[str, float]:
        return dev_figures(score(network, texts, [item.triple for item in dev]), dev).figures

    train(module, batch_at, loss, settings.loop, folder, evaluate=evaluate, better="balance")
    report = dev_figures(score(module, texts, [item.triple for item in dev]), dev)
    calibration = calibrated(report.scores, report.inside, None if pair else module)
    if pair:
        calibration["whole"] = whole_bonus(module, texts, dev, sources)
    if settings.kept:
        behind = load_network(resolve(settings.behind))
        calibration["bound"] = gate_bound(
            lambda triples: pair_scores(module, texts, triples),
            lambda triples: pair_scores(behind, texts, triples),
            dev, sources, kept=settings.kept,
        )  # fmt: skip
    return calibration, report.figures


def _train_evidence(
    module: Any, texts: Texts, settings: ScopeSettings, folder: Path, data: Path
) -> tuple[dict[str, float], Mapping[str, float]]:
    """Train on evidence and claims; returns the calibration and the dev figures. A dual network gives no verdict."""
    import numpy as np

    sources = EvidenceSources(data)
    dev = EvidenceDev.read(data)
    pair = settings.network.shape == "pair"
    make, loss = (pair_batch, pair_loss) if pair else (dual_batch, dual_loss)

    def batch_at(source: random.Random) -> Any:
        return make(sources.batch(source, settings.loop.batch), texts, settings, source)

    def scores(network: Any) -> tuple[Any, Any]:
        if pair:
            odds, kinds = pair_logits(network, texts, dev.triples)
            return odds, truth_odds(kinds, KINDS)
        odds = dual_scores(network, texts, dev.triples)
        return odds, np.zeros_like(odds)

    train(
        module, batch_at, loss, settings.loop, folder,
        evaluate=lambda network: dev.figures(*scores(network)), better="balance" if pair else "scope",
    )  # fmt: skip
    odds, truth = scores(module)
    told = dev.hard_or_inside()
    calibration = calibrated(odds[told], dev.inside()[told], None if pair else module)
    return calibration, dev.figures(odds, truth)
