from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from errata.experiments.order import ORDER, Told, compared
from lab import made_up, ran, rows_of


def test_no_order_makes_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = ran(ORDER, made_up(monkeypatch, tmp_path), tmp_path / "results")
    assert outcome.cells["ran"] == 1
    folder = tmp_path / "results" / "order"
    assert rows_of((folder / "order.md").read_text()) == [
        ["one by one", "0", "0", "0", "0"],
        ["shuffled", "0", "0", "0", "0"],
        ["over one another", "0", "0", "0", "0"],
    ]
    head, *rows = gzip.decompress((folder / "cells" / "qa.rows.jsonl.gz").read_bytes()).decode().splitlines()
    assert json.loads(head)["run"]["base"]["name"] == "echo"
    assert len(rows) == 4 * 9, "nine inputs, four ways"
    assert {json.loads(row)["matched"] for row in rows} == {None, "alpha", "beta"}


def test_differences_by_hand() -> None:
    def told(way: str, *rows: tuple[str | None, float, str]) -> list[Told]:
        return [Told(way, f"input {at}", *row) for at, row in enumerate(rows)]

    said = {
        "all at once": told("all at once", ("a", 0.9, "x"), (None, 0.125, "y"), (None, 0.1, "y")),
        "shuffled": told("shuffled", ("b", 0.9, "z"), (None, 0.25, "y"), (None, 0.1 + 1e-8, "y")),
    }
    assert compared(said) == {"shuffled": {"matched": 1, "score": 1, "answer": 1, "furthest": 0.125}}
