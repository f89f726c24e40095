from __future__ import annotations

from pathlib import Path

import pytest

from errata import zoo
from errata.experiments.experiment import Result
from errata.experiments.parts import Parts
from errata.experiments.problem_tables import TABLE_3, TABLE_4, TABLE_5, part_of
from lab import found, made_up, ran, results, rows_of

HALF = {"n_in": 1, "es": 0.5, "n_out": 1, "dd": 0.25}
FIGURES = {"es": 0.9, "es_ci": [0.8, 0.95], "dd": 0.01, "dd_ci": [0.0, 0.02]}


def test_table_3_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ES 2 of 3 and, with a base that repeats the question, DD 3 of 4: see lab.PROBLEM."""
    monkeypatch.setattr(zoo, "names", lambda: ["dual", "gate", "pair"])
    setting = made_up(monkeypatch, tmp_path, sentiment=Parts("chat", "cascade", "dialogue", 5))
    outcome = ran(TABLE_3, setting, tmp_path / "results")
    assert (outcome.cells["ran"], outcome.cells["missing"]) == (3, 1)
    assert outcome.why["sentiment"] == (
        "chat: not trained: run `errata train base sentiment --install`; "
        "dialogue: not trained: run `errata train counterfactual sentiment --install`"
    )
    page = (tmp_path / "results" / "table3" / "table3.md").read_text()
    qa, hard, _, sentiment = rows_of(page)
    assert qa[:4] == ["QA", "echo", "2", "3 / 4"]
    assert qa[4].startswith("0.667 (") and qa[4].endswith(") [0.986]")
    assert qa[5].startswith("0.750 (") and qa[5].endswith(") [0.009]")
    assert qa[6:] == ["1.000", "0.000", "0.000", "1.000"]
    assert hard[4].endswith("[0.913]")
    assert sentiment == ["ConvSent", "–", "–", "–", "– [0.991]", "– [0.000]", "–", "–", "–", "–"]
    assert "- sentiment: chat: not trained" in page
    assert ran(TABLE_3, setting, tmp_path / "results").cells["kept"] == 3


def test_other_data_or_parts_or_limits_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    setting = made_up(monkeypatch, tmp_path)
    ran(TABLE_4, setting, tmp_path / "results")
    assert ran(TABLE_4, setting, tmp_path / "results").cells["kept"] == 2
    assert ran(TABLE_4, replace(setting, limit=1), tmp_path / "results").cells["ran"] == 2
    assert ran(TABLE_4, replace(setting, seed=1), tmp_path / "results").cells["ran"] == 2
    other = {"mini": {**setting.presets["mini"], "qa_hard": Parts("echo", "dual", "reader", 2)}}
    outcome = ran(TABLE_4, replace(setting, seed=1, presets=other), tmp_path / "results")
    assert (outcome.cells["ran"], outcome.cells["kept"]) == (1, 1)
    path = tmp_path / "data" / "zsre" / "train_qa.jsonl"
    path.write_text(path.read_text() + '{"input": "Who directed Kyiv?", "answer": "Bo"}\n')
    outcome = ran(TABLE_4, replace(setting, seed=1, presets=other), tmp_path / "results")
    assert (outcome.cells["ran"], outcome.cells["kept"]) == (1, 1), "fact checking reads no zsRE"


def test_table_4_by_hand() -> None:
    lines = [
        {"side": "in", "hard": True, "count": 1200, "scope": 0.9, "answer": 0.95},
        {"side": "out", "hard": False, "count": 7, "scope": 0.99, "answer": None},
    ]
    told = {"qa_hard": found(details={"components": lines}), "fact_check": found(details={})}
    assert rows_of(TABLE_4.show(told).text) == [
        ["QA-hard", "in (hard)", "1,200", "0.900 [0.855]", "0.950 [0.987]"],
        ["QA-hard", "out (easy)", "7", "0.990 [0.996]", "– [0.123]"],
    ]
    missing = Result(state="missing", why="fc: not trained: run `errata train fc`")
    text = TABLE_4.show({**told, "fact_check": missing}).text
    assert rows_of(text)[-1] == ["FC", "–", "–", "–", "–"]
    assert text.endswith("Not measured:\n\n- fact_check: fc: not trained: run `errata train fc`")


def test_table_5_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = TABLE_5.cells(made_up(monkeypatch, tmp_path))
    assert len({cell.name for cell in cells}) == 16
    missing = {cell.name: cell.missing for cell in cells}
    assert missing["qa_hard-embed-large-all"] == missing["qa_hard-cross-large-all"] == ""
    assert missing["qa_hard-cross-small-own"] == (
        "qa_hard-pair-3: not trained: run `errata train counterfactual qa_hard --config"
        f" configs/tables/qa_hard-pair-3.toml --out {tmp_path}/runs/qa_hard-pair-3`"
    )
    text = TABLE_5.show(results([cell.name for cell in cells], {"qa_hard-cross-large-all": found(**FIGURES)})).text
    rows = rows_of(text)
    assert len(rows) == 16
    at = [cell.name for cell in cells].index("qa_hard-cross-large-all")
    told = ["0.900 (0.800 to 0.950) [0.983]", "0.010 (0.000 to 0.020) [0.007]"]
    assert rows[at] == ["QA-hard", "Cross", "6", "universal", *told]
    assert rows[-1] == ["FC", "Cross", "3", "for the problem", "– [0.831]", "– [0.074]"]
    assert text.count("not trained") == 15


def test_the_universal_classifier_reads_with_its_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a verifier answers, "cross" by name would be the verifier's network: that is the one made for FC."""
    folder = tmp_path / "runs" / "verifier" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    cells = {cell.name: cell for cell in TABLE_5.cells(made_up(monkeypatch, tmp_path))}
    assert cells["fact_check-cross-large-all"].config["scope"]["name"] == "pair"
    own = cells["fact_check-cross-large-own"]
    assert own.config["scope"]["name"] == "cross" and own.missing == ""


def test_names_of_parts() -> None:
    assert part_of("Embed", "large", None) == "dual"
    assert part_of("Embed", "small", None) == "dual-3"
    assert part_of("Cross", "small", "fact_check") == "fact_check-pair-3"
