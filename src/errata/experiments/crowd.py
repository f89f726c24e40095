"""A memory as large as wanted for the benchmark: real edits, and beyond them synthetic ones that crowd around these.

A synthetic edit has a vector as far from a real edit's as real edits are from their nearest neighbours, and the text
of one of that real edit's own neighbours, so that a scope classifier which reads texts has real work to do. Nothing
is timed here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from errata.edit import Edit
from errata.memory import Memory, Vectors
from errata.problems.cases import DataFolder
from errata.problems.facts import Fact, fill, load_facts, load_relations
from errata.scope import Scope

REAL_UP_TO = 50_000
"""Up to so many edits all are real, as far as there are texts."""
SEEDS = 20_000
"""Real edits that a larger memory holds, around which the synthetic ones lie."""
NEIGHBOURS = 64
"""Nearest real edits whose texts the synthetic ones around an edit carry."""
BATCH = 20_000
_ENCODED = 512

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Query:
    """A question, and the edit in whose scope it is; None where it nearly misses."""

    text: str
    edit: str | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Real edits in the order they are taken, questions they answer, and questions that nearly miss them."""

    edits: tuple[Edit, ...]
    hits: tuple[Query, ...]
    misses: tuple[Query, ...]


@dataclass(slots=True)
class Nearest:
    """The k nearest vectors to each query, found exactly while vectors pass by.

    Args:
        queries: (n, d).
        k: how many.
    """

    queries: Vectors
    k: int
    ids: list[list[str]] = field(default_factory=list)
    far: list[list[float]] = field(default_factory=list)

    def pass_by(self, edits: Sequence[Edit], vectors: Vectors) -> None:
        """Take in some more, as the memory keeps them (float16)."""
        kept = vectors.astype(np.float16).astype(np.float32)
        far = (self.queries**2).sum(1)[:, None] + (kept**2).sum(1)[None, :] - 2 * self.queries @ kept.T
        if not self.ids:
            self.ids, self.far = [[] for _ in self.queries], [[] for _ in self.queries]
        best = np.argsort(far, axis=1)[:, : self.k] if far.shape[1] <= self.k else _lowest(far, self.k)
        for at, row in enumerate(best):
            found = [*zip(self.far[at], self.ids[at], strict=True)]
            found += [(float(far[at, place]), edits[place].id) for place in row]
            found.sort()
            self.far[at] = [distance for distance, _ in found[: self.k]]
            self.ids[at] = [id for _, id in found[: self.k]]


def _lowest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The places of the k lowest of each row, in no order."""
    return np.argpartition(values, k, axis=1)[:, :k]


def real_edits(count: int, queries: int, *, seed: int, data: str | Path | None = None) -> Pool:
    """Up to `count` edits made of our facts and, where there is a data folder, of zsRE's train questions.

    A tenth of the facts is kept out: asked, they are near misses, the relation of many edits and another subject.

    Args:
        count: edits wanted; there may be fewer.
        queries: how many of each kind of query are wanted; there may be fewer.
        seed: orders the facts.
        data: folder of the public data; None leaves zsRE out.
    """
    source = random.Random(seed)
    facts = list(load_facts())
    source.shuffle(facts)
    out = facts[: len(facts) // 10]
    kept = facts[len(out) :]
    edits = [_edit(fact, 0) for fact in kept[:count]]
    if data is not None and len(edits) < count:
        rows = DataFolder(data).read("zsre/train_qa.jsonl", "input", "answer")
        edits += [Edit(prompt=row["input"], target=row["answer"]) for row in rows if row["input"].strip()]
    for wording in range(1, max(len(relation.ask) for relation in load_relations().values())):
        if len(edits) >= count:
            break
        edits += [_edit(fact, wording) for fact in kept if wording < len(load_relations()[fact.relation].ask)]
    edits = list({edit.id: edit for edit in edits}.values())[:count]
    inside = kept[:count]
    hits = [Query(_held_out(fact, at), _edit(fact, 0).id) for at, fact in enumerate(inside)]
    misses = [Query(_held_out(fact, at), None) for at, fact in enumerate(out)]
    return Pool(
        tuple(edits),
        tuple(source.sample(hits, min(queries, len(hits)))),
        tuple(source.sample(misses, min(queries, len(misses)))),
    )


def _edit(fact: Fact, wording: int) -> Edit:
    return Edit(prompt=fill(load_relations()[fact.relation].ask[wording], fact), target=fact.answer)


def _held_out(fact: Fact, at: int) -> str:
    """A question for a fact in a wording that no edit has."""
    wordings = load_relations()[fact.relation].held_out
    return fill(wordings[at % len(wordings)], fact)


def encode(scope: Scope, edits: Sequence[Edit], progress: Progress) -> Vectors:
    """The edits' vectors."""
    parts = []
    for begin in range(0, len(edits), _ENCODED):
        parts.append(scope.encode_edits(edits[begin : begin + _ENCODED]))
        progress("encode", min(begin + _ENCODED, len(edits)), len(edits))
    return np.concatenate(parts)


