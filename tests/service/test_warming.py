"""A service is ready when its memory can be searched, and refuses what it could only answer too late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from errata.edit import Edit
from errata.errors import AccessError, StoreError
from errata.memory.sqlite import SqliteMemory
from errata.service import app
from errata.service.deciding import Batches
from serving import Base, client_of, key, service, serving, soon


def test_it_is_not_ready_while_the_index_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = threading.Event()

    def refresh(memory: SqliteMemory, space: str | None = None) -> int:
        assert made.wait(20)
        return 0

    monkeypatch.setattr(app, "AT_FIRST", 0.05)
    monkeypatch.setattr(SqliteMemory, "refresh", refresh)
    with client_of(service()) as client:
        told = client.get("/health/ready")
        assert (told.status_code, told.json()["reason"]) == (503, "the memory's index is being made")
        assert client.get("/health/live").status_code == 200
        made.set()
        soon(lambda: client.get("/health/ready").status_code == 200)


def test_a_memory_that_cannot_be_made_ready_stops_no_start(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def refresh(memory: SqliteMemory, space: str | None = None) -> int:
        raise StoreError("the disk is on fire")

    monkeypatch.setattr(SqliteMemory, "refresh", refresh)
    with client_of(service()) as client:
        assert client.get("/health/ready").status_code == 200
    assert "could not be made ready: the disk is on fire" in caplog.text


def test_making_ready_reads_the_file_through(tmp_path: Any) -> None:
    with SqliteMemory(tmp_path / "m.db") as memory:
        memory.bind("fingerprint", 4)
        memory.add([Edit(prompt=f"number {n}", target="x") for n in range(50)], np.eye(4, dtype=np.float32)[[0] * 50])
        seen: list[str] = []
        memory.db._connection.set_trace_callback(seen.append)  # type: ignore[attr-defined]
        assert memory.refresh() == 50
    assert any("sum(length(vector))" in sql for sql in seen) and any("sum(length(prompt))" in sql for sql in seen)


def test_no_more_texts_wait_than_may() -> None:
    go = threading.Event()

    def work(texts: Sequence[str], space: str) -> Sequence[str]:
        assert go.wait(20)
        return texts

    async def asked() -> None:
        batches = Batches(work, most=1, waiting=2)
        begun = [asyncio.create_task(batches(text, "s")) for text in "abc"]
        while len(batches._waiting) < 2:  # one is being worked on
            batches.check_room()
            await asyncio.sleep(0.001)
        with pytest.raises(AccessError, match="2 texts wait for a decision already") as refused:
            batches.check_room()
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        go.set()
        assert await asyncio.gather(*begun) == ["a", "b", "c"]
        batches.check_room()
        batches.close()

    asyncio.run(asked())


def test_a_request_too_many_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(batches: Batches) -> None:
        raise AccessError("too many", status=503, code="overloaded", retry_after=1)

    base = Base()
    with serving(base) as (client, made):
        monkeypatch.setattr(Batches, "check_room", full)
        asked = {"messages": [{"role": "user", "content": "Who?"}]}
        refused = client.post("/v1/chat/completions", json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1" and base.seen == []
        past = {"x-errata-bypass": "1"} | key(made)
        assert client.post("/v1/chat/completions", json=asked, headers=past).status_code == 200


@pytest.mark.parametrize("id", ["diff", "export", "history"])
def test_an_id_that_is_a_route_is_refused(id: str) -> None:
    with serving() as (client, made):
        sent = client.post("/v1/edits", json={"prompt": "Who?", "target": "me", "id": id}, headers=key(made))
        assert sent.status_code == 400 and "name of a route" in sent.json()["error"]["message"]
