"""Batches of edits with inputs, as editors are trained and measured in the papers (SERAC, section 5: k = 10).

A batch is k edits, each with one input in its scope and one out of every scope of the batch. What is out of one edit's
scope may be in another's, and then a batch would demand two answers of one input: none does. Texts are compared
normalised. `batches` draws one input of either side, to train on; `split` keeps them all, to measure on. This module
draws; it reads no file and sees no model.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled
from errata.problems.held_out import normalise

APART = {"fact_check": "page_group", "sentiment": "topic", "fever_copy": "page"}
"""Of whose edits no two of a batch may share a value of their `meta`, and which."""
OTHER_EDIT = "other_edit"
"""The kind of an out-of-scope input that is in the scope of an edit of another batch."""


@dataclass(frozen=True, slots=True)
class Item:
    """One edit of a batch with its inputs.

    Args:
        edit: the edit.
        inside: an input in its scope; None where it has none (SERAC, Table 1: some FC edits have only an out-of-scope
            input).
        outside: an input in the scope of no edit of the batch.
    """

    edit: Edit
    inside: Labelled | None
    outside: Unlabelled


@dataclass(frozen=True, slots=True)
class _Entry:
    """A case with what it is compared by."""

    case: EditCase
    scope: frozenset[str]
    group: str


def batches(
    problem: Problem, k: int, *, seed: int = 0, hard: float = 0.5, apart: str = "", complete: bool = False
) -> Iterator[tuple[Item, ...]]:
    """One pass over a problem's edits in batches of k; another seed makes another pass, the same seed the same.

    Edits come in a random order, each at most once. One that shares an in-scope text with an edit of the batch, or its
    group, waits for a later batch; at the end those that fill no batch are left.

    The input in scope is drawn from the edit's own. The input out of scope is drawn with probability `hard` (where the
    edit has no input in scope, always) from those made for the edit, and otherwise from the problem's shared ones and
    from what is in the scope of edits outside the batch; where none of the one sort will do, the other serves. The
    kinds that the problem keeps apart are not drawn, and no input out of scope stands twice in a batch.

    Args:
        problem: cases and shared inputs.
        k: edits a batch.
        seed: of everything drawn.
        hard: how often an out-of-scope input is one made for the edit, SERAC's "hard" ones; its released code takes
            0.5, by batch.
        apart: a key of the edits' `meta`; no two edits of a batch have one value there ("page_group" for fact_check,
            whose claims of a page may be in the scope of all the page's edits). Empty keeps nothing apart.
        complete: whether edits without an input in scope are left out, so that a batch has k of them.

    Raises:
        ConfigError: k or `hard` is out of range, an edit lacks the key, or not even one batch can be made; while
            drawing, no out-of-scope input is left for an edit.
    """
    if not 0 <= hard <= 1:
        raise ConfigError(f"hard must be between 0 and 1, not {hard}", key="hard")
    source = random.Random(seed)
    entries = _shuffled(problem, k, source, apart, complete=complete)
    return _drawn(entries, k, _Pool(problem, entries), source, hard)


def split(problem: Problem, k: int, *, seed: int = 0, apart: str = "") -> tuple[Problem, ...]:
    """A whole problem in batches of k edits, each a problem of its own: what the papers' tables are measured on.

    A batch has k edits with all their inputs, and its share of the problem's shared inputs, which are dealt out evenly:
    each goes to one batch. Left out is what would be asked as out of scope beside an edit in whose scope it is: where
    it was made for another edit of the batch; a shared input goes to a batch where it is not. Edits that fill no batch
    are left, with their inputs.

    Args:
        problem: cases and shared inputs.
        k: edits a batch.
        seed: of the order of edits and of shared inputs.
        apart: see `batches`.

    Raises:
        ConfigError: k is out of range, an edit lacks the key, or not even one batch can be made.
    """
    source = random.Random(seed)
    waiting: Sequence[_Entry] = _shuffled(problem, k, source, apart)
    found: list[list[_Entry]] = []
    chosen, waiting = _compatible(waiting, k)
    while len(chosen) == k:
        found.append(chosen)
        chosen, waiting = _compatible(waiting, k)
    scopes = [frozenset().union(*(entry.scope for entry in batch)) for batch in found]
    dealt = _dealt(problem.shared, scopes, source)
    return tuple(
        replace(problem, cases=tuple(_beside(entry.case, scope) for entry in batch), shared=tuple(shared))
        for batch, scope, shared in zip(found, scopes, dealt, strict=True)
    )


def limited(parts: Sequence[Problem], limit: int | None, seed: int) -> tuple[Problem, ...]:
    """Batches with at most `limit` inputs of each kind in all of them together; see `Problem.limited`."""
    if limit is None:
        return tuple(parts)
    cases = tuple(case for part in parts for case in part.cases)
    shared = tuple(one for part in parts for one in part.shared)
    whole = replace(parts[0], cases=cases, shared=shared).limited(limit, seed)
    left, kept = iter(whole.cases), {id(one) for one in whole.shared}
    return tuple(
        replace(
            part,
            cases=tuple(next(left) for _ in part.cases),
            shared=tuple(one for one in part.shared if id(one) in kept),
        )
        for part in parts
    )


def compared(text: str) -> str:
    """What two texts are compared by; one without an ASCII letter or digit by itself."""
    return normalise(text) or text.strip().casefold()


def _shuffled(problem: Problem, k: int, source: random.Random, apart: str, *, complete: bool = False) -> list[_Entry]:
    """The problem's edits in a random order, if they make a batch of k."""
    if k < 1:
        raise ConfigError(f"k must be 1 or more, not {k}", key="k")
    entries = [_entry(case, apart) for case in problem.cases if case.in_scope or not complete]
    source.shuffle(entries)
    found = len(_compatible(entries, k)[0])
    if found < k:
        raise ConfigError(f"{problem.name} has no {k} edits whose scopes keep apart; {found} were found", key="k")
    return entries


