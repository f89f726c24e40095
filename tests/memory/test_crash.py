"""kill -9 at random moments: every edit that was acknowledged is there, and the doctor finds nothing wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import errata
from errata.memory.doctor import diagnose
from errata.memory.sqlite import SqliteMemory

KILLS = int(os.environ.get("ERRATA_KILLS", "6"))

WRITER = """
import sys
import numpy as np
from errata.edit import Edit, Terms
from errata.memory.sqlite import SqliteMemory

memory = SqliteMemory(sys.argv[1], exact_limit=40)
memory.bind("test", 8)
run, rng, number = sys.argv[2], np.random.default_rng(int(sys.argv[2])), 0
while True:
    batch = [Edit(prompt="x" * int(rng.integers(1, 2000)), id=f"{run}-{number + i}") for i in range(rng.integers(1, 6))]
    number += len(batch)
    memory.add(batch, rng.normal(size=(len(batch), 8)))
    sys.stdout.write("".join(f"add {edit.id}\\n" for edit in batch))
    sys.stdout.flush()
    if number % 3 == 0:
        memory.search(rng.normal(size=(1, 8)), 3)
        memory.refresh()
    if number % 7 == 0:
        memory.retract([batch[0].id])
        print("retract", batch[0].id, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.timeout(60 + 5 * KILLS)
def test_no_acknowledged_edit_is_lost(tmp_path: Path) -> None:
    path, rng = tmp_path / "errata.db", random.Random(time.time_ns())
    acknowledged: dict[str, bool] = {}
    environment = {**os.environ, "PYTHONPATH": str(Path(errata.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    for run in range(KILLS):
        before = len(acknowledged)
        told = tmp_path / "told"
        with open(told, "wb") as out:
            writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(run)], stdout=out, env=environment)
        deadline = time.monotonic() + 30
        while not told.stat().st_size and writer.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.15)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL, "the writer ended by itself"
        for line in told.read_text().split("\n")[:-1]:
            word, id = line.split()
            acknowledged[id] = word == "add"
        assert len(acknowledged) > before
        if run % 20 == 19 or run == KILLS - 1:
            check(path, acknowledged)


def check(path: Path, acknowledged: dict[str, bool]) -> None:
    """Everything told is there; beyond it, at most what the killed writers had not told yet."""
    with SqliteMemory(path, exact_limit=40) as memory:
        held = {revision.edit.id: revision.live for revision in memory.list(live=False)}
        lost = [id for id, live in acknowledged.items() if id not in held or (not live and held[id])]
        assert lost == []
        assert len(held) - len(acknowledged) <= 5 * KILLS
        assert [finding for finding in diagnose(memory) if not finding.ok] == []
        assert [revision.number for revision in memory.history()] == list(range(1, memory.revision + 1))
