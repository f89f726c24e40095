"""What every ledger must do, and what keys, approvals, sessions and remembered answers make of it.

A test class inherits `LedgerContract` and gives the fixtures `ledger` and `again`, which opens the very same ledger
once more, with the options given.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.responses import JSONResponse

from errata.errors import AccessError, ConfigError, ConflictError, EditError, StoreError
from errata.service import once as remembering
from errata.service.approvals import HELD, Approvals
from errata.service.console.sessions import LOCAL, Sessions
from errata.service.keys import Caller, Keys
from errata.service.ledger import Ledger, now
from errata.service.ledgercopy import LedgerReport, copy_ledger
from errata.service.ledgerfile import FileLedger
from errata.service.once import once
from errata.service.owed import Owed

Again = Callable[..., Ledger]
ANN, BOB = Caller("ann", "editor", key="1"), Caller("bob", "approver", key="2")


def approve(ledger: Ledger, id: int) -> None:
    approvals = Approvals(ledger, wanted=True)
    _, told = approvals.approved(approvals.claim(id, BOB), BOB)
    Owed(ledger).tell(*told)


def fill(ledger: Ledger) -> str:
    """A ledger in which everything has happened; returns a key's secret."""
    keys, approvals = Keys(ledger), Approvals(ledger, wanted=True)
    _, secret = keys.make("ann", "editor", ["red", "blü"], expires=datetime.now(UTC) + timedelta(days=1))
    keys.revoke(keys.make("old", "admin")[0].id)
    approve(ledger, approvals.ask(ANN, "red", "add", {"edits": [{"prompt": "é\x00"}]}).id)
    approvals.ask(ANN, "red", "enable", {"id": "x", "edits": []})
    once(ledger, Owed(ledger), "1", "k", "told", lambda: JSONResponse({"done": 1}, 201))
    Sessions(ledger, keys).begin("1")
    return secret


