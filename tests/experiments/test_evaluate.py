from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from errata.edit import Edit
from errata.errors import ConfigError
from errata.experiments.evaluate import KEYS, Report, evaluate_problem
from errata.experiments.rows import commit, read_rows
from errata.experiments.scoring import Row, scores
from errata.models.echo import EchoModel
from errata.problems.cases import DATA, EditCase, Labelled, Problem, Unlabelled
from lab import PROBLEM
from overlap import OverlapScope, SaysTarget, tiny_data
from tiny_problems import counterfact_data, fact_check_data, mill


def evaluated(problem: Problem | str, tmp_path: Path, **options: Any) -> Report:
    options = {"model": EchoModel(), "rows": tmp_path / "rows.jsonl", **options}
    return evaluate_problem(problem, scope=OverlapScope(), counterfactual=SaysTarget(), **options)


def test_the_figures_by_hand(tmp_path: Path) -> None:
    """Scores: 6/7 and 1/6 ("alpha") and 3/4 in scope; "order" 5/7, the cloze 4/6; gamma 2/4, "the beta" 3/4."""
    base = EchoModel({"who directed the beta": "Ann Lee"})
    report = evaluated(PROBLEM, tmp_path, model=base)
    assert (report.n_in, report.es) == (3, pytest.approx(2 / 3))
    assert (report.n_out, report.dd) == (4, pytest.approx(2 / 4))
    assert report.easy == {"n_in": 2, "es": 1.0, "n_out": 1, "dd": 0.0}
    assert report.hard == {"n_in": 1, "es": 0.0, "n_out": 3, "dd": pytest.approx(2 / 3)}
    kinds = report.by_kind
    assert kinds["same"]["es"] == 0 and kinds["same"]["es_normalised"] == 1 and not kinds["same"]["counted"]
    assert kinds["same_subject_cloze"]["dd"] == 1 and not kinds["same_subject_cloze"]["counted"]
    assert kinds["other_subject"]["fired"] == 1.0, "a false fire that agrees with the base is told"
    assert kinds["other_subject"]["dd"] == 0.5
    assert kinds["rephrase"]["right_edit"] == pytest.approx(2 / 3)
    assert report.details["scope"]["recall"] == pytest.approx(2 / 3)
    assert report.details["scope"]["precision"] == pytest.approx(2 / 5)


