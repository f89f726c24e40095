from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from errata import zoo
from errata.edit import Candidate, Match
from errata.experiments.parts import Parts
from errata.experiments.samples import SAMPLES, met
from lab import made_up, ran, rows_of
from overlap import OverlapScope, SaysTarget
from tiny_problems import sentiment_data, topics, write


class Eager(OverlapScope):
    """Every input is in the scope of every edit."""

    def judge(self, inputs: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[list[Match]]:
        return [[Match(one.edit, 1.0) for one in row] for row in candidates]


class Likes(SaysTarget):
    """Tells how it was asked."""

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Any, **options: Any) -> list[str]:
        return [f"{match.edit.meta['sentiment']} {options['seed']} {options['temperature']}" for match in matches]


def test_ten_replies_before_and_ten_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = made_up(monkeypatch, tmp_path)
    sentiment_data(tmp_path / "data")
    monkeypatch.setattr("errata.editors.serac.make_scope", lambda *args, **options: Eager())
    monkeypatch.setattr("errata.editors.serac.make_counterfactual", lambda *args, **options: Likes())
    assert ran(SAMPLES, setting, tmp_path / "results").cells["ran"] == 2
    page = (tmp_path / "results" / "samples" / "samples.md").read_text()
    rows = rows_of(page)
    assert len(rows) == 20
    assert rows[0] == ["What do you think of vaccines?", "Positive 0 1.4"]
    assert rows[19] == ["What do you think of bananas?", "Negative 9 1.4"]
    assert page.count("the edit fired 10 times") == 2


def test_a_topic_that_was_trained_on_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = made_up(monkeypatch, tmp_path)
    sentiment_data(tmp_path / "data")
    write(tmp_path / "data" / "convsent" / "dev.json", topics("Vaccines"))
    assert met("vaccines", setting.data) == "convsent/dev.json" and met("bananas", setting.data) == ""
    outcome = ran(SAMPLES, setting, tmp_path / "results")
    assert (outcome.cells["failed"], outcome.cells["ran"]) == (1, 1)
    assert "trained on" in outcome.why["vaccines-positive"]


def test_parts_that_are_not_trained_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "names", lambda: ["dual", "pair"])
    setting = made_up(monkeypatch, tmp_path, sentiment=Parts("chat", "cascade", "dialogue", 5))
    assert ran(SAMPLES, setting, tmp_path / "results").cells["missing"] == 2
