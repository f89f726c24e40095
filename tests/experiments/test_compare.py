"""All editors side by side: which cells there are, what becomes of them, and the pages by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from errata.experiments.catalogue import COMPARE
from errata.experiments.compare import EDITORS, EDITORS_BY_K, EDITORS_SINGLE, LINES, SIZES, batches_of, consistent
from errata.experiments.experiment import Result
from errata.experiments.parts import Setting
from errata.models.echo import EchoModel
from lab import PROBLEM, found, made_up, ran, rows_of
from overlap import OverlapScope


def test_every_editor_is_measured_told_how_to_train_or_told_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a base without weights those that need none run; ES 2 of 3 and DD 3 of 4 as everywhere in the lab."""
    monkeypatch.setattr("errata.editors.retrieve_prompt.make_scope", lambda *args: OverlapScope())
    setting = made_up(monkeypatch, tmp_path)
    outcome = ran(EDITORS, setting, tmp_path / "results")
    assert outcome.cells == {"ran": 8, "kept": 0, "elsewhere": 0, "missing": 8, "failed": 6}
    assert outcome.why["mend-qa-2"] == "mend-qa: not trained: run `errata train editor mend qa`"
    assert "echo does not show its weights" in outcome.why["ft-qa-2"]
    assert "echo shows no hidden states" in outcome.why["lookup-fact_check-2"]
    page = (tmp_path / "results" / "editors" / "editors.md").read_text()
    rows = {(row[0], row[1]): row for row in rows_of(page)}
    assert len(rows) == 22 and ("ConvSent", "FT") not in rows and ("ConvSent", "LU") not in rows
    assert rows["QA", "SERAC"][2:4] == ["2", "3 / 4"] and rows["QA", "SERAC"][4].startswith("0.667 (")
    assert rows["QA", "SERAC"][5].startswith("0.750 (") and rows["QA", "SERAC"][6] == "-0.083 [0.977]"
    assert rows["QA", "RP"][5].endswith("[0.030]") and rows["QA", "FT"][4:] == ["– [0.572]", "– [0.054]", "– [0.518]"]
    assert ran(EDITORS, setting, tmp_path / "results").cells["kept"] == 8


def test_another_network_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = made_up(monkeypatch, tmp_path)
    folder = tmp_path / "runs" / "mend-qa" / "model"
    folder.mkdir(parents=True)
    prints = []
    for rank in (1, 2):
        (folder / "config.json").write_text(f'{{"rank": {rank}}}')
        cell = next(cell for cell in EDITORS.cells(setting) if cell.name == "mend-qa-2")
        assert not cell.missing
        prints.append(cell.fingerprint())
    assert len(set(prints)) == 2


def test_a_cell_makes_about_as_many_edits_whatever_k_is() -> None:
    assert [batches_of(k) for k in SIZES] == [150, 15, 2, 1]


def test_the_plot_has_a_line_an_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = made_up(monkeypatch, tmp_path)
    cells = [cell.name for cell in EDITORS_BY_K.cells(setting)]
    assert len(cells) == len(set(cells)) == len(LINES) * len(SIZES)
    missing = {cell.name: cell.missing for cell in EDITORS_BY_K.cells(setting)}
    assert "--config configs/compare/mend-k1.toml --out" in missing["mend-k1-10"]
    told: dict[str, Result] = dict.fromkeys(cells, Result(state="missing", why="no"))
    told |= {"serac-1": found(es=0.9, dd=0.1), "serac-10": found(es=0.8, dd=0.1), "mend-k1-1": found(es=0.5, dd=0.25)}
    shown = EDITORS_BY_K.show(told)
    assert ["SERAC", "10", "0.800", "0.100", "0.700"] in rows_of(shown.text)
    assert ["MEND, trained at k = 1", "1", "0.500", "0.250", "0.250"] in rows_of(shown.text)
    plot = shown.plots["editors-k"]
    assert "SERAC: 0.800 at 1, 0.700 at 10" in plot and "MEND, trained at k = 1: 0.250 at 1" in plot
    nothing = dict.fromkeys(cells, Result(state="missing", why="no"))
    assert not EDITORS_BY_K.show(nothing).plots


def test_edits_whose_rephrases_the_base_answers_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that answers with its prompt's last word: "to" twice for the first edit; "alpha" does not count as it."""

    class Last(EchoModel):
        def generate(self, prompts: Sequence[str], **options: object) -> list[str]:
            return [text.split()[-1] for text in prompts]

    assert [case.edit.id for case in consistent(PROBLEM, Last()).cases] == ["beta"]
    first, second = PROBLEM.cases
    alike = replace(PROBLEM, cases=(replace(first, in_scope=first.in_scope[:1] + first.in_scope[2:]), second))
    assert [case.edit.id for case in consistent(alike, Last()).cases] == ["alpha", "beta"]


def test_one_edit_at_a_time_by_hand() -> None:
    kinds = {"nq": {"dd": 0.5}, "other_subject": {"dd": 0.25}, "train_other_subject": {"dd": 0.125}}
    told = {
        "ft-qa-1": found(es=0.9, dd=0.3, by_kind=kinds),
        **dict.fromkeys(
            (f"{name}-qa-1" for name in ("mend", "enn", "slag", "seprog", "seprog-taught")),
            Result(state="missing", why="no"),
        ),
    }
    [first, *_] = rows_of(EDITORS_SINGLE.show(told).text)
    assert first == ["FT", "0.900", "0.300", "0.125", "0.250", "0.500"]


def test_the_papers_preset_has_networks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setting, "data_hash", lambda self, problem: "abc")
    setting = Setting(preset="paper", runs=tmp_path)
    assert all(experiment.cells(setting) for experiment in COMPARE.values())
    cells = {cell.name: cell for cell in EDITORS.cells(setting)}
    made = f"`errata train editor mend qa_hard --preset paper --out {tmp_path}/paper-mend-qa_hard`"
    assert cells["mend-qa_hard-10"].missing == f"paper-mend-qa_hard: not trained: run {made}"
    assert "fc:bert-base-uncased: has no verdict as published: fine-tune it" in cells["ft-fact_check-10"].missing
