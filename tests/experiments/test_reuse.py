from __future__ import annotations

import json
from pathlib import Path

import pytest

from errata.experiments.reuse import BASES, REUSE, serving, spread
from errata.models.echo import EchoModel
from errata.models.remote import RemoteModel
from lab import found, made_up, ran, rows_of


def test_one_editor_on_five_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No base says what an edit does, so every base has the same figures: ES 2 of 3, DD 3 of 4."""
    outcome = ran(REUSE, made_up(monkeypatch, tmp_path), tmp_path / "results")
    assert outcome.cells["ran"] == len(BASES) == 5
    summary = json.loads((tmp_path / "results" / "reuse" / "reuse.json").read_text())
    figures = {name: cell["figures"] for name, cell in summary["cells"].items()}
    assert {round(found["es"], 4) for found in figures.values()} == {0.6667}
    assert {found["dd"] for found in figures.values()} == {0.75}
    assert [found["model"] for found in figures.values()] == [
        "echo",
        "untrained:t5",
        "untrained:gpt2",
        "untrained:bart",
        "echo",
    ]
    rows = rows_of((tmp_path / "results" / "reuse" / "reuse.md").read_text())
    assert rows[-1] == ["greatest difference", "0.0000", "0.0000"]


def test_the_spread_by_hand() -> None:
    told = {"a": found(es=0.5), "b": found(es=0.9), "c": found(es=None)}
    assert spread(told, "es") == pytest.approx(0.4)
    assert spread({"a": found(es=0.5)}, "es") is None


def test_a_served_model_answers_as_it_does_itself() -> None:
    with serving(EchoModel({"a?": "b"})) as url, RemoteModel(url, model="echo") as remote:
        assert remote.generate(["a?", "Grüße"]) == ["b", "Grüße"]
