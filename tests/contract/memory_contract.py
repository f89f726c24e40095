"""What every memory must do. A test class inherits `MemoryContract` and gives the fixture `memory`.

The memory comes empty and bound to the scope model "test" of dimension 4.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from errata.edit import Edit, Revision, Terms
from errata.errors import ConflictError, EditError, EncoderMismatch, StoreError
from errata.memory import Vectors

DIMENSION = 4


def edit(name: str, target: str = "", **fields: Any) -> Edit:
    return Edit(prompt=f"prompt of {name}", target=target or f"target of {name}", id=name, **fields)


def vector(*values: float) -> Vectors:
    """One (1, 4) vector; missing values are 0."""
    return np.array([[*values, *[0.0] * (DIMENSION - len(values))]], np.float32)


def vectors(n: int, seed: int = 0) -> Vectors:
    drawn = np.random.default_rng(seed).normal(size=(n, DIMENSION)).astype(np.float32)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def hits(memory: Any, query: Vectors, k: int = 10, **options: Any) -> list[str]:
    return [candidate.edit.id for candidate in memory.search(query, k, **options)[0]]


def kinds(revisions: list[Revision]) -> list[str]:
    return [revision.kind for revision in revisions]


class MemoryContract:
    def test_it_begins_empty(self, memory: Any) -> None:
        assert memory.revision == 0
        assert memory.list() == []
        assert list(memory.history()) == []
        assert memory.search(vectors(3), 5) == [[], [], []]
        assert memory.spaces() == []
        assert memory.counts() == {}
        assert memory.threshold("default") is None
        assert memory.missing() == []

    def test_what_is_added_is_found_with_its_distance(self, memory: Any) -> None:
        memory.add([edit("near"), edit("far")], np.concatenate([vector(1), vector(0, 2)]))
        [[first, second]] = memory.search(vector(1), 5)
        assert (first.edit, first.distance) == (edit("near"), 0.0)
        assert (second.edit, second.distance) == (edit("far"), 5.0)
        assert hits(memory, vector(0, 1), k=1) == ["far"]

    def test_equal_distances_are_ordered_by_id(self, memory: Any) -> None:
        names = ["d", "b", "a", "c"]
        memory.add([edit(name) for name in names], np.repeat(vector(1), 4, axis=0))
        assert hits(memory, vector(1), k=2) == ["a", "b"]

    def test_a_search_of_many_is_many_searches(self, memory: Any) -> None:
        memory.add([edit(f"e{i}") for i in range(30)], vectors(30))
        queries = vectors(7, seed=1)
        together = memory.search(queries, 4)
        assert together == [memory.search(query[None], 4)[0] for query in queries]

    def test_revisions_are_numbered_and_timed(self, memory: Any) -> None:
        first = memory.add([edit("a"), edit("b")], vectors(2))
        assert [r.number for r in first] == [1, 2]
        assert memory.retract(["a"])[0].number == 3
        told = list(memory.history())
        assert [r.number for r in told] == [1, 2, 3]
        assert [r.time for r in told] == sorted(r.time for r in told)
        assert abs(told[0].time - datetime.now(UTC)) < timedelta(minutes=5)
        assert list(memory.history(after=1, limit=1)) == told[1:2]
        assert list(memory.history("a")) == [told[0], told[2]]

    def test_adding_twice_adds_once(self, memory: Any) -> None:
        terms = Terms(author="ann", tags=("x",))
        first = memory.add([edit("a", meta={"k": "v"})], vector(1), terms=terms)
        again = memory.add([edit("a", meta={"k": "v"})], vector(1), terms=terms)
        assert again == first
        assert memory.add([edit("a", meta={"k": "v"})], vector(1)) == first
        assert memory.revision == 1

    def test_one_edit_twice_in_a_batch_is_added_once(self, memory: Any) -> None:
        told = memory.add([edit("a"), edit("a")], np.concatenate([vector(1), vector(1)]))
        assert [r.number for r in told] == [1, 1]

    def test_adding_with_other_terms_takes_them_over(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1))
        [told] = memory.add([edit("a")], vector(1), terms=Terms(author="ann", enabled=False))
        assert (told.number, told.terms.author) == (2, "ann")
        assert hits(memory, vector(1)) == []

    def test_an_id_taken_by_another_text_is_a_conflict_and_nothing_is_added(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1))
        with pytest.raises(ConflictError, match="use replace"):
            memory.add([edit("new"), edit("a", "other")], vectors(2))
        with pytest.raises(ConflictError, match="use replace"):
            memory.add([edit("a", space="elsewhere")], vector(1))
        with pytest.raises(ConflictError, match="use replace"):
            memory.add([edit("b"), edit("b", "other")], vectors(2))
        assert memory.revision == 1
        assert hits(memory, vector(1)) == ["a"]

    def test_replace(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b")], np.concatenate([vector(1), vector(0, 1)]), terms=Terms(tags=("t",)))
        told = memory.replace(edit("a", "new"), vector(0, 0, 1))
        assert (told.kind, told.edit.target, told.terms.tags) == ("replace", "new", ("t",))
        [[first, *_]] = memory.search(vector(0, 0, 1), 2)
        assert (first.edit.target, first.distance) == ("new", 0.0)
        assert memory.search(vector(1), 1)[0][0].distance == 2.0
        assert memory.replace(edit("a", "new"), vector(0, 0, 1)) == told
        assert memory.replace(edit("a"), vector(1), terms=Terms(author="x")).terms.author == "x"
        assert memory.search(vector(1), 1)[0][0].distance == 0.0

    def test_replace_wants_an_edit_in_force_of_the_same_space(self, memory: Any) -> None:
        memory.add([edit("gone")], vector(1))
        memory.retract(["gone"])
        with pytest.raises(ConflictError, match="retracted"):
            memory.replace(edit("gone", "new"), vector(1))
        with pytest.raises(EditError, match="no edit has the id 'unknown'"):
            memory.replace(edit("unknown"), vector(1))
        memory.add([edit("here")], vector(1))
        with pytest.raises(ConflictError, match="lives in the space 'default'"):
            memory.replace(edit("here", space="there"), vector(1))

    def test_retract_and_add_again(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b")], np.concatenate([vector(1), vector(0, 1)]))
        [told] = memory.retract(["a"], terms=Terms(author="ann", note="wrong"))
        assert (told.kind, told.live, told.terms.author, told.terms.note) == ("retract", False, "ann", "wrong")
        assert hits(memory, vector(1)) == ["b"]
        assert [r.edit.id for r in memory.list()] == ["b"]
        assert [r.edit.id for r in memory.list(live=False)] == ["b", "a"]
        assert memory.get("a").kind == "retract"
        assert memory.retract(["a"]) == [told]
        memory.add([edit("a", "quite another text")], vector(1))
        assert hits(memory, vector(1)) == ["a", "b"]

    def test_enable_and_disable(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1), terms=Terms(source="s"))
        [told] = memory.enable(["a"], on=False)
        assert (told.kind, told.terms.enabled, told.terms.source) == ("disable", False, "s")
        assert hits(memory, vector(1)) == []
        assert [r.edit.id for r in memory.list(enabled=False)] == ["a"]
        assert memory.list(enabled=True) == []
        assert memory.enable(["a"], on=False) == [told]
        assert kinds(memory.enable(["a"])) == ["enable"]
        assert hits(memory, vector(1)) == ["a"]
        memory.retract(["a"])
        with pytest.raises(ConflictError, match="add it again"):
            memory.enable(["a"])

    @pytest.mark.parametrize("change", ["retract", "enable"])
    def test_an_unknown_id_changes_nothing(self, memory: Any, change: str) -> None:
        memory.add([edit("apple")], vector(1))
        with pytest.raises(EditError, match="nearest ids: apple"):
            getattr(memory, change)(["apple", "appel"])
        with pytest.raises(EditError, match="sequence"):
            getattr(memory, change)("apple")
        assert memory.revision == 1

    def test_validity(self, memory: Any) -> None:
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        memory.add([edit("a")], vector(1), terms=Terms(valid_from=noon, expires=noon + timedelta(hours=1)))
        second = timedelta(seconds=1)
        moments = [noon - second, noon, noon + timedelta(hours=1) - second, noon + timedelta(hours=1)]
        assert [hits(memory, vector(1), at=at) for at in moments] == [[], ["a"], ["a"], []]
        assert hits(memory, vector(1)) == []
        assert [memory.counts(at=at)["default"]["in force"] for at in moments] == [0, 1, 1, 0]
        reasons = [memory.inactive_nearest(vector(1), 1, at=at) for at in moments]
        assert [[why for _, why in told] for told in reasons] == [["not yet valid"], [], [], ["expired"]]

    def test_spaces_are_apart(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b", space="other")], np.repeat(vector(1), 2, axis=0))
        assert hits(memory, vector(1)) == ["a"]
        assert hits(memory, vector(1), space="other") == ["b"]
        assert hits(memory, vector(1), space="unknown") == []
        assert memory.spaces() == ["default", "other"]
        assert [r.edit.id for r in memory.list(space="other")] == ["b"]
        assert memory.inactive_nearest(vector(1), 5)[0][1] == "in space 'other'"

    def test_get_by_the_beginning_of_an_id(self, memory: Any) -> None:
        memory.add([edit("abcd1"), edit("abcd2"), edit("wxyz")], vectors(3))
        assert memory.get("wxyz").edit.id == "wxyz"
        assert memory.get("abcd1").edit.id == "abcd1"
        assert kinds(memory.retract(["wxyz"])) == ["retract"]
        with pytest.raises(EditError, match="abcd1, abcd2"):
            memory.get("abcd")
        for unknown in ("abc", "", "zzzz", None):
            with pytest.raises(EditError):
                memory.get(unknown)
        assert memory.find(["abcd1", "nope"]) == {"abcd1": memory.get("abcd1")}

    def test_list_filters_and_pages(self, memory: Any) -> None:
        edits = [edit(f"e{i}", f"city {i}") for i in range(5)]
        memory.add(edits, vectors(5), terms=[Terms(author=f"a{i % 2}", tags=("t", f"t{i}")) for i in range(5)])
        names = [r.edit.id for r in memory.list()]
        assert names == ["e0", "e1", "e2", "e3", "e4"]
        assert [r.edit.id for r in memory.list(author="a1")] == ["e1", "e3"]
        assert [r.edit.id for r in memory.list(tag="t3")] == ["e3"]
        assert [r.edit.id for r in memory.list(tag="t", author="a0", limit=2)] == ["e0", "e2"]
        page = memory.list(limit=2)
        assert [r.edit.id for r in memory.list(limit=2, after=page[-1].number)] == ["e2", "e3"]
        assert memory.list(limit=0) == []
        with pytest.raises(EditError, match="limit"):
            memory.list(limit=-1)

    @pytest.mark.parametrize(
        ("text", "found"),
        [("capital", ["a", "b"]), ("CAPITAL kaz", ["a"]), ("sao", ["b"]), ("nothing", []), ("  ", ["a", "b", "c"])],
    )
    def test_text_search(self, memory: Any, text: str, found: list[str]) -> None:
        memory.add(
            [
                Edit(id="a", prompt="What is the capital of Kazakhstan?", target="Astana"),
                Edit(id="b", prompt="Which capital has the state?", target="sao paulo"),
                Edit(id="c", prompt='100% "sure" AND NOT (that) * it\'s_so', target=""),
            ],
            vectors(3),
        )
        assert [r.edit.id for r in memory.list(text=text)] == found

    @pytest.mark.parametrize("text", ['"', "AND", "NOT (", "100%", "it's_so", "*", 'a" OR "b', "%", "that)"])
    def test_text_search_takes_any_text(self, memory: Any, text: str) -> None:
        memory.add([Edit(id="c", prompt='100% "sure" AND NOT (that) * it\'s_so')], vector(1))
        assert [r.edit.id for r in memory.list(text=text)] in ([], ["c"])
        assert [r.edit.id for r in memory.list(text="sure")] == ["c"]

    def test_text_search_follows_changes(self, memory: Any) -> None:
        memory.add([edit("a", "zebra")], vector(1))
        memory.replace(edit("a", "giraffe"), vector(1))
        assert memory.list(text="zebra") == []
        assert len(memory.list(text="giraffe")) == 1

    def test_a_new_scope_model_needs_new_vectors(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b"), edit("gone")], np.concatenate([vector(1)] * 3))
        memory.retract(["gone"])
        missing = memory.bind("another", 2)
        assert missing == [edit("a"), edit("b")]
        assert memory.search(np.ones((1, 2)), 5) == [[]]
        memory.put_vectors(missing[:1], np.ones((1, 2)))
        assert [c.edit.id for c in memory.search(np.ones((1, 2)), 5)[0]] == ["a"]
        assert memory.missing() == [edit("b")]
        assert memory.bind("test", DIMENSION) == []
        assert hits(memory, vector(1)) == ["a", "b"]

    def test_vectors_that_do_not_fit_are_refused(self, memory: Any) -> None:
        with pytest.raises(EncoderMismatch, match="5 dimensions"):
            memory.add([edit("a")], np.ones((1, 5)))
        with pytest.raises(EncoderMismatch):
            memory.search(np.ones((1, 3)), 1)
        with pytest.raises(EditError, match="2 edits need"):
            memory.add([edit("a"), edit("b")], vector(1))
        for bad in (np.nan, np.inf, 1e6):
            with pytest.raises(EditError):
                memory.add([edit("a")], vector(bad))
        with pytest.raises(EditError):
            memory.add([edit("a")], [["x"] * 4])
        with pytest.raises(EditError, match="k must be"):
            memory.search(vector(1), 0)
        with pytest.raises(EditError, match="time zone"):
            memory.search(vector(1), 1, at=datetime(2030, 1, 1))
        with pytest.raises(EncoderMismatch, match="dimensions"):
            memory.bind("test", 5)
        with pytest.raises(EditError, match="in the log|no revision"):
            memory.put_vectors([edit("never added")], vector(1))
        assert memory.revision == 0

    def test_inactive_nearest_tells_why(self, memory: Any) -> None:
        memory.add(
            [edit("on"), edit("off"), edit("out"), edit("far")],
            np.concatenate([vector(1), vector(1), vector(1, 0.5), vector(0, 0, 0, 1)]),
        )
        memory.enable(["off", "far"], on=False)
        memory.retract(["out"])
        told = [(c.edit.id, c.distance, why) for c, why in memory.inactive_nearest(vector(1), 2)]
        assert told == [("off", 0.0, "disabled"), ("out", 0.25, "retracted")]

    def test_counts(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b"), edit("c"), edit("d", space="s")], vectors(4))
        memory.enable(["b"], on=False)
        memory.retract(["c"])
        none = dict.fromkeys(("in force", "disabled", "not yet valid", "expired", "retracted", "purged"), 0)
        assert memory.counts() == {
            "default": none | {"in force": 1, "disabled": 1, "retracted": 1},
            "s": none | {"in force": 1},
        }

    def test_text_of_every_kind_comes_back_as_it_was(self, memory: Any) -> None:
        odd = Edit(
            id="\u00fcn\u00efc\u00f6d\u00e9 \U0001f600",
            prompt=" lead\r\n\ttab\u2028 ",
            target="'; DROP",
            meta={"k": "\n"},
            space="a/b",
        )
        terms = Terms(author="\u00e9", note='"', tags=("a;b", " c "), expires=datetime(2100, 1, 1, 1, 2, 3, 456, UTC))
        memory.add([odd], vector(1), terms=terms)
        told = memory.get(odd.id)
        assert (told.edit, told.terms) == (odd, terms)
        assert hits(memory, vector(1), space="a/b") == [odd.id]

    def test_closing_twice_does_no_harm(self, memory: Any) -> None:
        memory.close()
        memory.close()
        with pytest.raises(StoreError, match="closed"):
            memory.list()