class LedgerContract:
    def test_a_write_is_whole_or_not_at_all(self, ledger: Ledger) -> None:
        with pytest.raises(RuntimeError), ledger.writing() as db:
            db.execute("INSERT INTO links VALUES (?, ?)", ("a", "2030"))
            raise RuntimeError
        assert ledger.rows("SELECT * FROM links") == []
        with ledger.writing() as db:
            db.execute("INSERT INTO links VALUES (?, ?)", ("a", "2030"))
        with pytest.raises(StoreError), ledger.writing() as db:
            db.execute("INSERT INTO links VALUES (?, ?)", ("b", "2030"))
            db.execute("INSERT INTO links VALUES (?, ?)", ("a", "2030"))
        assert ledger.rows("SELECT digest FROM links") == [("a",)]
        with pytest.raises(StoreError):
            ledger.rows("SELECT nothing FROM nowhere")

    def test_the_audit_is_numbered_and_read_in_pages(self, ledger: Ledger, again: Again) -> None:
        told = {"scores": [0.25], "reason": "ü\x00'?%"}
        ledger.note("add", "ann", "red", told)
        again().note_all([("decision", "anonymous", "", {"n": n}) for n in range(3)])
        lines = ledger.audit()
        assert [line["id"] for line in lines] == [1, 2, 3, 4] and lines[0]["told"] == told
        assert (lines[0]["what"], lines[0]["who"], lines[0]["space"]) == ("add", "ann", "red")
        assert lines[0]["time"] == lines[0]["time"][:23] + "+00:00"
        assert [line["told"]["n"] for line in ledger.audit(what="decision", after=2, limit=1)] == [1]
        ledger.note_all([])
        assert len(ledger.audit()) == 4

    def test_everything_is_there_after_reopening(self, ledger: Ledger, again: Again) -> None:
        secret = fill(ledger)
        before = ledger.audit(), Keys(ledger).list(), Approvals(ledger, wanted=True).list("red")
        ledger.close()
        ledger.close()
        with pytest.raises(StoreError):
            ledger.rows("SELECT 1")
        opened = again()
        assert (opened.audit(), Keys(opened).list(), Approvals(opened, wanted=True).list("red")) == before
        assert Keys(opened).caller(secret) == Caller("ann", "editor", ("red", "blü"), before[1][0].id)

    def test_read_only(self, ledger: Ledger, again: Again) -> None:
        fill(ledger)
        opened = again(read_only=True)
        assert opened.audit() == ledger.audit()
        with pytest.raises(StoreError):
            opened.note("add", "ann", "", {})

    def test_a_newer_errata(self, ledger: Ledger, again: Again) -> None:
        table = "migrations" if isinstance(ledger, FileLedger) else "ledger_migrations"
        columns = "(name, time)" if isinstance(ledger, FileLedger) else "(name)"
        values = "('future', '')" if isinstance(ledger, FileLedger) else "('future')"
        with ledger.writing() as db:
            db.execute(f"INSERT INTO {table} {columns} VALUES {values}")
        with pytest.raises(StoreError, match="newer errata"):
            again()

    def test_many_write_at_once(self, ledger: Ledger, again: Again) -> None:
        opened = [ledger, again(), again()]

        def work(number: int) -> None:
            for n in range(10):
                opened[number].note("add", f"{number}", "", {"n": n})

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))
        lines = ledger.audit()
        assert [line["id"] for line in lines] == list(range(1, 31))
        for number in range(3):
            assert [line["told"]["n"] for line in lines if line["who"] == f"{number}"] == list(range(10))

    # Keys

    def test_keys_are_known_everywhere_until_they_are_revoked(self, ledger: Ledger, again: Again) -> None:
        here, there = Keys(ledger), Keys(again())
        one, secret = here.make("ci", "editor", ["red"])
        assert there.caller(secret) == Caller("ci", "editor", ("red",), one.id) == there.known(one.id)
        assert there.caller(secret[:-1] + ("a" if secret[-1] != "a" else "b")) is None
        assert there.caller("errata_00000000_x") is there.caller("sk-x") is there.known("none") is None
        _, past = here.make("old", "admin", expires=datetime(2020, 1, 1, tzinfo=UTC))
        assert there.caller(past) is None
        assert there.revoke(one.id).revoked
        assert here.caller(secret) is here.known(one.id) is None
        assert [key.name for key in here.list()] == ["ci", "old"]
        assert [(line["what"], line["told"]["name"]) for line in ledger.audit()] == [
            ("key", "ci"), ("key", "old"), ("revoke", "ci"),
        ]  # fmt: skip
        assert secret.split("_", 2)[2] not in str(ledger.rows("SELECT * FROM keys"))
        with pytest.raises(EditError, match="no key"):
            there.revoke("none")
        with pytest.raises(ConfigError, match="king"):
            here.make("x", "king")

    # Approvals

    def test_a_change_is_settled_once(self, ledger: Ledger, again: Again) -> None:
        here, there = Approvals(ledger, wanted=True), Approvals(again(), wanted=True)
        asked = {"edits": [{"prompt": "What?", "target": "ü"}]}
        first, second = here.ask(ANN, "red", "add", asked), there.ask(BOB, "red", "add", asked)
        assert (first.id, second.id) == (1, 2)
        assert there.get(1) == first and first.document["status"] == "waiting" and first.asked == asked
        assert there.list("red") == [first, second] and there.list("blue") == []
        with pytest.raises(AccessError, match="of their own"):
            here.claim(2, BOB)
        ready = threading.Barrier(2)

        def claim(approvals: Approvals) -> str:
            ready.wait(timeout=10)
            try:
                return f"{approvals.claim(1, BOB).id} is claimed"
            except ConflictError as error:
                return str(error)

        with ThreadPoolExecutor(2) as pool:
            said = sorted(pool.map(claim, (here, there)))
        assert said[0] == "1 is claimed" and "change 1 is being approved by bob" in said[1]
        with pytest.raises(ConflictError, match="is being approved"):
            there.reject(1, BOB)
        here.release(1, BOB)
        there.claim(1, BOB)
        with ledger.writing() as db:  # whoever made it died a while ago
            db.execute("UPDATE waiting SET claimed = ?", (now(-2 * HELD),))
        waiting = here.claim(1, BOB)
        done, told = here.approved(waiting, BOB)
        Owed(ledger).tell(*told)
        assert there.get(1) == done and [one.id for one in there.list("red", settled=True)] == [1]
        with pytest.raises(ConflictError, match="was approved by bob"):
            there.claim(1, BOB)
        third = there.ask(ANN, "red", "add", asked)
        assert here.reject(third.id, BOB).by_whom == "bob"
        assert [line["what"] for line in ledger.audit()] == ["ask", "ask", "approved", "ask", "rejected"]
        with pytest.raises(AccessError, match="no change 9"):
            here.get(9)

    # Sessions

    def test_a_session_is_known_everywhere(self, ledger: Ledger, again: Again) -> None:
        keys, other = Keys(ledger), again()
        here, there = Sessions(ledger, keys), Sessions(other, Keys(other))
        one, _ = keys.make("ann", "editor")
        token = here.begin(one.id)
        known = there.caller(token)
        assert known and (known.name, known.key) == ("ann", one.id)
        assert there.caller("") is there.caller("wrong") is None
        second = there.begin(one.id)
        there.end(token)
        assert here.caller(token) is None and here.caller(second) is not None
        keys.revoke(one.id)
        assert there.caller(second) is None
        link = here.link()
        followed = there.follow(link)
        assert followed and here.caller(followed) == LOCAL
        assert here.follow(link) is None
        with ledger.writing() as db:
            db.execute("UPDATE sessions SET expires = '2020-01-01T00:00:00.000+00:00'")
        assert there.caller(followed) is None
        here.begin(one.id)
        assert len(ledger.rows("SELECT * FROM sessions")) == 1  # those that are over are gone

    # Answers remembered by an Idempotency-Key

    def test_a_change_is_made_once_by_whoever_comes_first(
        self, ledger: Ledger, again: Again, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[int] = []
        begun, looked, go_on = threading.Event(), threading.Event(), threading.Event()
        monkeypatch.setattr(remembering, "PAUSE", 0.001)

        class Watched(type(ledger)):  # type: ignore[misc]
            def rows(self, sql: str, values: Any = ()) -> list[Any]:
                found: list[Any] = super().rows(sql, values)
                if found:
                    looked.set()
                return found

        def work() -> JSONResponse:
            done.append(1)
            begun.set()
            assert go_on.wait(timeout=10)
            return JSONResponse({"n": len(done)}, 201)

        other = again()
        other.__class__ = Watched
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(once, ledger, Owed(ledger), "1", "k", "told", work)
            assert begun.wait(timeout=10)
            second = pool.submit(once, other, Owed(other), "1", "k", "told", work)
            assert looked.wait(timeout=10) and not second.done()
            go_on.set()
            answers = [first.result(timeout=10), second.result(timeout=10)]
        assert done == [1] and [json.loads(one.body) for one in answers] == [{"n": 1}, {"n": 1}]
        assert [one.headers.get("idempotent-replayed") for one in answers] == [None, "true"]
        assert answers[1].status_code == 201
        with pytest.raises(ConflictError, match="another request"):
            once(other, Owed(other), "1", "k", "otherwise", work)
        assert once(other, Owed(other), "2", "k", "told", work).status_code == 201 and done == [1, 1]  # another's key

    def test_a_change_that_failed_may_be_sent_again(self, ledger: Ledger) -> None:
        def fail() -> JSONResponse:
            raise EditError("no")

        with pytest.raises(EditError, match="no"):
            once(ledger, Owed(ledger), "1", "k", "told", fail)
        assert once(ledger, Owed(ledger), "1", "k", "told", lambda: JSONResponse({})).status_code == 200

    def test_a_change_of_which_nobody_knows_is_not_made_again(
        self, ledger: Ledger, again: Again, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            """The process ends: nothing more reaches the ledger."""

        def die() -> JSONResponse:
            ledger.close()
            raise Killed

        with pytest.raises(Killed):
            once(ledger, Owed(ledger), "1", "k", "told", die)
        monkeypatch.setattr(remembering, "PATIENCE", 0.0)
        with pytest.raises(ConflictError, match="has not ended; send it again later"):
            once(opened := again(), Owed(opened), "1", "k", "told", lambda: pytest.fail("made twice"))

    # Copies

    def test_a_copy_is_the_same_ledger(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("errata.service.ledgercopy._PORTION", 2)
        secret = fill(ledger)
        between, back = FileLedger(":memory:"), FileLedger(":memory:")
        told = LedgerReport(keys=2, approvals=2, audit=6)
        assert copy_ledger(ledger, between) == told
        assert Keys(between).caller(secret) == Keys(ledger).caller(secret) != None  # noqa: E711
        with ledger.writing() as db:
            for table in ("keys", "waiting", "audit", "idempotent", "sessions"):
                db.execute(f"DELETE FROM {table}")
        assert copy_ledger(between, ledger) == told
        assert copy_ledger(ledger, back) == told
        for table in ("keys", "waiting", "audit", "idempotent", "sessions"):
            sql = f"SELECT * FROM {table} ORDER BY 1"
            assert ledger.rows(sql) == between.rows(sql) == back.rows(sql) != []
        assert Approvals(ledger, wanted=True).ask(ANN, "red", "add", {}).id == 3
        assert [line["id"] for line in ledger.audit()] == list(range(1, 8))

    def test_a_copy_into_a_ledger_that_is_not_empty_is_refused(self, ledger: Ledger) -> None:
        Sessions(ledger, Keys(ledger)).link()  # a service was started, and nobody came
        source = FileLedger(":memory:")
        fill(source)
        copy_ledger(source, ledger)
        before = ledger.audit()
        with pytest.raises(StoreError, match="not empty"):
            copy_ledger(source, ledger)
        assert ledger.audit() == before
