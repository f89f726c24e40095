"""`errata test` and `errata tune`: a user's own questions as checks, and as examples for the threshold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from errata.cli.tune import Example, choose, point_at

UK = "Who is the prime minister of the United Kingdom?"
Cli = Any


def rows(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_file_of_expectations_passes_then_fails(edited: Cli, tmp_path: Path) -> None:
    file = rows(
        tmp_path / "trial.jsonl",
        {"question": UK, "answer": "keir starmer.", "edit": "uk-pm"},
        {"question": "Good morning", "base": True, "edit": "none"},
    )
    assert edited.json("test", file) == {"ok": True, "rows": 2, "failed": 0, "failures": []}
    assert {one["what"] for one in edited.json("test", file, "--exact", code=1)["failures"]} == {"answer"}
    edited("disable", "uk-pm")
    failed = edited.json("test", file, code=1)
    assert failed["failed"] == 1 and {one["what"] for one in failed["failures"]} == {"answer", "edit"}
    assert "1 failed" in edited("test", file, code=1).stdout


def test_an_answer_of_the_base_that_an_edit_takes_over_fails(edited: Cli, tmp_path: Path) -> None:
    file = rows(tmp_path / "trial.jsonl", {"question": UK, "base": True})
    [failure] = edited.json("test", file, code=1)["failures"]
    assert (failure["what"], failure["expected"], failure["got"]) == ("base", UK, "Keir Starmer")


def test_csv_rows(edited: Cli, tmp_path: Path) -> None:
    file = tmp_path / "trial.csv"
    file.write_text(f'question,answer,edit,base\n"{UK}",Keir Starmer,uk-pm,\nGood morning,,none,true\n')
    edited("test", str(file))


def test_recorded_answers_are_a_test(edited: Cli, tmp_path: Path) -> None:
    questions, recorded = tmp_path / "questions.txt", str(tmp_path / "recorded.jsonl")
    questions.write_text(f"{UK}\nGood morning\n")
    assert edited.json("test", str(questions), "--record", recorded)["recorded"] == 2
    edited("test", recorded)
    edited("replace", "uk-pm", "--target", "Someone Else")
    assert edited.json("test", recorded, code=1)["failed"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "q"}', "nothing is expected"),
        ('{"question": "q", "anwser": "a"}', "did you mean 'answer'"),
        ('{"question": "", "answer": "a"}', "'question' must be text"),
        ('{"question": "q", "base": "perhaps"}', "true or false"),
        ("[1]", "not a JSON object"),
        ("nonsense", "not a JSON object"),
        ("", "no rows"),
    ],
)
def test_bad_rows_are_named_with_their_line(cli: Cli, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "trial.jsonl"
    file.write_text(text + "\n")
    told = cli("test", str(file), code=2).stderr
    assert message in told and str(file) in told


def test_tune_shows_the_trade_off_and_applies_it(edited: Cli, tmp_path: Path) -> None:
    file = rows(
        tmp_path / "examples.jsonl",
        {"question": UK, "edit": "uk-pm"},
        {"question": "prime minister United Kingdom", "in_scope": True},
        {"question": "Who is the prime minister of France?", "in_scope": False},
        {"question": "hello", "edit": "none"},
    )
    found = edited.json("tune", file)
    assert not found["applied"] and found["before"] == 0.5 and len(found["curve"]) >= 9
    assert set(found) >= {"threshold", "es", "dd", "examples", "space"}
    assert "best" in edited("tune", file).stdout
    assert edited.json("ask", UK)["threshold"] == 0.5
    edited("tune", file, "--apply")
    assert edited.json("ask", UK)["threshold"] == found["threshold"]
    assert edited.json("ask", UK, "--space", "other")["threshold"] == 0.5
    edited("tune", "--set", "0.9")
    assert edited.json("ask", UK)["threshold"] == 0.9
    edited("tune", "--reset")
    assert edited.json("ask", UK)["threshold"] == 0.5


def test_tune_wants_both_kinds_of_examples(edited: Cli, tmp_path: Path) -> None:
    file = rows(tmp_path / "examples.jsonl", {"question": UK, "in_scope": True})
    assert "both kinds" in edited("tune", file, code=2).stderr
    assert "in_scope" in edited("tune", rows(tmp_path / "bad.jsonl", {"question": UK}), code=2).stderr
    edited("tune", code=2)
    edited("tune", file, "--set", "0.4", code=2)


def test_the_chosen_threshold_lies_between_the_kinds() -> None:
    examples = [Example("a", True, None), Example("b", True, "b"), Example("c", False, None)]
    scores = [(0.4, "a"), (0.3, "b"), (0.1, "a")]
    best = choose(examples, scores)
    assert (best.es, best.dd) == (1.0, 0.0) and 0.15 <= best.threshold <= 0.25
    assert point_at(0.35, examples, scores).es == 0.5
    assert point_at(0.05, examples, scores).dd == 1.0
    assert point_at(0.05, examples, [(0.4, "a"), (0.3, "wrong"), (0.1, "a")]).es == 0.5