def test_the_drawdown_against_labels_has_the_bases_errors_in_it(tmp_path: Path) -> None:
    """Four have labels, one of them apart. Of the three the base is wrong on "gamma"; the edit fires on "gamma", whose
    answer becomes right, and on "the beta", which becomes wrong: 1 of 3 both times, by different inputs."""
    labels = {
        "who directed gamma": "Ann Lee",
        "who directed the beta": "who directed the beta",
        "how far is the moon": "how far is the moon",
        "alpha belong to family": "Moths",
    }
    cases = tuple(
        replace(case, out_of_scope=tuple(replace(one, answer=labels.get(one.text, "")) for one in case.out_of_scope))
        for case in PROBLEM.cases
    )
    shared = tuple(replace(one, answer=labels[one.text]) for one in PROBLEM.shared)
    report = evaluated(replace(PROBLEM, cases=cases, shared=shared), tmp_path)
    assert (report.n_label, report.dd_label, report.base_error) == (3, pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert report.dd_label_ci is not None and report.dd_label_ci[0] <= 1 / 3 <= report.dd_label_ci[1]
    assert (report.n_out, report.dd) == (4, pytest.approx(3 / 4)), "against the base's own answers"
    assert report.by_kind["other_subject"]["base_error"] == 0.5 == report.by_kind["other_subject"]["dd_label"]
    assert report.by_kind["same_subject_cloze"]["dd_label"] == 1.0
    assert "dd_label" not in report.by_kind["same_subject"]
    _, rows = read_rows(tmp_path / "rows.jsonl")
    moon = next(row for row in rows if row["input"] == "how far is the moon")
    assert (moon["label"], moon["expected"], moon["answer"]) == ("how far is the moon",) * 3, "asked though none fired"


def test_without_labels_there_is_no_such_figure(tmp_path: Path) -> None:
    report = evaluated(PROBLEM, tmp_path)
    assert (report.n_label, report.dd_label, report.dd_label_ci, report.base_error) == (0, None, None, None)


def test_rows_of_before_there_were_labels_are_still_read() -> None:
    old = {"side": "out", "kind": "nq", "hard": False, "input": "a", "expected": None, "answer": None, "edit": None,
           "matched": None, "score": None, "nearest": None, "right": True, "batch": 0, "seed": 0, "forced": None,
           "given": None}  # fmt: skip
    assert Row(**old).label is None
    assert scores([Row(**old)], PROBLEM, 0, "")["dd"] == 0.0


def test_the_json_has_exactly_the_keys(tmp_path: Path) -> None:
    told = json.loads(json.dumps(evaluated(PROBLEM, tmp_path).to_json()))
    assert tuple(told) == KEYS
    assert (told["problem"], told["editor"], told["scope"], told["model"]) == (
        "made_up",
        "serac",
        "OverlapScope",
        "echo",
    )
    assert (told["edits"], told["teacher_forced"], told["data_hash"]) == (2, None, "abc")
    assert told["config"]["misses_changed"] == 0 < told["config"]["misses_checked"]


def test_every_input_is_a_row(tmp_path: Path) -> None:
    report = evaluated(PROBLEM, tmp_path)
    run, rows = read_rows(tmp_path / "rows.jsonl")
    assert (run["config"]["threshold"], run["seed"], run["data_hash"]) == (0.5, 0, "abc")
    assert len(rows) == 9
    by_input = {row["input"]: row for row in rows}
    row = by_input["which order does alpha belong to"]
    assert (row["side"], row["matched"], row["answer"]) == ("out", "alpha", "Beetles")
    assert (row["expected"], row["right"], row["score"]) == (
        "which order does alpha belong to",
        False,
        pytest.approx(5 / 7),
    )
    row = by_input["how far is the moon"]
    assert (row["matched"], row["answer"], row["right"]) == (None, None, True)
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.jsonl"]
    assert report.commit == run["commit"]


def test_the_base_is_asked_only_where_it_must_be(tmp_path: Path) -> None:
    """In scope where no edit fired; out of scope where one did, and twice for the sample of misses."""
    base = EchoModel()
    evaluated(PROBLEM, tmp_path, model=base)
    asked = [prompt for call in base.calls for prompt in call.prompts]
    assert sorted(asked) == sorted(
        ["alpha", "which order does alpha belong to", "alpha belong to family"]
        + ["who directed gamma", "who directed the beta"]
        + ["how far is the moon"] * 2
    )


class Moody(EchoModel):
    """Answers otherwise each time."""

    def generate(self, prompts: Any, **options: Any) -> list[str]:
        return [f"{text} {len(self.calls)}" for text in super().generate(prompts, **options)]


def test_a_base_that_is_not_constant_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        report = evaluated(PROBLEM, tmp_path, model=Moody())
    assert report.config["misses_changed"] == report.config["misses_checked"] == 1
    assert "the answer differs" in caplog.text


def test_an_interruption_leaves_what_there_is(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(PROBLEM, tmp_path, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl.partial"]
    assert len((tmp_path / "rows.jsonl.partial").read_text().splitlines()) == 1 + 9


def test_rows_have_a_place_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluated(PROBLEM, tmp_path, rows=None, seed=3)
    assert (tmp_path / "results" / "made_up-serac-OverlapScope-echo-2-seed3.jsonl").exists()


def test_a_limit_and_a_number_as_text(tmp_path: Path) -> None:
    report = evaluated(PROBLEM, tmp_path, edits=1, seed=1)
    assert report.to_json()["es"] == evaluated(PROBLEM, tmp_path, edits="1", seed=1).es
    assert evaluated(PROBLEM, tmp_path, edits="all", limit=1).by_kind["rephrase"]["n"] == 1


def test_qa_by_name(tmp_path: Path) -> None:
    report = evaluated("qa", tmp_path, data=tiny_data(tmp_path / "data"))
    assert (report.problem, report.edits, report.n_in) == ("qa", 2, 2)
    assert report.by_kind["nq"]["n"] == 2


# batches of k


def four(*, shared: int = 5) -> Problem:
    """Four edits of one rephrase each; gamma's near miss is beta's own question, but for case."""
    names = ("alpha", "beta", "gamma", "delta")
    near = {"gamma": (Unlabelled("Who directed beta", "same_subject", hard=True),)}
    return Problem(
        name="made_up",
        split="test",
        cases=tuple(
            EditCase(
                Edit(prompt=f"who directed {name}", target=name.title(), id=name),
                (Labelled(f"so who directed {name}", name.title(), "rephrase"),),
                near.get(name, ()),
            )
            for name in names
        ),
        shared=tuple(Unlabelled(f"how far is place {n}", "nq") for n in range(shared)),
    )


def test_one_batch_at_a_time_is_in_memory(tmp_path: Path) -> None:
    """Alone each question is 2 of 4 words from the other edits' (0.5 fires): so only the own batch may answer."""
    report = evaluated(four(), tmp_path, edits=1, seed=2)
    _, rows = read_rows(tmp_path / "rows.jsonl")
    assert (report.edits, report.n_in, report.es) == (1, 4, 1.0)
    assert {row["batch"] for row in rows} == {0, 1, 2, 3}
    for row in rows:
        assert row["nearest"] in {one["edit"] for one in rows if one["batch"] == row["batch"] and one["side"] == "in"}
    assert sorted(row["input"] for row in rows if row["kind"] == "nq") == [f"how far is place {n}" for n in range(5)]
    near = [row for row in rows if row["kind"] == "same_subject"]
    assert [(row["edit"], row["matched"]) for row in near] == [("gamma", "gamma")], "2 of 4 words: it fires"
    assert report.dd == pytest.approx(1 / 6)


def test_a_near_miss_that_an_edit_of_the_batch_answers_is_not_asked(tmp_path: Path) -> None:
    met = 0
    for seed in range(8):
        report = evaluated(four(), tmp_path, edits=2, seed=seed)
        _, rows = read_rows(tmp_path / "rows.jsonl")
        batch = {row["edit"]: row["batch"] for row in rows if row["side"] == "in"}
        together = batch["gamma"] == batch["beta"]
        assert report.n_out == 5 + (not together)
        met += together
    assert 0 < met < 8


def test_what_fills_no_batch_is_left_and_told(tmp_path: Path) -> None:
    report = evaluated(four(), tmp_path, edits=3)
    assert (report.edits, report.n_in) == (3, 3)
    told = report.config
    assert (told["batches"], told["edits_measured"], told["edits_left"]) == (1, 3, 1)
    assert (told["distinct_in"], told["distinct_out"]) == (3, report.n_out)
    whole = evaluated(four(), tmp_path, edits=4)
    assert (whole.edits, whole.config["batches"], whole.n_out) == (4, 1, 6), "all of them: at once, as with 'all'"


class Counts(OverlapScope):
    """Counts how often edits are encoded."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def encode_edits(self, edits: Any) -> Any:
        self.calls.append(len(edits))
        return super().encode_edits(edits)


def test_edits_are_encoded_together_and_once(tmp_path: Path) -> None:
    scope = Counts()
    evaluate_problem(
        four(), scope=scope, counterfactual=SaysTarget(), model=EchoModel(), rows=tmp_path / "rows.jsonl", edits=1
    )
    assert [calls for calls in scope.calls if calls] == [4]


# seeds


def test_seeds_repeat_the_run_and_the_figures_are_their_means(tmp_path: Path) -> None:
    report = evaluated(four(), tmp_path, edits=2, seed=3, seeds=4)
    _, rows = read_rows(tmp_path / "rows.jsonl")
    assert [one["seed"] for one in report.config["by_seed"]] == [3, 4, 5, 6]
    for told in report.config["by_seed"]:
        alone = evaluated(four(), tmp_path, edits=2, seed=told["seed"])
        assert (told["es"], told["dd"], told["n_out"]) == (alone.es, alone.dd, alone.n_out)
    figures = [one["dd"] for one in report.config["by_seed"]]
    assert report.dd == pytest.approx(sum(figures) / 4) and len(set(figures)) > 1
    assert report.n_in == sum(1 for row in rows if row["side"] == "in") == 16
    assert {row["seed"] for row in rows} == {3, 4, 5, 6}
    assert report.es_ci == evaluated(four(), tmp_path, edits=2, seed=3).es_ci, "asking an edit again is no new edit"


def test_the_seed_reaches_the_loader(tmp_path: Path) -> None:
    """The mill's page has two edits: "all" takes one of them by the seed, batches take both, one after the other."""
    data = fact_check_data(tmp_path / "data", test=mill())
    options: dict[str, Any] = {"model": EchoModel(), "rows": tmp_path / "rows.jsonl", "scope": OverlapScope()}
    options |= {"data": data, "counterfactual": SaysTrue()}
    evaluate_problem("fact_check", **options, seeds=8)
    _, rows = read_rows(tmp_path / "rows.jsonl")
    assert len({row["edit"] for row in rows}) == 2
    report = evaluate_problem("fact_check", **options, edits=1)
    assert (report.edits, report.config["batches"], report.n_in) == (1, 2, 4)
    with pytest.raises(ConfigError, match="has no 2 edits whose scopes keep apart; 1 were found"):
        evaluate_problem("fact_check", **options, edits=2)


# part by part


def test_components_by_hand(tmp_path: Path) -> None:
    """As in the first test, but the counterfactual model is asked whatever the scope classifier says.

    "alpha" is told from no edit (scope wrong) and answered rightly under its own. Out of scope the base says each text
    again; under the nearest edit its target is said, which is the base's answer for "the beta" alone.
    """
    base = EchoModel({"who directed the beta": "Ann Lee"})
    report = evaluated(PROBLEM, tmp_path, model=base, components=True)
    assert report.details["components"] == [
        {"side": "in", "hard": False, "count": 2, "scope": 1.0, "answer": 1.0},
        {"side": "in", "hard": True, "count": 1, "scope": 0.0, "answer": 1.0},
        {"side": "out", "hard": False, "count": 1, "scope": 1.0, "answer": 0.0},
        {"side": "out", "hard": True, "count": 3, "scope": 0.0, "answer": pytest.approx(1 / 3)},
    ]
    _, rows = read_rows(tmp_path / "rows.jsonl")
    told = {row["input"]: (row["expected"], row["answer"], row["given"]) for row in rows}
    assert told["alpha"] == ("Beetles", "alpha", "Beetles")
    assert told["how far is the moon"] == ("how far is the moon", "how far is the moon", told["how far is the moon"][2])
    assert told["how far is the moon"][2] in ("Beetles", "Ann Lee")
    assert told["which family does alpha belong to"][2] is None, "a kind that is not counted"
    plain = evaluated(PROBLEM, tmp_path, model=base)
    assert (plain.es, plain.dd) == (report.es, report.dd)
    assert [one["answer"] for one in plain.details["components"]] == [None] * 4
    assert [one["scope"] for one in plain.details["components"]] == [1.0, 0.0, 1.0, 0.0]


class SaysTrue(SaysTarget):
    """Takes every claim in scope for true."""

    def respond(self, inputs: Any, matches: Any, base: Any, **options: Any) -> list[str]:
        return ["True"] * len(inputs)


def test_fact_check_by_name(tmp_path: Path) -> None:
    """Two versions of a sentence, one of which is the edit: it supports one claim and refutes one."""
    options: dict[str, Any] = {"model": EchoModel(), "rows": tmp_path / "rows.jsonl", "scope": OverlapScope()}
    data = fact_check_data(tmp_path / "data", test=mill())
    report = evaluate_problem("fact_check", data=data, counterfactual=SaysTrue(), **options)
    assert (report.edits, report.n_in, report.n_out) == (1, 2, 1)
    assert {kind: score["n"] for kind, score in report.by_kind.items()} == {
        "supported": 1,
        "refuted": 1,
        "undecided": 1,
    }
    assert report.by_kind["supported"]["right_edit"] == report.by_kind["supported"]["es"]
    assert report.by_kind["refuted"]["es"] == 0


def test_counterfact_by_name(tmp_path: Path) -> None:
    report = evaluated("counterfact", tmp_path, data=counterfact_data(tmp_path / "data"))
    assert (report.edits, report.n_in, report.n_out) == (3, 1, 1)
    assert report.by_kind["same"]["es"] == 1.0
    assert report.by_kind["open_ended"]["counted"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": "qq"}, "accepted: qa"),
        ({"editor": "serak"}, "did you mean 'serac'"),
        ({"edits": "many"}, "a number or 'all'"),
        ({"edits": 3}, "has 2 edits, not 3"),
        ({"edits": 0}, "has 2 edits, not 0"),
        ({"seeds": 0}, "seeds must be 1 or more"),
        ({"model": None, "preset": "maxi"}, "accepted: mini, paper"),
        ({"model": None, "preset": "paper"}, "no base is published for 'made_up'"),
    ],
)
def test_wrong_wishes_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluated(**{"problem": PROBLEM, "tmp_path": tmp_path, **options})


def test_rows_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="rows cannot be written"):
        evaluated(PROBLEM, tmp_path, rows=tmp_path / "file" / "rows.jsonl")
    with pytest.raises(ConfigError, match="holds no rows"):
        read_rows(tmp_path / "file")


def test_the_commit_is_a_commit_or_none() -> None:
    found = commit()
    assert found is None or len(found.removesuffix("-dirty")) == 40


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_the_real_problem_runs(tmp_path: Path) -> None:
    report = evaluated("qa", tmp_path, limit=20)
    assert report.edits == 582
    assert report.by_kind["same"]["right_edit"] == 1.0
    assert {kind for kind, score in report.by_kind.items() if score["n"] == 20} >= {"rephrase", "nq", "same_subject"}
