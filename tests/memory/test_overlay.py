"""Overlays: edits on top of a memory that never changes; each sees its own, growing them is linear."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contract.memory_contract import DIMENSION, edit, hits, vector, vectors
from errata.edit import Edit, Terms
from errata.errors import EditError, EncoderMismatch, StoreError
from errata.memory import Memory
from errata.memory.overlay import FIRST, OverlayMemory
from errata.memory.sqlite import SqliteMemory


@pytest.fixture
def parent() -> Iterator[SqliteMemory]:
    with SqliteMemory(":memory:") as memory:
        memory.bind("test", DIMENSION)
        memory.add([edit("p1"), edit("p2")], np.concatenate([vector(1), vector(0, 1)]))
        yield memory


@pytest.fixture
def over(parent: SqliteMemory) -> OverlayMemory:
    return OverlayMemory(parent)


def test_it_is_a_memory(over: OverlayMemory) -> None:
    memory: Memory = over
    assert hits(memory, vector(1)) == ["p1", "p2"]


def test_an_empty_overlay_is_its_parent(over: OverlayMemory, parent: SqliteMemory) -> None:
    queries = vectors(5)
    assert over.search(queries, 3) == parent.search(queries, 3)
    assert over.list() == parent.list()
    assert list(over.history()) == list(parent.history())
    assert (over.revision, over.counts(), over.spaces()) == (parent.revision, parent.counts(), parent.spaces())
    assert over.get("p1") == parent.get("p1")
    assert over.threshold("default") is None
    parent.set_threshold("default", 0.3)
    assert over.threshold("default") == 0.3


def test_the_parent_never_changes(over: OverlayMemory, parent: SqliteMemory) -> None:
    before = list(parent.history()), parent.search(vectors(3), 9)
    grown = over.with_edits([edit("new"), edit("p1", "else")], vectors(2)).without(["p2"])
    assert [r.edit.id for r in grown.list()] == ["new", "p1"]
    assert (list(parent.history()), parent.search(vectors(3), 9)) == before
    assert over.list() == parent.list()


def test_own_edits_and_the_parents_are_merged_by_distance(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("own"), edit("a")], np.concatenate([vector(0.5), vector(0, 1)]))
    assert hits(grown, vector(1), k=4) == ["p1", "own", "a", "p2"]
    assert hits(grown, vector(1), k=2) == ["p1", "own"]


def test_an_overlay_gives_what_the_memory_would(over: OverlayMemory, parent: SqliteMemory) -> None:
    edits, made = [edit(f"e{i}") for i in range(25)], vectors(25, seed=3)
    grown = over
    for i in range(25):
        grown = grown.with_edits([edits[i]], made[i : i + 1])
    parent.add(edits, made)
    assert grown.search(vectors(9, seed=4), 6) == parent.search(vectors(9, seed=4), 6)


def test_an_edit_of_the_same_id_takes_the_parents_place(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("p1", "changed")], vector(0, 0, 2))
    assert hits(grown, vector(1), k=1) == ["p2"]
    assert grown.search(vector(0, 0, 1), 1)[0][0].edit.target == "changed"
    assert grown.get("p1").edit.target == "changed"
    assert [r.edit.target for r in grown.history("p1")] == ["target of p1", "changed"]
    again = grown.with_edits([edit("p1", "once more")], vector(0, 0, 0, 2))
    assert [c.edit.target for c in again.search(vector(0, 0, 1), 5)[0]] == ["target of p2", "once more"]
    assert again.counts()["default"]["in force"] == 2
    assert grown.get("p1").edit.target == "changed"


def test_without(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("own")], vector(1)).without(["own", "p1"])
    assert hits(grown, vector(1)) == ["p2"]
    assert [r.edit.id for r in grown.list()] == ["p2"]
    assert [r.edit.id for r in grown.list(live=False)] == ["p2", "own", "p1"]
    assert grown.counts()["default"]["retracted"] == 2
    told = grown.inactive_nearest(vector(1), 5)
    assert [(c.edit.id, why) for c, why in told] == [("p1", "retracted")]
    back = grown.with_edits([edit("p1")], vector(1))
    assert hits(back, vector(1)) == ["p1", "p2"]
    with pytest.raises(EditError, match="nope"):
        over.without(["nope"])
    assert grown.without(["own"]).revision == grown.revision


def test_many_hidden_parents_do_not_hide_the_rest(over: OverlayMemory, parent: SqliteMemory) -> None:
    parent.add([edit(f"n{i:03}") for i in range(200)], np.repeat(vector(1), 200, axis=0))
    grown = over.without([f"n{i:03}" for i in range(199)])
    assert hits(grown, vector(1), k=3) == ["n199", "p1", "p2"]


def test_what_changes_in_the_parent_shows_through(over: OverlayMemory, parent: SqliteMemory) -> None:
    grown = over.with_edits([edit("own")], vector(0, 0, 1))
    parent.add([edit("later"), edit("own", "the parent's")], np.repeat(vector(1), 2, axis=0))
    parent.retract(["p1"])
    assert hits(grown, vector(1), k=1) == ["later"]
    assert grown.get("own").edit.target == "target of own"
    assert [r.edit.id for r in grown.list()] == ["p2", "later", "own"]


def test_branches_do_not_see_each_other(over: OverlayMemory) -> None:
    base = over.with_edits([edit("base")], vector(1))
    left = base.with_edits([edit("left")], vector(1)).with_edits([edit("base", "left's")], vector(0, 0, 1))
    right = base.with_edits([edit("right")], vector(1)).without(["base"])
    assert hits(base, vector(1)) == ["base", "p1", "p2"]
    assert hits(left, vector(1)) == ["left", "p1", "base", "p2"]
    assert hits(right, vector(1)) == ["p1", "right", "p2"]
    assert base.get("base").edit.target == "target of base"


def test_growing_shares_one_buffer(over: OverlayMemory) -> None:
    grown, made = over, vectors(10_000)
    for i in range(10_000):
        grown = grown.with_edits([Edit(prompt="p", id=f"e{i}")], made[i : i + 1])
    assert grown._buffer is over._buffer
    assert grown._size == len(grown._buffer._revisions) == 10_000
    assert over.list() != grown.list()
    assert hits(grown, made[5000:5001], k=1) == ["e5000"]


def test_growing_from_many_threads(over: OverlayMemory) -> None:
    ends: dict[int, OverlayMemory] = {}

    def work(number: int) -> None:
        grown = over
        for i in range(30):
            grown = grown.with_edits([edit(f"t{number}-{i}")], vectors(1, seed=i))
            grown.search(vector(1), 3)
        ends[number] = grown

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, grown in ends.items():
        assert [r.edit.id for r in grown.list()] == ["p1", "p2", *[f"t{number}-{i}" for i in range(30)]]


def test_terms_count(over: OverlayMemory) -> None:
    noon = datetime(2030, 1, 1, tzinfo=UTC)
    grown = over.with_edits(
        [edit("off"), edit("later"), edit("there", space="there")],
        np.repeat(vector(1), 3, axis=0),
        terms=[Terms(enabled=False), Terms(valid_from=noon, tags=("t",)), Terms(author="ann")],
    )
    assert hits(grown, vector(1)) == ["p1", "p2"]
    assert hits(grown, vector(1), at=noon) == ["later", "p1", "p2"]
    assert hits(grown, vector(1), space="there") == ["there"]
    told = {c.edit.id: why for c, why in grown.inactive_nearest(vector(1), 9)}
    assert told == {"off": "disabled", "later": "not yet valid", "there": "in space 'there'"}
    assert [r.edit.id for r in grown.list(tag="t")] == ["later"]
    assert [r.edit.id for r in grown.list(author="ann", space="there")] == ["there"]
    assert [r.edit.id for r in grown.list(enabled=False)] == ["off"]
    assert grown.counts(at=noon + timedelta(1))["default"] == {
        "in force": 3, "disabled": 1, "not yet valid": 0, "expired": 0, "retracted": 0, "purged": 0,
    }  # fmt: skip
    assert grown.spaces() == ["default", "there"]


def test_list_pages_and_filters(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("own", "zebra crossing"), edit("two")], vectors(2))
    assert [r.edit.id for r in grown.list(text="ZEB")] == ["own"]
    assert [r.edit.id for r in grown.list(limit=3)] == ["p1", "p2", "own"]
    assert [r.edit.id for r in grown.list(after=grown.list(limit=3)[-1].number)] == ["two"]
    assert [r.number for r in grown.history(after=1)] == [2, FIRST, FIRST + 1]
    assert len(list(grown.history(limit=3))) == 3


def test_get_by_the_beginning_of_an_id(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("own-one"), edit("own-two")], vectors(2))
    assert grown.get("own-o").edit.id == "own-one"
    for wrong in ("own-", "own", "nope", ""):
        with pytest.raises(EditError):
            grown.get(wrong)


@pytest.mark.parametrize("write", ["add", "replace", "retract", "enable"])
def test_durable_changes_are_refused(over: OverlayMemory, write: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "add": ([edit("x")], vector(1)), "replace": (edit("p1"), vector(1)), "retract": (["p1"],), "enable": (["p1"],),
    }  # fmt: skip
    with pytest.raises(StoreError, match="with_edits"):
        getattr(over, write)(*arguments[write])


def test_vectors_that_do_not_fit(over: OverlayMemory) -> None:
    with pytest.raises(EditError):
        over.with_edits([edit("a")], vectors(2))
    with pytest.raises(EncoderMismatch):
        over.with_edits([edit("a")], vectors(1)).with_edits([edit("b")], np.ones((1, 7)))
    with SqliteMemory(":memory:") as unbound, pytest.raises(EncoderMismatch, match="call bind"):
        OverlayMemory(unbound).with_edits([edit("a")], vectors(1))


def test_another_scope_model_asks_for_the_vectors_again(over: OverlayMemory) -> None:
    grown = over.with_edits([edit("own"), edit("gone")], vectors(2)).without(["gone"])
    assert grown.bind("test", DIMENSION) == []
    missing = grown.bind("second", 2)
    assert [one.id for one in missing] == ["p1", "p2", "own"]
    assert grown.missing() == missing
    assert grown.search(np.ones((1, 2)), 5) == [[]]
    grown.put_vectors(missing, np.array([[1, 0], [0, 1], [1, 1]], np.float32))
    assert [c.edit.id for c in grown.search(np.array([[1, 1]]), 1)[0]] == ["own"]
    assert grown.missing() == []


def test_closing_leaves_the_parent_open(over: OverlayMemory, parent: SqliteMemory) -> None:
    with over:
        pass
    over.close()
    assert len(parent.list()) == 2


def test_vectors_are_rounded_as_stored_ones_are(over: OverlayMemory, parent: SqliteMemory) -> None:
    made = vectors(1, seed=11)
    grown = over.with_edits([edit("a")], made)
    there = grown.search(made, 1)[0][0].distance
    parent.add([edit("a")], made)
    assert parent.search(made, 1)[0][0].distance == there > 0


def test_a_branch_that_outgrows_its_sibling_keeps_what_the_sibling_replaced(over: OverlayMemory) -> None:
    base = over.with_edits([edit("base"), edit("other")], vectors(2))
    base.with_edits([edit("base", "the sibling's")], vector(1))
    grown = base
    for i in range(5):
        grown = grown.without(["p1"]) if i == 2 else grown.with_edits([edit(f"g{i}")], vectors(1, seed=i))
    assert grown.get("base").edit.target == "target of base"
    assert "base" in hits(grown, vector(1), k=20)
    assert "base" in [revision.edit.id for revision in grown.list()]