def _beside(case: EditCase, scope: frozenset[str]) -> EditCase:
    """The case without the out-of-scope inputs that are in this scope."""
    return replace(case, out_of_scope=tuple(one for one in case.out_of_scope if compared(one.text) not in scope))


def _dealt(
    shared: Sequence[Unlabelled], scopes: Sequence[frozenset[str]], source: random.Random
) -> list[list[Unlabelled]]:
    """The shared inputs, dealt out to batches in turn; one in a batch's scope goes to the next that it is not in."""
    dealt: list[list[Unlabelled]] = [[] for _ in scopes]
    turn = deque(range(len(scopes)))
    for one in source.sample(list(shared), len(shared)):
        name = compared(one.text)
        at = next((at for at in turn if name not in scopes[at]), None)
        if at is not None:
            dealt[at].append(one)
            turn.remove(at)
            turn.append(at)
    return dealt


def _entry(case: EditCase, apart: str) -> _Entry:
    if apart and apart not in case.edit.meta:
        raise ConfigError(f"edit {case.edit.id} has no {apart!r} in its meta", key=apart, accepted=case.edit.meta)
    scope = frozenset(map(compared, (case.edit.prompt, *(one.text for one in case.in_scope))))
    return _Entry(case, scope, case.edit.meta[apart] if apart else "")


def _drawn(
    waiting: Sequence[_Entry], k: int, pool: _Pool, source: random.Random, hard: float
) -> Iterator[tuple[Item, ...]]:
    chosen, waiting = _compatible(waiting, k)
    while len(chosen) == k:
        yield tuple(_items(chosen, pool, source, hard))
        chosen, waiting = _compatible(waiting, k)


def _compatible(waiting: Sequence[_Entry], k: int) -> tuple[list[_Entry], list[_Entry]]:
    """The first k of those waiting that keep apart, fewer where there are no more; and those that wait on."""
    chosen: list[_Entry] = []
    others: list[_Entry] = []
    scope: set[str] = set()
    groups: set[str] = set()
    for at, entry in enumerate(waiting):
        if len(chosen) == k:
            return chosen, [*others, *waiting[at:]]
        if scope.isdisjoint(entry.scope) and (not entry.group or entry.group not in groups):
            chosen.append(entry)
            scope |= entry.scope
            groups.add(entry.group)
        else:
            others.append(entry)
    return chosen, others


class _Pool:
    """Out-of-scope inputs: an edit's own, the shared ones, and what is in the scope of edits elsewhere."""

    def __init__(self, problem: Problem, entries: Sequence[_Entry]) -> None:
        self.apart = problem.apart
        self.far = [(one, "") for one in problem.shared if one.kind not in self.apart]
        self.far += [
            (Unlabelled(one.text, OTHER_EDIT), entry.group) for entry in entries for one in entry.case.in_scope
        ]

    def own(self, case: EditCase, taken: set[str]) -> list[Unlabelled]:
        """Those made for the edit that will do."""
        return [one for one in case.out_of_scope if one.kind not in self.apart and compared(one.text) not in taken]

    def other(self, taken: set[str], groups: set[str], source: random.Random) -> Unlabelled | None:
        """The next of the others that will do, from a random place on; None where none will."""
        begin = source.randrange(len(self.far)) if self.far else 0
        for at in range(len(self.far)):
            one, group = self.far[(begin + at) % len(self.far)]
            if compared(one.text) not in taken and (not group or group not in groups):
                return one
        return None


def _items(chosen: Sequence[_Entry], pool: _Pool, source: random.Random, hard: float) -> Iterator[Item]:
    """The batch's edits with an input of either side."""
    taken = {text for entry in chosen for text in entry.scope}
    groups = {entry.group for entry in chosen}
    for entry in chosen:
        case = entry.case
        inside = source.choice(case.in_scope) if case.in_scope else None
        own = pool.own(case, taken)
        outside = None if own and (source.random() < hard or inside is None) else pool.other(taken, groups, source)
        if outside is None:
            if not own:
                raise ConfigError(f"no input is out of the scope of edit {case.edit.id} and the others of its batch")
            outside = source.choice(own)
        taken.add(compared(outside.text))
        yield Item(case.edit, inside, outside)
