"""QA-hard on files of the published schemas that we made up, with an encoder that counts words; and on real ones."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from errata.errors import ConfigError
from errata.experiments.evaluate import PROBLEMS
from errata.problems.cases import DATA, EditCase, Problem
from errata.problems.held_out import is_held_out, normalise, runs
from errata.problems.qa import load_qa
from errata.problems.qa_hard import DRAWN, NEIGHBOURS, SKIPPED, TOP, load_qa_hard
from errata.problems.sampler import compared, split
from errata.training.texts import TRUE_FALSE
from overlap import OverlapScope
from tiny_hard import COUNT, EVAL, hard_data, record

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")

PREFIXES = tuple(prefix for one in TRUE_FALSE for prefix in (one, one.lower()))


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = OverlapScope().encode_inputs(texts)
    return vectors


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hard_data(tmp_path_factory.mktemp("hard"))


@pytest.fixture(scope="module")
def problem(tiny: Path) -> Problem:
    return load_qa_hard(tiny, encode=encode)


def case(problem: Problem, subject: str) -> EditCase:
    return next(one for one in problem.cases if one.edit.meta["subject"] == subject)


# in scope


def test_the_edits_are_those_of_qa(problem: Problem) -> None:
    assert [(one.edit.id, one.edit.prompt, one.edit.target) for one in problem.cases][:2] == [
        ("zsre-0000", "Who directed Alpha?", "Ann Lee"),
        ("zsre-0001", "What gender is Beta?", "female"),
    ]
    assert len(problem.cases) == 5


def test_one_input_of_each_kind_and_the_drawn_one_again(problem: Problem) -> None:
    for one in problem.cases:
        *others, drawn = one.in_scope
        assert drawn.kind == DRAWN and drawn in [replace(other, kind=DRAWN) for other in others]
        assert max(Counter(other.kind for other in others).values()) == 1
        assert [other.kind for other in others if other.hard] == [
            other.kind for other in others if other.kind in ("entailed", "true_false")
        ]
    assert {one.kind for one in case(problem, "Alpha").in_scope} == {
        "same",
        "rephrase",
        "entailed",
        "true_false",
        DRAWN,
    }
    assert problem.success == {DRAWN}


def test_what_no_rule_reads_has_only_its_own_questions(problem: Problem) -> None:
    assert [one.kind for one in case(problem, "Gamma").in_scope] == ["same", "rephrase", DRAWN]
    notes = dict(problem.notes)
    assert notes["true or false: no statement"] == 1
    assert notes["entailed: none"] == 2  # Gamma, and Beta: a gender asks nothing back


def test_statements_are_true_with_the_target_and_false_with_another_alternative(tiny: Path) -> None:
    said = set()
    for seed in range(40):
        found = load_qa_hard(tiny, seed=seed, encode=encode)
        one = next(one for one in case(found, "Alpha").in_scope if one.kind == "true_false")
        assert one.text.startswith(PREFIXES)
        said.add((one.text.split(": ")[1], one.answer))
        judged = next(one for one in case(found, "Beta").in_scope if one.kind == "true_false")
        assert judged.answer == "True"  # it has no other alternative
    assert said == {
        ("Ann Lee directed Alpha.", "True"),
        ("Bo Ek directed Alpha.", "False"),
        ("Cy Fox directed Alpha.", "False"),
    }


def test_what_two_edits_answer_otherwise_is_not_asked(tiny: Path) -> None:
    """ "What is named after Eli Gray?" has two answers while both edits are in memory."""
    for seed in range(10):
        found = load_qa_hard(tiny, seed=seed, encode=encode)
        asked = [one.text for one in (*case(found, "Delta").in_scope, *case(found, "Eta").in_scope)]
        assert not [text for text in asked if text.startswith("What is named")]
        assert dict(found.notes)["entailed dropped: another edit answers otherwise"] == 2


def test_everything_drawn_is_drawn_by_the_seed(tiny: Path, problem: Problem) -> None:
    assert load_qa_hard(tiny, encode=encode) == problem
    other = load_qa_hard(tiny, seed=1, encode=encode)
    assert other.data_hash == problem.data_hash
    assert [one.out_of_scope for one in other.cases] != [one.out_of_scope for one in problem.cases]


# out of scope


def test_random_questions_are_easy(problem: Problem) -> None:
    natural = [one for one in problem.shared if one.kind == "nq"]
    assert [(one.text, one.hard, one.note) for one in natural] == [
        ("when did the moon fall", False, "random"),
        ("who directed the choir", False, "random"),
    ]
    strangers = [one for one in problem.shared if one.kind != "nq"]
    held = [name for n in range(COUNT // 2) for name in (f"Film{n}", f"Town{n}") if is_held_out(name)]
    assert len(strangers) == len(held)
    assert all(one.hard == ("direct" in one.text) for one in strangers)  # an edit asks who directed Alpha
    forms = {(one.kind, one.note) for one in strangers}
    assert forms == {
        (kind, why + form)
        for why in ("random", "same relation")
        for kind, form in (
            ("train_other_subject", ""),
            ("other_entailed", ", entailed"),
            ("other_true_false", ", true/false"),
        )
    }


def test_another_relation_of_the_subject_is_hard(problem: Problem) -> None:
    found = [one for one in case(problem, "Alpha").out_of_scope if one.kind == "same_subject"]
    assert [(one.text, one.hard, one.note) for one in found] == [
        ("What is the genre of Alpha?", True, "same subject"),
    ]


@pytest.mark.parametrize("draw", SKIPPED)
def test_neighbours_come_from_the_nearest_less_the_very_nearest(tiny: Path, draw: str) -> None:
    """The encoder is fixed here: the pool's texts lie further off one by one."""
    places: dict[str, int] = {}

    def ladder(texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) == 5:  # the edits
            return np.tile(np.array([[1.0, 0.0]], np.float32), (5, 1))
        places.update({text: at for at, text in enumerate(texts)})
        angles = np.linspace(0.01, 1.2, len(texts))
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)

    found = load_qa_hard(tiny, draw=draw, encode=ladder)
    for one in found.cases:
        near = [other for other in one.out_of_scope if other.kind == "neighbour"]
        assert len({other.text for other in near}) == NEIGHBOURS
        assert all(other.hard and other.note.startswith("neighbour") for other in near)
        assert all(SKIPPED[draw] <= places[other.text] < TOP for other in near)


