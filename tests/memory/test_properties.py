"""Hypothesis drives the memory against a model of it in plain dicts, and searches for a difference.

The model keeps a full copy of its state after every revision; undo and checkout are then look-ups.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from errata.edit import Edit, Terms
from errata.errors import ConflictError, EditError
from errata.memory import Vectors
from errata.memory.doctor import diagnose
from errata.memory.overlay import OverlayMemory
from errata.memory.sqlite import SqliteMemory
from errata.memory.store import SqlMemory

START = datetime(2030, 1, 1, tzinfo=UTC)
SPACES = ("default", "other")
IDS = [f"id{i}" for i in range(6)]


def place(text: str) -> Vectors:
    """Where a text lies: small whole numbers, so that distances are exact and ties are common."""
    return np.random.default_rng(sum(map(ord, text))).integers(-2, 3, size=3).astype(np.float32)


def places(edits: list[Edit]) -> Vectors:
    return np.array([place(edit.text) for edit in edits], np.float32).reshape(len(edits), 3)


@dataclass(frozen=True)
class Held:
    """An edit in the model."""

    edit: Edit
    terms: Terms
    live: bool

    def reason(self, space: str, at: datetime) -> str:
        if not self.live:
            return "retracted"
        if not self.terms.enabled:
            return "disabled"
        if self.terms.valid_from and at < self.terms.valid_from:
            return "not yet valid"
        if self.terms.expires and at >= self.terms.expires:
            return "expired"
        return "" if self.edit.space == space else f"in space {self.edit.space!r}"


State = dict[str, Held]
GONE = "[purged]"

ids = st.sampled_from(IDS)
targets = st.sampled_from(["red", "green", "blue"])
spaces = st.sampled_from(SPACES)
days = st.none() | st.integers(-3, 3)


@st.composite
def terms(draw: Any) -> Terms:
    start, length = draw(days), draw(st.none() | st.integers(1, 4))
    begin = None if start is None else START + timedelta(days=start)
    end = None if length is None else (begin or START - timedelta(days=2)) + timedelta(days=length)
    return Terms(
        author=draw(st.sampled_from(["", "ann", "bob"])),
        tags=tuple(draw(st.lists(st.sampled_from(["x", "y"]), max_size=2))),
        valid_from=begin,
        expires=end,
        enabled=draw(st.booleans()),
    )


@st.composite
def edits(draw: Any) -> Edit:
    return Edit(id=draw(ids), prompt="colour of the sky", target=draw(targets), space=draw(spaces))


class Machine(RuleBasedStateMachine):
    """The memory beside the model."""

    limit = 20_000

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.now = START
        self.states: list[State] = [{}]
        self.erased: set[int] = set()
        self.open()

    def made(self) -> SqlMemory:
        return SqliteMemory(Path(self.folder.name) / "e.db", exact_limit=self.limit, clock=lambda: self.now)

    def open(self) -> None:
        self.memory = self.made()
        assert self.memory.bind("test", 3) == []

    def teardown(self) -> None:
        if hasattr(self, "memory"):
            try:
                assert [finding for finding in diagnose(self.memory) if not finding.ok] == []
            finally:
                self.memory.close()
                self.folder.cleanup()

    @property
    def state(self) -> State:
        return self.states[-1]

    def put(self, held: Held) -> None:
        self.states.append({**self.state, held.edit.id: held})

    def refused(self, act: Callable[[], object], kind: type[EditError]) -> None:
        before = len(self.states)
        with pytest.raises(kind):
            act()
        del self.states[before:]

    # Changes

    @rule(batch=st.lists(st.tuples(edits(), st.none() | terms()), min_size=1, max_size=4))
    def add(self, batch: list[tuple[Edit, Terms | None]]) -> None:
        with_terms = all(its is not None for _, its in batch)
        told = [its for _, its in batch if its is not None] if with_terms else None
        new = [edit for edit, _ in batch]
        before = len(self.states)
        clash = False
        for edit, its in batch:
            its = its if with_terms else None
            held = self.state.get(edit.id)
            if held is None or not held.live:
                self.put(Held(edit, its or Terms(), True))
            elif (held.edit.target, held.edit.space) != (edit.target, edit.space):
                clash = True
                break
            elif its is not None and its != held.terms:
                self.put(replace(held, terms=its))
        if clash:
            del self.states[before:]
            self.refused(lambda: self.memory.add(new, places(new), terms=told), ConflictError)
        else:
            self.memory.add(new, places(new), terms=told)

    @rule(edit=edits(), its=st.none() | terms())
    def replace(self, edit: Edit, its: Terms | None) -> None:
        held = self.state.get(edit.id)
        act = lambda: self.memory.replace(edit, places([edit]), terms=its)  # noqa: E731
        if held is None:
            self.refused(act, EditError)
        elif not held.live or held.edit.space != edit.space:
            self.refused(act, ConflictError)
        else:
            act()
            wanted = Held(edit, its or held.terms, True)
            if wanted != held:
                self.put(wanted)

    @rule(id=ids)
    def retract(self, id: str) -> None:
        held = self.state.get(id)
        if held is None:
            self.refused(lambda: self.memory.retract([id]), EditError)
        else:
            self.memory.retract([id])
            if held.live:
                self.put(replace(held, live=False))

    @rule(id=ids, on=st.booleans())
    def enable(self, id: str, on: bool) -> None:
        held = self.state.get(id)
        if held is None or not held.live:
            self.refused(lambda: self.memory.enable([id], on=on), EditError)
        else:
            self.memory.enable([id], on=on)
            if held.terms.enabled != on:
                self.put(replace(held, terms=replace(held.terms, enabled=on)))

    @rule(n=st.integers(1, 4))
    def undo(self, n: int) -> None:
        newest = len(self.states) - 1
        if n > newest:
            self.refused(lambda: self.memory.undo(n), EditError)
        elif any(number in self.erased for number in range(newest - n + 1, newest + 1)):
            self.refused(lambda: self.memory.undo(n), ConflictError)
        else:
            assert len(self.memory.undo(n)) == n
            for number in range(newest, newest - n, -1):
                before, after = self.states[number - 1], self.states[number]
                [id] = [id for id in after if before.get(id) != after[id]]
                was = before.get(id)
                if was is None or was.edit.prompt == GONE:
                    was = replace(after[id], live=False)
                self.put(was)

    @rule(id=ids)
    def purge(self, id: str) -> None:
        held = self.state.get(id)
        if held is None:
            self.refused(lambda: self.memory.purge([id]), EditError)
            return
        self.memory.purge([id])
        if held.edit.prompt != GONE:
            for number, state in enumerate(self.states):
                if id in state:
                    gone = replace(state[id].edit, prompt=GONE, target=GONE)
                    self.states[number] = {**state, id: Held(gone, Terms(), False)}
            self.put(Held(replace(held.edit, prompt=GONE, target=GONE), Terms(), False))
            self.erased.add(len(self.states) - 1)

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self.open()

    @rule()
    def rebuild(self) -> None:
        self.memory.rebuild()

    # Looking

    def expected(self, state: State, query: Vectors, k: int, space: str, at: datetime) -> list[tuple[str, float]]:
        found = [
            (float(((place(held.edit.text) - query) ** 2).sum()), held.edit.id)
            for held in state.values()
            if not held.reason(space, at)
        ]
        return [(id, distance) for distance, id in sorted(found)[:k]]

    @rule(text=targets, k=st.integers(1, 7), space=spaces, day=days)
    def search(self, text: str, k: int, space: str, day: int | None) -> None:
        query = place(text)
        at = None if day is None else START + timedelta(days=day)
        found = [(c.edit.id, c.distance) for c in self.memory.search(query[None], k, space=space, at=at)[0]]
        assert found == self.expected(self.state, query, k, space, at or self.now)
        told = self.memory.inactive_nearest(query[None], 99, space=space, at=at)
        reasons = {
            id: held.reason(space, at or self.now) for id, held in self.state.items() if held.edit.prompt != GONE
        }
        assert {c.edit.id: why for c, why in told} == {id: why for id, why in reasons.items() if why}

    @rule(text=targets, space=spaces)
    def search_an_overlay(self, text: str, space: str) -> None:
        live = [held for held in self.state.values() if held.live]
        over = OverlayMemory(self.memory)
        state = dict(self.state)
        for held in live[:2]:
            over = over.without([held.edit.id])
            state[held.edit.id] = replace(held, live=False)
        for id in IDS[:2]:
            edit = Edit(id=id, prompt="colour of the sky", target=text, space=space)
            over = over.with_edits([edit], places([edit]))
            state[id] = Held(edit, Terms(), True)
        found = [(c.edit.id, c.distance) for c in over.search(place("red")[None], 5, space=space, at=self.now)[0]]
        assert found == self.expected(state, place("red"), 5, space, self.now)

    @precondition(lambda self: len(self.states) > 1)
    @rule(data=st.data(), text=targets, space=spaces)
    def checkout(self, data: Any, text: str, space: str) -> None:
        number = data.draw(st.integers(0, len(self.states) - 1))
        view, state = self.memory.checkout(number), self.states[number]
        live = {id: (held.edit, held.terms) for id, held in state.items() if held.live}
        assert {r.edit.id: (r.edit, r.terms) for r in view.list()} == live
        moment = self.memory.moment_at(number)
        found = [(c.edit.id, c.distance) for c in view.search(place(text)[None], 4, space=space)[0]]
        assert found == self.expected(state, place(text), 4, space, moment)

    @precondition(lambda self: len(self.states) > 1)
    @rule(data=st.data())
    def diff(self, data: Any) -> None:
        a, b = (data.draw(st.integers(0, len(self.states) - 1)) for _ in range(2))
        told = self.memory.diff(a, b)
        before, then = (
            {id: (held.edit, held.terms) for id, held in self.states[number].items() if held.live} for number in (a, b)
        )
        assert {r.edit.id for r in told.added} == then.keys() - before.keys()
        assert {r.edit.id for r in told.removed} == before.keys() - then.keys()
        assert {r.edit.id for _, r in told.changed} == {id for id in then if before.get(id, then[id]) != then[id]}

    @invariant()
    def the_same_edits(self) -> None:
        if not hasattr(self, "memory"):
            return
        assert self.memory.revision == len(self.states) - 1
        told = {r.edit.id: (r.edit, r.terms) for r in self.memory.list()}
        assert told == {id: (held.edit, held.terms) for id, held in self.state.items() if held.live}
        for space in SPACES:
            listed = sorted(r.edit.id for r in self.memory.list(space=space, text="colour gr"))
            right = [
                h.edit.id for h in self.state.values() if h.live and h.edit.space == space and h.edit.target == "green"
            ]
            assert listed == sorted(right)


class GraphMachine(Machine):
    """The same through HNSW: every space is above the limit."""

    limit = 0


TestMemory = Machine.TestCase
TestMemory.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestGraph = GraphMachine.TestCase
TestGraph.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


def test_postgres(postgres: Any) -> None:
    """The same in PostgreSQL, a schema for each example."""
    from errata.memory.postgres import PostgresMemory

    numbers = itertools.count()

    class PostgresMachine(Machine):
        def made(self) -> SqlMemory:
            if not hasattr(self, "url"):
                self.url = postgres.url(f"p{os.getpid()}_{next(numbers)}")
            return PostgresMemory(self.url, clock=lambda: self.now)

    run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(targets, st.sampled_from(["x", "y", "z"])), unique=True, min_size=1, max_size=9),
    st.randoms(use_true_random=False),
    st.integers(1, 9),
)
def test_order_of_adds_does_not_matter(contents: list[tuple[str, str]], rng: Any, k: int) -> None:
    made = [Edit(prompt=prompt, target=target) for target, prompt in contents]
    answers = []
    for turn in range(3):
        order = list(made)
        if turn:
            rng.shuffle(order)
        with SqliteMemory(":memory:") as memory:
            memory.bind("test", 3)
            cut = len(order) // 2 if turn == 2 else 0
            for part in (order[:cut], order[cut:]):
                memory.add(part, places(part))
            answers.append(memory.search(places(made), k))
    assert answers[0] == answers[1] == answers[2]
