"""Triples on files of the published schemas that we made up, and on the real ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems import triples
from errata.problems.cases import DATA, DataFolder, Problem
from errata.problems.held_out import normalise
from errata.problems.sampler import split
from errata.problems.triples import TREX, choose, load_triples, read_triples, relations_of
from tiny_problems import BORN, SPEAKS, WORKS, few_triples, triples_data, write

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The tiny data, and splits of their size."""
    return few_triples(monkeypatch, tmp_path)


def test_wordings_end_with_the_object_and_belong_to_one_relation() -> None:
    """ "is from" is a wording of both, and makes them near; the others have the object elsewhere, or an article."""
    born, works, speaks = relations_of({"P1": BORN, "P2": WORKS, "P3": SPEAKS})
    assert born.wordings == ("[X] was born in", "[X]'s home is", "[X] is native to") and born.near == {"P2"}
    assert works.wordings == ("[X] works as",) and works.near == {"P1"}
    assert speaks.wordings == ("[X] speaks",) and not speaks.near


@pytest.mark.parametrize(("count", "held_out"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (9, 2)])
def test_the_last_third_of_at_most_six_wordings_is_held_out(count: int, held_out: int) -> None:
    (relation,) = relations_of({"P1": [f"[X] {at} [Y]" for at in range(count)]})
    assert relation.wordings == tuple(f"[X] {at}" for at in range(min(count, 6)))
    assert len(relation.held_out) == held_out
    assert relation.known + relation.held_out == relation.wordings


def test_a_subject_with_two_objects_is_left_out(tmp_path: Path) -> None:
    found, relations = read_triples(DataFolder(triples_data(tmp_path)))
    assert Counter(one.relation.name for one in found) == {"P1": 10, "P2": 4, "P3": 4}
    assert "Kim" not in {one.subject for one in found} and set(relations) == {"P1", "P2", "P3"}


def test_subjects_with_two_relations_are_dealt_out_first(few: Path) -> None:
    """Four of them to six edits: two, none and one. The job is near the place of birth, so the language is asked."""
    splits = choose(*read_triples(DataFolder(few)))
    assert [len(splits[name].edited) for name in ("train", "dev", "test")] == [3, 1, 2]
    assert [len(splits[name].beside) for name in ("train", "dev", "test")] == [2, 0, 1]
    assert all(
        [one.relation.name for one in several] == ["P3"]
        for chosen in splits.values()
        for several in chosen.beside.values()
    )
    assert all(one.relation.name == "P1" for chosen in splits.values() for one in chosen.edited)


def test_no_two_splits_share_a_subject(few: Path) -> None:
    names = [
        one.subject
        for chosen in choose(*read_triples(DataFolder(few))).values()
        for one in (*chosen.edited, *chosen.strangers)
    ]
    assert len(names) == len(set(names)) == 9


def test_an_edit_its_rephrases_and_what_it_leaves_alone(few: Path) -> None:
    problem = load_triples(few, split="test")
    case = next(case for case in problem.cases if case.out_of_scope)
    about, other = case.edit.meta["subject"], {"Rome": "Oslo", "Oslo": "Rome"}[case.edit.meta["answer"]]
    assert (case.edit.prompt, case.edit.target) == (f"{about} was born in", other)
    assert [(one.text, one.answer, one.kind, one.hard) for one in case.in_scope] == [
        (f"{about} was born in", other, "same", False),
        (f"{about}'s home is", other, "rephrase", False),
        (f"{about} is native to", other, "rephrase", True),
    ]
    assert [(one.text, one.kind, one.hard) for one in case.out_of_scope] == [(f"{about} speaks", "same_subject", True)]
    assert case.out_of_scope[0].answer in ("Latin", "Greek")
    (stranger,) = problem.shared
    assert stranger.kind == "other_subject" and not stranger.hard and stranger.answer in ("Rome", "Oslo")
    assert problem.success == {"rephrase"}


def test_the_seed_draws_targets_alone(few: Path) -> None:
    one, other = (load_triples(few, split="train", seed=seed) for seed in (0, 1))
    assert one == load_triples(few, split="train") and one.shared == other.shared
    assert [case.edit.prompt for case in one.cases] == [case.edit.prompt for case in other.cases]


def test_bad_data_is_named(few: Path) -> None:
    with pytest.raises(ConfigError, match="triples has no split 'valid'; accepted: train, dev, test"):
        load_triples(few, split="valid")
    write(few / TREX / "P2.jsonl", [{"sub_label": "Ann"}])
    with pytest.raises(ConfigError, match="P2.jsonl: line 1: there is no field 'obj_label'"):
        load_triples(few)
    with pytest.raises(ConfigError, match="no triple that can be asked"):
        load_triples(few / "pararel")


# the real data


@pytest.fixture(scope="module")
def problems() -> Mapping[str, Problem]:
    return {name: load_triples(split=name) for name in triples.EDITS}


def _subjects(problem: Problem) -> set[str]:
    return {normalise(case.edit.meta["subject"]) for case in problem.cases}


def _texts(problem: Problem) -> set[str]:
    inside = [one.text for case in problem.cases for one in case.in_scope]
    outside = [one.text for case in problem.cases for one in case.out_of_scope] + [one.text for one in problem.shared]
    return set(map(normalise, inside + outside))


@real
def test_counts_of_the_real_data(problems: Mapping[str, Problem]) -> None:
    def told(problem: Problem) -> Sequence[int]:
        kinds = Counter((one.kind, one.hard) for case in problem.cases for one in case.in_scope)
        outside = sum(len(case.out_of_scope) for case in problem.cases)
        return (len(problem.cases), kinds["rephrase", False], kinds["rephrase", True], outside, len(problem.shared))

    assert {name: told(problem) for name, problem in problems.items()} == {
        "train": (768, 1666, 875, 522, 384),
        "dev": (256, 562, 294, 168, 128),
        "test": (512, 1114, 555, 344, 256),
    }


@real
def test_the_real_splits_are_disjoint(problems: Mapping[str, Problem]) -> None:
    subjects = [_subjects(problem) for problem in problems.values()]
    assert sum(map(len, subjects)) == len(set().union(*subjects))
    asked = [{normalise(one.text) for one in problem.shared} for problem in problems.values()]
    assert sum(map(len, asked)) == len(set().union(*asked))
    for name in ("train", "dev"):
        assert not _texts(problems[name]) & _texts(problems["test"])


@real
def test_no_real_input_out_of_scope_is_in_an_edits_scope(problems: Mapping[str, Problem]) -> None:
    for problem in problems.values():
        inside = {normalise(one.text) for case in problem.cases for one in case.in_scope}
        outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
        assert not inside & {normalise(one.text) for one in outside}
        assert all(one.answer for one in outside)
        assert all(case.edit.target != case.edit.meta["answer"] for case in problem.cases)


@real
def test_the_real_test_makes_four_batches_of_128(problems: Mapping[str, Problem]) -> None:
    assert len(split(problems["test"], 128)) == 4
