"""Several processes at one address: one that is killed is started again, and what is acknowledged is known to all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from errata.service.counts import SHARED, Counts
from errata.service.keys import Keys
from errata.service.ledgerfile import FileLedger
from errata.service.ledgers import beside
from serving import free_port, soon, value

IN, OUT = "What is the capital of France?", "Who painted the Night Watch?"


def children(pid: int) -> set[int]:
    """The processes that a process has started, as far as they serve."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return {one for one in map(int, listed) if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_killed_worker_is_replaced_and_all_know_every_edit(tmp_path: Path) -> None:
    memory, port = tmp_path / "m.db", free_port()
    ledger = FileLedger(beside(str(memory)))
    _, secret = Keys(ledger).make("admin", "admin")
    _, greedy = Keys(ledger).make("greedy", "reader")
    ledger.close()
    boss = {"authorization": f"Bearer {secret}"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    environment |= {
        "ERRATA_SHEET__SCOPE": "dual",
        "ERRATA_SHEET__ANSWERS": "verbatim",
        "ERRATA_SHEET__RUNTIME": "torch",
        "ERRATA_ACCESS__PER_MINUTE": "50",
    }
    command = [
        sys.executable,
        "-m",
        "errata.cli",
        "serve",
        "--model",
        "echo",
        "--memory",
        str(memory),
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        [*command, "--port", str(port)], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None
        try:
            return httpx2.get(f"{url}/health/ready", timeout=60).status_code == 200
        except httpx2.TransportError:
            return False

    def said(text: str) -> str:
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        answer = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=60)
        return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])

    def pids() -> set[int]:
        return children(process.pid)

    try:
        assert process.stdout is not None
        greeted = [process.stdout.readline() for _ in range(3)]
        assert url in greeted[0] and "revision 0" in greeted[1] and "/console/?token=" in greeted[2]
        soon(ready, 90)
        soon(lambda: len(pids()) == 2, 90)
        httpx2.post(
            f"{url}/v1/edits", json={"prompt": IN, "target": "Lyon"}, headers=boss, timeout=60
        ).raise_for_status()
        assert {said(IN) for _ in range(12)} == {"Lyon"}
        before = pids()
        os.kill(min(before), signal.SIGKILL)
        soon(lambda: len(pids()) == 2 and pids() != before, 90)
        soon(ready, 90)
        assert {said(IN) for _ in range(12)} == {"Lyon"} and said(OUT) == OUT
        told = [httpx2.get(f"{url}/metrics", headers=boss).text for _ in range(6)]  # of either process, by chance
        assert {value(text, 'errata_requests_total{api="chat",outcome="hit"}') for text in told} == {24}
        soon(lambda: time.monotonic() % 60 < 50)
        asked = [httpx2.get(f"{url}/v1/models", headers={"x-errata-key": greedy}).status_code for _ in range(60)]
        assert asked == [200] * 50 + [429] * 10
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        for pid in pids() if process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_requests_are_counted_together_and_by_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 600.0
    monkeypatch.setattr("errata.service.counts.time.monotonic", lambda: now)
    alone = Counts()
    monkeypatch.setenv(SHARED, str(tmp_path))
    one, other = Counts(), Counts()
    assert [one.more("a"), other.more("a"), one.more("b"), one.more("a")] == [1, 2, 1, 3]
    assert alone.more("a") == 1
    now = 660.0
    assert [other.more("a"), one.more("a")] == [1, 2]


def test_nobody_is_refused_for_what_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts()
    assert counts.more("a") == 1
    counts._db.execute("DROP TABLE counts")
    assert counts.more("a") == 0 and "cannot be counted" in caplog.text
