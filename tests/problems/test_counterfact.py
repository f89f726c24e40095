from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA, Problem
from errata.problems.counterfact import is_paraphrase, load_counterfact, subject
from errata.problems.held_out import normalise, runs
from tiny_problems import counterfact_data, twin, write

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


# the tiny data


def test_the_first_record_of_a_subject_is_the_edit(tmp_path: Path) -> None:
    problem = load_counterfact(counterfact_data(tmp_path))
    assert [(case.edit.id, case.edit.prompt, case.edit.target) for case in problem.cases] == [
        ("counterfact-4", "Arbon is a twin city of", "Lima"),
        ("counterfact-8", "Bergen is a twin city of", "Rome"),
        ("counterfact-9", "Cadiz is a twin city of", "Bonn"),
    ]
    assert dict(problem.cases[0].edit.meta) == {"subject": "Arbon", "case_id": "4"}
    assert [[(one.kind, one.answer) for one in case.in_scope] for case in problem.cases] == [
        [("rephrase", "Lima"), ("same", "Lima")],
        [("open_ended", "Rome"), ("same", "Rome")],
        [("open_ended", "Bonn"), ("same", "Bonn")],
    ]
    assert problem.success == {"rephrase"}


def test_neighbours_are_hard_and_about_no_edited_subject(tmp_path: Path) -> None:
    problem = load_counterfact(counterfact_data(tmp_path))
    assert [[one.text for one in case.out_of_scope] for case in problem.cases] == [["Derby is a twin city of"], [], []]
    assert {(one.kind, one.hard) for case in problem.cases for one in case.out_of_scope} == {("neighbourhood", True)}
    assert dict(problem.notes) == {
        "records dropped: the subject has an edit": 1,
        "neighbours dropped: about a subject that an edit has": 1,
        "neighbours dropped: repeated": 1,
    }


def test_dev_has_no_subject_of_the_test(tmp_path: Path) -> None:
    problem = load_counterfact(counterfact_data(tmp_path), split="dev")
    assert [case.edit.meta["subject"] for case in problem.cases] == ["Dover"]
    assert dict(problem.notes)["records dropped: the subject is in the test"] == 1


def test_no_subject_was_trained_on(tmp_path: Path) -> None:
    """Arbon's two records go, and with them what its edit kept out: a neighbour about Arbon."""
    counterfact_data(tmp_path)
    trained = [twin(3, "arbon", "Oslo", "Arbon is known for", "Ulm is a twin city of")]
    write(tmp_path / "counterfact" / "train.json", trained)
    problem = load_counterfact(tmp_path)
    assert [case.edit.meta["subject"] for case in problem.cases] == ["Bergen", "Cadiz"]
    assert [[one.text for one in case.out_of_scope] for case in problem.cases] == [
        ["Where is Arbon? It is a twin city of"],
        ["Derby is a twin city of"],
    ]
    assert dict(problem.notes) == {"records dropped: the subject is trained on": 2}
    trained += [twin(5, name, "Oslo", "x", "y") for name in ("Bergen", "Cadiz")]
    write(tmp_path / "counterfact" / "train.json", trained)
    with pytest.raises(ConfigError, match="no record whose subject is not in counterfact/train.json"):
        load_counterfact(tmp_path)


@pytest.mark.parametrize(
    ("text", "paraphrase"),
    [
        ("He resigned in 1990. Rome is a twin city of", True),
        ("References \n\nCategory: Towns Rome is a twin city of", True),
        ("(b. 1929) Rome is a twin city of", True),
        ("The old part of Rome is a twin city of", False),
        ("Rome is a twin city of", False),
        (" Rome is a twin city of", False),
        ("Rome's twin city is known for", False),
    ],
)
def test_is_paraphrase(text: str, paraphrase: bool) -> None:
    assert is_paraphrase(text, "Rome", ["{} was founded in", "{} is a twin city of"]) is paraphrase


# bad data


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"case_id": "4"}, "edit.json: record 2, line 1: 'case_id' must be a whole number"),
        ({"case_id": True}, "record 2, line 1: 'case_id' must be a whole number"),
        ({"case_id": 4}, "record 2, line 1: 'case_id' 4 came before"),
        ({"target_new": ""}, "record 2, line 1: 'target_new' is empty"),
        ({"rephrase_prompt": None}, "record 2, line 1: 'rephrase_prompt' must be text, not NoneType"),
        ({"subject": "Lyon"}, "record 2, line 1: 'prompt' does not name the subject"),
    ],
)
def test_bad_records_are_refused(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    path = counterfact_data(tmp_path) / "counterfact" / "edit.json"
    rows = json.loads(path.read_text())
    rows[1].update(fields)
    path.write_text(json.dumps(rows))
    with pytest.raises(ConfigError, match=message):
        load_counterfact(tmp_path)


def test_no_such_field_split_or_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="counterfact has no split 'train'; accepted: dev, test"):
        load_counterfact(tmp_path, split="train")
    with pytest.raises(ConfigError, match=r"cannot read counterfact/edit.json"):
        load_counterfact(tmp_path)
    path = counterfact_data(tmp_path) / "counterfact" / "edit.json"
    path.write_text('[{"prompt": "x"}]')
    with pytest.raises(ConfigError, match="record 1, line 1: there is no field 'target_new'"):
        load_counterfact(tmp_path)
    path.write_text("{}")
    with pytest.raises(ConfigError, match="must hold a list"):
        load_counterfact(tmp_path)


# the real data


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_counterfact()


@real
def test_the_counts(problem: Problem) -> None:
    assert len(problem.cases) == 3_690
    assert Counter(one.kind for case in problem.cases for one in case.in_scope) == {
        "same": 3_690,
        "open_ended": 3_083,
        "rephrase": 607,
    }
    assert Counter(one.kind for case in problem.cases for one in case.out_of_scope) == {"neighbourhood": 3_224}
    dev = load_counterfact(split="dev")
    assert len(dev.cases) == 1_752
    assert {subject(dict(case.edit.meta)) for case in dev.cases}.isdisjoint(
        subject(dict(case.edit.meta)) for case in problem.cases
    )


@real
def test_no_input_is_anothers_in_scope_input(problem: Problem) -> None:
    scopes = [{normalise(one.text) for one in case.in_scope} for case in problem.cases]
    assert sum(map(len, scopes)) == len(set().union(*scopes))
    subjects = {subject(dict(case.edit.meta)) for case in problem.cases}
    outside = [one.text for case in problem.cases for one in case.out_of_scope]
    assert [text for text in outside if normalise(text) in set().union(*scopes)] == []
    assert [text for text in outside if subjects & set(runs(normalise(text).split()))] == []
