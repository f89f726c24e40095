"""What every memory in a SQL database must do beyond the contract of memories: history, sharing, threads and forks.

A test class inherits `StoreContract` and gives the fixtures `memory`, as for `MemoryContract`, and `again`, which opens
the very same memory once more, bound to the scope model "test" unless bind=False, with the options given.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from contract.memory_contract import DIMENSION, MemoryContract, edit, hits, kinds, vector, vectors
from errata.edit import Terms
from errata.errors import ConfigError, ConflictError, EditError, EncoderMismatch, OutdatedError, StoreError

Again = Callable[..., Any]


def state(memory: Any) -> object:
    return [(r.edit, r.terms) for r in memory.list()], memory.search(vector(1), 5)


class StoreContract(MemoryContract):
    def test_nothing_works_unbound(self, again: Again) -> None:
        with again(bind=False) as memory:
            assert memory.fingerprint == ""
            for use in (
                lambda: memory.add([edit("a")], vector(1)),
                lambda: memory.search(vector(1), 1),
                lambda: memory.missing(),
            ):
                with pytest.raises(EncoderMismatch, match="call bind"):
                    use()
            with pytest.raises(EditError):
                memory.bind("", 3)

    def test_everything_is_there_after_reopening(self, again: Again) -> None:
        with again() as memory:
            memory.add([edit("a"), edit("b")], vectors(2), terms=Terms(author="x"))
            memory.set_threshold("default", 0.25)
            memory.retract(["a"])
            before = list(memory.history()), memory.search(vector(1), 5)
        with again(bind=False) as memory:
            assert memory.bind("test", DIMENSION) == []
            assert (list(memory.history()), memory.search(vector(1), 5)) == before
            assert memory.threshold("default") == 0.25

    def test_two_memories_see_each_others_edits(self, again: Again) -> None:
        with again() as one, again() as two:
            one.add([edit("a")], vector(1))
            assert hits(two, vector(1)) == ["a"]
            two.replace(edit("a", "new"), vector(0, 1))
            assert one.search(vector(0, 1), 1)[0][0].edit.target == "new"
            one.enable(["a"], on=False)
            assert hits(two, vector(1)) == []
            two.undo()
            assert hits(one, vector(0, 1)) == ["a"]
            one.bind("second", 2)
            two.bind("second", 2)
            assert two.search(np.ones((1, 2)), 1) == [[]]
            one.put_vectors(one.missing(), np.ones((1, 2)))
            assert [c.edit.id for c in two.search(np.ones((1, 2)), 1)[0]] == ["a"]
            two.rebuild()
            assert [c.edit.id for c in one.search(np.ones((1, 2)), 1)[0]] == ["a"]

    def test_many_threads_write_and_search(self, memory: Any) -> None:
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for i in range(10):
                    memory.add([edit(f"t{number}-{i}")], vectors(1, seed=number * 100 + i))
                    memory.search(vectors(2), 3)
                    memory.list(limit=3)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert memory.revision == 40
        assert len(hits(memory, vector(1), k=100)) == 40

    def test_many_writers_lose_nothing(self, again: Again) -> None:
        memories = [again() for _ in range(3)]

        def work(number: int) -> None:
            for i in range(10):
                memories[number].add([edit(f"m{number}-{i}")], vectors(1))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [r.number for r in memories[0].history()] == list(range(1, 31))
        for memory in memories:
            memory.close()

    def test_a_change_thought_out_on_an_older_revision_is_refused(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b")], vectors(2))
        before = list(memory.history())
        changes: tuple[Callable[[], object], ...] = (
            lambda: memory.add([edit("c")], vector(1)),
            lambda: memory.add([edit("a")], vector(1)),  # there already, so nothing would change
            lambda: memory.replace(edit("a", "new"), vector(1)),
            lambda: memory.retract(["a"]),
            lambda: memory.enable(["a"], on=False),
            lambda: memory.undo(),
        )
        for change in changes:
            with pytest.raises(OutdatedError, match="at revision 2 by now, not 1"), memory.expecting(1):
                change()
            with pytest.raises(OutdatedError, match="'a' is at revision 1"), memory.expecting(2, "a"):
                change()
        with pytest.raises(EditError, match="no edit"), memory.expecting(1, "none"):
            pass
        assert list(memory.history()) == before
        with memory.expecting(2):
            memory.retract(["b"])
        with memory.expecting(1, "a"):  # the edit is as it was, whatever became of others
            memory.enable(["a"], on=False)
        with memory.expecting(4), pytest.raises(OutdatedError):
            memory.undo()
            memory.undo()
        memory.add([edit("c")], vector(1))  # nothing is expected any more

    def test_of_writers_that_saw_the_same_revision_one_succeeds(self, again: Again) -> None:
        memories = [again() for _ in range(4)]
        memories[0].add([edit("a", "0")], vector(1))
        ready = threading.Barrier(4)

        def work(number: int, seen: int) -> bool:
            memory = memories[number]
            try:
                with memory.expecting(seen):
                    ready.wait(timeout=10)  # all have looked, and found nothing amiss
                    memory.replace(edit("a", f"{number}-{seen}"), vector(1))
                return True
            except OutdatedError:
                return False

        with ThreadPoolExecutor(4) as pool:
            for seen in range(1, 6):
                assert sum(pool.map(work, range(4), [seen] * 4)) == 1
        assert memories[0].revision == 6
        for memory in memories:
            memory.close()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_child_has_its_own_connection(self, memory: Any) -> None:
        memory.add([edit("before")], vector(1))
        pid = os.fork()
        if pid == 0:
            try:
                memory.add([edit("child")], vector(1))
                os._exit(0 if hits(memory, vector(1)) == ["before", "child"] else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        assert hits(memory, vector(1)) == ["before", "child"]
        memory.add([edit("parent")], vector(1))
        assert memory.revision == 3

    def test_a_failure_in_the_middle_leaves_nothing(self, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(memory._writer, "keep_vectors", fail)
        with pytest.raises(KeyboardInterrupt):
            memory.add([edit("a")], vector(1))
        assert (memory.revision, memory.list(), memory.counts()) == (0, [], {})

    def test_time_never_goes_back(self, again: Again) -> None:
        times = iter(
            [datetime(2030, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)]
        )
        with again(bind=False, clock=lambda: next(times)) as memory:
            memory.bind("test", DIMENSION)
            for name in "abc":
                memory.add([edit(name)], vector(1))
            assert [r.time.year for r in memory.history()] == [2030, 2030, 2031]
            assert all(r.time.tzinfo is UTC for r in memory.history())

    def test_undo_appends_and_brings_back(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1), terms=Terms(author="ann", tags=("t",)))
        memory.replace(edit("a", "new"), vector(0, 1), terms=Terms(author="bob"))
        memory.retract(["a"])
        assert kinds(memory.undo()) == ["add"]
        assert memory.get("a").edit.target == "new"
        assert kinds(memory.undo(3)) == ["retract", "add", "replace"]
        told = memory.get("a")
        assert (told.edit, told.terms) == (edit("a"), Terms(author="ann", tags=("t",)))
        assert memory.search(vector(1), 1)[0][0].distance == 0.0
        assert memory.revision == 7

    def test_undo_of_each_kind_and_its_undo(self, memory: Any) -> None:
        steps: list[Callable[[], object]] = [
            lambda: memory.add([edit("a")], vector(1)),
            lambda: memory.replace(edit("a", "new"), vector(0, 1)),
            lambda: memory.add([edit("a", "new")], vector(0, 1), terms=Terms(note="n")),
            lambda: memory.enable(["a"], on=False),
            lambda: memory.enable(["a"]),
            lambda: memory.retract(["a"]),
            lambda: memory.add([edit("a", "third")], vector(0, 0, 1)),
        ]
        undone = []
        for step in steps:
            before = state(memory)
            step()
            after = state(memory)
            undone += kinds(memory.undo())
            assert state(memory) == before
            memory.undo()
            assert state(memory) == after
        assert undone == ["retract", "replace", "replace", "enable", "disable", "add", "retract"]

    def test_undo_of_more_than_there_is(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1))
        for n in (0, 2, -1):
            with pytest.raises(EditError, match="cannot be undone"):
                memory.undo(n)

    def test_checkout_is_the_memory_as_it_was(self, memory: Any) -> None:
        rng = random.Random(3)
        states = {0: state(memory)}
        names = [f"e{i}" for i in range(6)]
        for step in range(40):
            name = rng.choice(names)
            held = memory.find([name]).get(name)
            if held is None or not held.live:
                memory.add([edit(name, f"v{step}")], vectors(1, seed=step))
            else:
                rng.choice(
                    [
                        lambda name=name, step=step: memory.replace(edit(name, f"v{step}"), vectors(1, seed=step)),
                        lambda name=name: memory.retract([name]),
                        lambda name=name, held=held: memory.enable([name], on=not held.terms.enabled),
                        lambda: memory.undo(),
                    ]
                )()
            states[memory.revision] = state(memory)
        for number, was in states.items():
            assert state(memory.checkout(number)) == was
            assert memory.checkout(number).revision == number

    def test_checkout_at_a_moment(self, again: Again) -> None:
        start = datetime(2030, 1, 1, tzinfo=UTC)
        clock = iter(start + timedelta(days=i) for i in range(50))
        with again(bind=False, clock=lambda: next(clock)) as memory:
            memory.bind("test", DIMENSION)
            memory.add([edit("a")], vector(1), terms=Terms(expires=start + timedelta(days=1)))
            memory.add([edit("b")], vector(0, 1))
            view = memory.checkout(start + timedelta(hours=1))
            assert (view.revision, hits(view, vector(1))) == (1, ["a"])
            assert hits(memory.checkout(1), vector(1)) == ["a"]
            assert hits(memory.checkout(2), vector(1)) == ["b"]
            assert memory.checkout(start - timedelta(days=1)).list() == []
            assert memory.checkout(start + timedelta(days=400)).revision == 2
            for bad in (-1, 3, "1", 1.5, True, None, datetime(2030, 1, 1)):
                with pytest.raises(EditError):
                    memory.checkout(bad)  # type: ignore[arg-type]

    def test_a_checkout_cannot_be_changed_and_stays(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b", "zebra")], vectors(2))
        view = memory.checkout(2)
        before = state(view)
        memory.retract(["a"])
        memory.replace(edit("b", "other"), vector(1))
        memory.add([edit("c")], vector(1))
        assert state(view) == before
        assert [r.edit.id for r in view.list(text="zebra")] == ["b"]
        assert view.get("b").edit.target == "zebra"
        assert len(list(view.history())) == 2
        assert view.checkout(1).list() == memory.checkout(1).list()
        for change in (
            lambda: view.add([edit("x")], vector(1)),
            lambda: view.replace(edit("a", "y"), vector(1)),
            lambda: view.retract(["a"]),
            lambda: view.enable(["a"]),
            lambda: view.disable(["a"]),
            lambda: view.undo(),
            lambda: view.purge(["a"]),
            lambda: view.put_vectors([edit("a")], vector(1)),
            lambda: view.set_threshold("default", 0.1),
        ):
            with pytest.raises(StoreError, match="cannot be changed"):
                change()

    def test_a_checkout_larger_than_the_limit_searches_alike(self, again: Again) -> None:
        with again(exact_limit=10) as memory:
            memory.add([edit(f"e{i:02}") for i in range(40)], vectors(40))
            exact = again()
            assert memory.checkout(40).search(vectors(5, seed=9), 7) == exact.search(vectors(5, seed=9), 7)
            assert memory.checkout(20).search(vector(1), 40) == exact.checkout(20).search(vector(1), 40)
            exact.close()

    def test_diff(self, memory: Any) -> None:
        memory.add([edit("stays"), edit("goes"), edit("changes")], vectors(3))
        memory.retract(["goes"])
        memory.replace(edit("changes", "new"), vector(1))
        memory.add([edit("comes")], vector(1))
        memory.add([edit("visits")], vector(1))
        memory.retract(["visits"])
        there = memory.diff(3, memory.revision)
        assert [r.edit.id for r in there.added] == ["comes"]
        assert [r.edit.id for r in there.removed] == ["goes"]
        assert [(a.edit.target, b.edit.target) for a, b in there.changed] == [("target of changes", "new")]
        back = memory.diff(memory.revision, 3)
        assert ([r.edit.id for r in back.added], [r.edit.id for r in back.removed]) == (["goes"], ["comes"])
        assert not memory.diff(2, 2)
        assert memory.diff(0, memory.list()[0].time).removed == ()

    def test_a_purge_cannot_be_undone_but_the_id_can_come_back(self, memory: Any) -> None:
        memory.add([edit("a"), edit("b")], vectors(2))
        memory.purge(["a"])
        memory.retract(["b"])
        with pytest.raises(ConflictError, match="purge cannot be undone"):
            memory.undo(2)
        assert memory.revision == 4
        memory.add([edit("a", "fresh")], vector(1))
        assert hits(memory, vector(1)) == ["a"]
        assert kinds(memory.undo()) == ["retract"]
        assert memory.list() == []
        with pytest.raises(EditError, match="no revision"):
            memory.put_vectors([edit("a")], vector(1))

    def test_the_log_cannot_be_rewritten(self, memory: Any) -> None:
        memory.add([edit("a")], vector(1))
        for sql in (
            "DELETE FROM revisions",
            "UPDATE revisions SET target = 'x'",
            "UPDATE revisions SET number = 9, erased = 1",
        ):
            with pytest.raises(StoreError, match="append-only"), memory.db.writing() as connection:
                connection.execute(sql)

    def test_thresholds(self, memory: Any) -> None:
        memory.set_threshold("a", 0.7)
        memory.set_threshold("a", 0.6)
        assert (memory.threshold("a"), memory.threshold("b")) == (0.6, None)
        memory.set_threshold("a", None)
        assert memory.threshold("a") is None
        for bad in (-0.1, 1.1, float("nan")):
            with pytest.raises(ConfigError):
                memory.set_threshold("a", bad)

    def test_rebuild_gives_the_same_memory(self, memory: Any) -> None:
        memory.add([edit(f"e{i}") for i in range(9)], vectors(9))
        memory.retract(["e1"])
        memory.purge(["e2"])
        memory.enable(["e3"], on=False)
        memory.replace(edit("e4", "zebra"), vector(1))
        before = memory.list(live=False), memory.search(vectors(3, seed=5), 9), memory.list(text="zebra")
        with memory.db.writing() as connection:
            connection.execute("UPDATE edits SET live = 1, number = 1 WHERE id != 'e1'")
            connection.execute("DELETE FROM edits WHERE id = 'e5'")
        memory.rebuild()
        assert (memory.list(live=False), memory.search(vectors(3, seed=5), 9), memory.list(text="zebra")) == before

    def test_undoing_a_second_addition_leaves_the_edit_as_it_was_retracted(self, memory: Any) -> None:
        memory.add([edit("a", "first")], vector(1), terms=Terms(author="ann"))
        memory.retract(["a"])
        memory.add([edit("a", "second")], vector(1), terms=Terms(author="bob"))
        [told] = memory.undo()
        assert (told.kind, told.edit.target, told.terms.author) == ("retract", "first", "ann")