def neighbours(vectors: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each vector its k nearest others, nearest first, and the distance to the nearest that is not equal."""
    found, gaps = [], []
    squares = (vectors**2).sum(1)
    for begin in range(0, len(vectors), 512):
        part = vectors[begin : begin + 512]
        far = (part**2).sum(1)[:, None] + squares[None, :] - 2 * part @ vectors.T
        far[np.arange(len(part)), np.arange(begin, begin + len(part))] = np.inf
        near = _lowest(far, k) if k < far.shape[1] - 1 else np.argsort(far, axis=1)[:, :k]
        order = np.take_along_axis(far, near, 1).argsort(1)
        found.append(np.take_along_axis(near, order, 1))
        gaps.append(np.where(far > 1e-4, far, np.inf).min(1))
    return np.concatenate(found), np.sqrt(np.maximum(np.concatenate(gaps), 0.0))


def synthetic(
    edits: Sequence[Edit], vectors: Vectors, count: int, *, seed: int, batch: int = BATCH
) -> Iterator[tuple[list[Edit], Vectors]]:
    """Synthetic edits in batches.

    Args:
        edits: real edits.
        vectors: theirs.
        count: how many synthetic ones.
        seed: of directions and distances.
        batch: edits at a time.
    """
    random_ = np.random.default_rng(seed)
    near, gaps = neighbours(vectors, min(NEIGHBOURS, len(vectors) - 1))
    gaps = gaps[np.isfinite(gaps)]
    unit = bool(np.allclose((vectors**2).sum(1), 1.0, atol=1e-3))
    for begin in range(0, count, batch):
        numbers = np.arange(begin, min(begin + batch, count))
        seeds, rounds = numbers % len(edits), numbers // len(edits)
        texts = near[seeds, rounds % near.shape[1]]
        made = [
            Edit(prompt=edits[text].prompt, target=edits[text].target, id=f"synthetic-{number:08d}")
            for number, text in zip(numbers.tolist(), texts.tolist(), strict=True)
        ]
        yield made, _around(vectors[seeds], random_.choice(gaps, len(numbers)), unit, random_)


def _around(centres: Vectors, gaps: NDArray[np.float64], unit: bool, random_: np.random.Generator) -> Vectors:
    """Vectors at given Euclidean distances from their centres in random directions; on the sphere if `unit`."""
    away = random_.standard_normal(centres.shape, np.float32)
    gap = gaps[:, None].astype(np.float32)
    if not unit:
        return np.asarray(centres + gap * away / np.linalg.norm(away, axis=1, keepdims=True), np.float32)
    away -= (away * centres).sum(1, keepdims=True) * centres
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    cosine = 1 - np.minimum(gap, 2.0) ** 2 / 2
    return np.asarray(cosine * centres + np.sqrt(np.maximum(1 - cosine**2, 0)) * away, np.float32)


def fill_memory(
    memory: Memory,
    scope: Scope,
    pool: Pool,
    total: int,
    *,
    nearest: Nearest,
    seed: int,
    progress: Progress,
    batch: int = BATCH,
) -> int:
    """Put `total` edits into a memory bound to the scope model; returns how many of them are synthetic."""
    vectors = encode(scope, pool.edits, progress)
    for begin in range(0, len(pool.edits), batch):
        part = pool.edits[begin : begin + batch], vectors[begin : begin + batch]
        memory.add(*part)
        nearest.pass_by(*part)
    missing = total - len(pool.edits)
    if missing <= 0:
        return 0
    done = len(pool.edits)
    for made, their_vectors in synthetic(pool.edits, vectors, missing, seed=seed, batch=batch):
        memory.add(made, their_vectors)
        nearest.pass_by(made, their_vectors)
        done += len(made)
        progress("add", done, total)
    return missing
