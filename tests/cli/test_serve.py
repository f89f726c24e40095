"""`errata serve` tells where the console is, and signs in who sits at the machine; keys and where they are kept."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner

from errata.cli import main
from errata.errors import StoreError
from errata.memory.postgres import PostgresMemory
from errata.memory.sqlite import SqliteMemory
from errata.service import app
from errata.service.app import Service, untold
from errata.service.console.sessions import Sessions
from errata.service.keys import Keys
from errata.service.ledgers import ledger_of
from errata.service.upstream import Cut
from serving import service


def served(host: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Service, str]:
    """A service that `errata serve` made over fakes, and what it said; nothing listens."""
    made: list[Service] = []

    def fake(settings: Any) -> Service:
        made.append(service())
        return made[-1]

    def run(server: uvicorn.Server, sockets: Any) -> None:
        for one in sockets:
            one.close()

    monkeypatch.setattr(app, "make_service", fake)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    shown = CliRunner().invoke(main, ["serve", "--host", host, "--port", "0"])
    assert shown.exit_code == 0, shown.output
    return made[0], shown.output


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_link_signs_in_on_a_loopback_address_only(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, shown = served(host, monkeypatch)
    found = re.search(rf"console: http://{re.escape(host)}:\d+/console(?:/\?token=(\S+))?", shown)
    assert found
    if host == "0.0.0.0":
        assert found[1] is None and made.ledger.rows("SELECT * FROM links") == []
    else:
        assert made.sessions.follow(found[1]) is not None


def test_a_full_disk_keeps_no_service_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(sessions: Sessions) -> str:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Sessions, "link", full)
    _, shown = served("127.0.0.1", monkeypatch)
    assert "/console   (no link that signs in: the disk is full)" in shown


def test_a_cut_answer_is_not_told_twice() -> None:
    for error, new in ((Cut("the upstream's answer broke off"), False), (ValueError("a bug"), True)):
        info = (type(error), error, None)
        assert untold(logging.LogRecord("uvicorn.error", logging.ERROR, "x.py", 1, "it failed", (), info)) is new


def test_the_memory_is_the_one_that_the_other_verbs_take(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[str] = []

    def stop(settings: Any) -> Service:
        wanted.append(settings.sheet.memory)
        raise SystemExit(0)

    monkeypatch.setattr(app, "make_service", stop)
    monkeypatch.setenv("ERRATA_MEMORY", "/from/the/environment.db")
    for options in ([], ["--memory", "/from/the/option.db"]):
        CliRunner().invoke(main, ["serve", "--port", "0", *options])
    assert wanted == ["/from/the/environment.db", "/from/the/option.db"]


def test_keys_of_a_memory_in_postgresql_are_those_of_every_service_on_it(postgres_url: str) -> None:
    def said(*arguments: str) -> str:
        shown = CliRunner().invoke(main, ["key", *arguments, "--memory", postgres_url])
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    secret = said("add", "ci", "--role", "editor").strip()
    with PostgresMemory(postgres_url) as memory:
        ledger = ledger_of(memory)
        known = Keys(ledger).caller(secret)
        assert known is not None and known.name == "ci" and known.key in said("list")
        said("revoke", known.key)
        assert Keys(ledger).caller(secret) is None
        ledger.close()


def test_migrate_takes_keys_along(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        shown = CliRunner().invoke(main, list(arguments))
        assert shown.exit_code == 0, shown.output
        return shown.stdout

    old, new = str(tmp_path / "old.db"), str(tmp_path / "new.db")
    SqliteMemory(old).close()
    said("key", "add", "ci", "--role", "editor", "--memory", old)
    assert "1 keys, 0 approvals, 1 lines of the audit" in said("migrate", old, new)
    assert said("key", "list", "--memory", new) == said("key", "list", "--memory", old)
    told = json.loads(said("migrate", old, str(tmp_path / "third.db"), "--json"))
    assert told["ledger"] == {"keys": 1, "approvals": 0, "audit": 1}
