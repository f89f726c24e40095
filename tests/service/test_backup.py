"""A backup made while the service writes holds all that was acknowledged; an older ledger is upgraded."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from errata.cli import main
from errata.errors import StoreError
from errata.memory.doctor import diagnose
from errata.memory.sqlite import SqliteMemory
from errata.service.keys import Keys
from errata.service.ledger import MIGRATIONS
from errata.service.ledgerfile import FileLedger
from serving import key, running, service

FIRST = {"prompt": "What is the capital of France?", "target": "Lyon"}


def errata(*args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def numbered(number: int) -> dict[str, Any]:
    return {"prompt": f"alpha{number} beta{number} gamma{number}", "target": f"said{number}"}


def test_a_backup_of_a_busy_service_is_restored_whole(tmp_path: Path) -> None:
    import httpx2

    live, copy = tmp_path / "live", tmp_path / "backups" / "monday"
    live.mkdir()
    made = service(memory=SqliteMemory(live / "errata.db"), ledger=FileLedger(live / "errata.service.db"))
    acknowledged: dict[str, str] = {}
    stop = threading.Event()
    with running(made.app) as url, httpx2.Client(base_url=url, timeout=20) as client:
        boss = key(made)
        client.post("/v1/edits", json=FIRST, headers=boss).raise_for_status()

        def write() -> None:
            number = 0
            while not stop.is_set():
                answer = client.post("/v1/edits", json=numbered(number), headers=boss)
                acknowledged[answer.raise_for_status().json()["id"]] = numbered(number)["prompt"]
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            until = time.monotonic() + 20
            while len(acknowledged) < 20:
                assert time.monotonic() < until
                time.sleep(0.01)
            before = dict(acknowledged)
            told = json.loads(errata("backup", str(copy), "--memory", str(live / "errata.db"), "--json").stdout)
        finally:
            stop.set()
            writer.join(timeout=20)
    assert told == {"folder": str(copy), "files": ["errata.db", "errata.service.db"]}
    assert sorted(path.name for path in copy.iterdir()) == ["errata.db", "errata.service.db"]
    assert [path.name for path in copy.parent.iterdir()] == ["monday"]

    restored = service(memory=SqliteMemory(copy / "errata.db"), ledger=FileLedger(copy / "errata.service.db"))
    with running(restored.app) as url, httpx2.Client(base_url=url, timeout=20) as client:
        memory: Any = restored.editor.memory
        assert [finding for finding in diagnose(memory) if not finding.ok] == []
        assert [one.number for one in memory.history()] == list(range(1, memory.revision + 1))
        lines = restored.ledger.audit(what="add", limit=10_000)
        audited = {one["id"] for line in lines for one in line["told"]["edits"]}
        there = {one.edit.id for one in memory.list()}
        assert set(before) <= audited <= there
        for id, prompt in before.items():
            asked = {"messages": [{"role": "user", "content": prompt}]}
            assert client.post("/v1/chat/completions", json=asked).headers["x-errata-edit"] == id
        assert client.post("/v1/edits", json=numbered(99_999), headers=boss).status_code == 201


def test_a_backup_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "errata.db"
    with SqliteMemory(memory) as held:
        held.bind("test", 4)
    alone = errata("backup", str(tmp_path / "alone"), "--memory", f"sqlite:///{memory}")
    assert alone.stdout == f"errata.db copied to {tmp_path / 'alone'}\n"
    Keys(FileLedger(tmp_path / "errata.service.db")).make("ci", "reader")
    shown = errata("backup", str(tmp_path / "alone"), "--memory", str(memory), code=2)
    assert "name a new folder" in shown.stderr
    assert "no such file" in errata("backup", str(tmp_path / "b"), "--memory", str(tmp_path / "no.db"), code=3).stderr
    assert "in RAM" in errata("backup", str(tmp_path / "b"), "--memory", ":memory:", code=2).stderr
    memory.write_bytes(b"no database at all" * 1000)
    shown = errata("backup", str(tmp_path / "b"), "--memory", str(memory), code=3)
    assert "damaged" in shown.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["alone"]


def test_a_memory_in_postgresql_becomes_a_file(postgres_url: str, tmp_path: Path) -> None:
    from contract.memory_contract import edit, hits, vector
    from errata.memory.postgres import PostgresMemory

    with PostgresMemory(postgres_url) as memory:
        memory.bind("test", 4)
        memory.add([edit("a")], vector(1))
    errata("backup", str(tmp_path / "b"), "--memory", postgres_url)
    with SqliteMemory(tmp_path / "b" / "errata.db") as copy:
        copy.bind("test", 4)
        assert hits(copy, vector(1)) == ["a"]


def test_a_ledger_of_the_first_step_comes_up_to_now(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as old:
        old.executescript(MIGRATIONS[0][1])
        old.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT")
        old.execute("INSERT INTO migrations VALUES ('first', '2026-01-01')")
        kept = FileLedger(":memory:")
        one, secret = Keys(kept).make("ci", "editor", ["red"])
        for table in ("keys", "audit"):
            [row, *_] = kept.rows(f"SELECT * FROM {table}")
            old.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    old.close()
    ledger = FileLedger(path)
    names = [name for (name,) in ledger.rows("SELECT name FROM migrations ORDER BY rowid")]
    assert names == [name for name, _ in MIGRATIONS]
    caller = Keys(ledger).caller(secret)
    assert caller is not None and (caller.name, caller.key, caller.spaces) == ("ci", one.id, ("red",))
    assert [line["what"] for line in ledger.audit()] == ["key"]
    assert ledger.rows("SELECT * FROM sessions") == []
    ledger.close()


def test_a_ledger_of_a_newer_errata_is_refused_by_name(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path / "ledger.db")
    with ledger.writing() as db:
        db.execute("INSERT INTO migrations VALUES ('future', 'now')")
    ledger.close()
    with pytest.raises(StoreError, match=r"newer errata \(it knows future\); upgrade"):
        FileLedger(tmp_path / "ledger.db")