def test_no_neighbour_is_about_the_edits_subject(tmp_path: Path) -> None:
    names = [f"Film{n}" for n in range(COUNT // 2) if is_held_out(f"Film{n}")]
    rows = [record("Alpha", f"Who saw Alpha of {names[0]}?", "Who saw it?", "Ann Lee", "Bo Ek")]
    (hard_data(tmp_path) / "zsre" / "mend_eval.json").write_text(json.dumps(rows))
    for seed in range(10):
        near = load_qa_hard(tmp_path, seed=seed, encode=encode).cases[0].out_of_scope
        assert not [one.text for one in near if names[0] in one.text.replace("?", "").replace(".", "").split()]


def test_without_held_out_questions_there_are_no_neighbours(tmp_path: Path) -> None:
    (hard_data(tmp_path) / "zsre" / "train_qa.jsonl").write_text('{"input": "Who?", "answer": "x"}\n')
    found = load_qa_hard(tmp_path, encode=encode)
    assert {one.kind for one in found.shared} == {"nq"}
    assert {one.kind for each in found.cases for one in each.out_of_scope} == {"same_subject"}


# bad data


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("zsre/mend_eval.json", "[]", "holds no records"),
        ("zsre/mend_eval.json", '[{"subject": "A", "src": "q"}]', "record 1, line 1: there is no field"),
        ("zsre/mend_eval.json", json.dumps([EVAL[0], {**EVAL[1], "alt": ["x"]}]), "record 2, line 1: 'alt'"),
        ("zsre/mend_eval.json", json.dumps([{**EVAL[0], "answers": "x"}]), "record 1, line 1: 'answers'"),
        ("zsre/mend_eval.json", json.dumps([{**EVAL[0], "answers": [1]}]), "record 1, line 1: 'answers'"),
        ("zsre/train_qa.jsonl", '{"input": "a", "answer": "b"}\n{"input": 3, "answer": "b"}', "line 2: 'input'"),
        ("zsre/train_qa.jsonl", '{"input": "a", "answer": "b"}\n{"inp', "line 2 is no JSON"),
        ("zsre/knowedit_test.json", '[{"subject": "A", "prompt": "q"}]', "record 1, line 1: there is no field"),
        ("nq_open/dev.jsonl", b'{"question": "\xe9t\xe9"}', "line 1 is not UTF-8"),
        ("nq_open/dev.jsonl", '{"question": null}', "line 1: 'question' must be a text"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    (hard_data(tmp_path) / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        load_qa_hard(tmp_path, encode=encode)
    assert name in str(caught.value)


def test_no_such_split_or_draw(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'dev'"):
        load_qa_hard(tiny, split="dev", encode=encode)
    with pytest.raises(ConfigError, match="'nearest'"):
        load_qa_hard(tiny, draw="nearest", encode=encode)


def test_it_is_known_by_name() -> None:
    assert PROBLEMS["qa_hard"] is load_qa_hard


# the real data


@pytest.fixture(scope="module")
def hard() -> Problem:
    return load_qa_hard(encode=encode)


@real
def test_the_figures_inputs_are_all_there(hard: Problem) -> None:
    assert [one.edit for one in hard.cases] == [one.edit for one in load_qa().cases]
    inside = Counter(one.kind for each in hard.cases for one in each.in_scope)
    assert inside["same"] == inside["rephrase"] == inside[DRAWN] == 582
    assert inside["true_false"] >= 560 and inside["entailed"] >= 450
    outside = [one for each in hard.cases for one in each.out_of_scope] + list(hard.shared)
    parts = split(hard, 10)
    asked = [one for part in parts for each in part.cases for one in each.out_of_scope]
    asked += [one for part in parts for one in part.shared]
    assert len({compared(one.text) for one in asked}) > 8_500
    assert Counter(one.kind for one in outside)["neighbour"] == 582 * NEIGHBOURS
    assert dict(hard.notes)["pool questions"] == 3_000
    assert all(one.note for one in outside)


@real
def test_nothing_out_of_scope_is_in_scope(hard: Problem) -> None:
    mine = {normalise(one.text) for each in hard.cases for one in each.in_scope}
    outside = [one for each in hard.cases for one in each.out_of_scope] + list(hard.shared)
    assert [one.text for one in outside if normalise(one.text) in mine] == []
    subjects = {normalise(each.edit.meta["subject"]) for each in hard.cases}
    near = [one.text for each in hard.cases for one in each.out_of_scope if one.kind == "neighbour"]
    assert [text for text in near if "," not in text and subjects & set(runs(normalise(text).split()))] == []


@real
def test_no_input_in_scope_has_two_answers(hard: Problem) -> None:
    answers: dict[str, set[str]] = {}
    for each in hard.cases:
        for one in each.in_scope:
            answers.setdefault(normalise(one.text), set()).add(normalise(one.answer))
    assert [text for text, found in answers.items() if len(found) > 1] == []


@real
def test_the_backbone_is_the_encoder_unless_another_is_given(tiny: Path) -> None:
    pytest.importorskip("torch")
    found = load_qa_hard(tiny)
    near = [one.text for one in case(found, "Alpha").out_of_scope if one.kind == "neighbour"]
    assert len(near) == NEIGHBOURS
    assert load_qa_hard(tiny) == found
