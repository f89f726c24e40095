"""Nothing that scope and reader are trained on shares a question or a subject with a test file."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from errata import problems
from errata.problems.cases import DATA, Problem
from errata.problems.everyday import load_everyday
from errata.problems.fact_check import load_fact_check
from errata.problems.held_out import is_held_out, normalise, runs
from errata.problems.qa import load_qa
from errata.training.diets import SPLIT, diet_of
from errata.training.evidence import EvidenceSources
from errata.training.groups import Sources
from errata.training.texts import read

pytestmark = [
    pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand"),
    pytest.mark.timeout(600),
]

SUBJECTS = ("subject", "alternative_subject")
QUESTIONS = ("src", "prompt", "rephrase", "rephrase_prompt", "alter_subject_question", "inverse question")
ZSRE = ("mend_eval", "knowedit_test", "knowedit_test_paraphrases10", "alias", "inverse")


def folder() -> Path:
    return Path(os.environ[DATA])


def zsre() -> Iterator[dict[str, Any]]:
    for name in ZSRE:
        yield from json.loads((folder() / "zsre" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(folder())


@pytest.fixture(scope="module")
def subjects() -> set[str]:
    return {normalise(row[key]) for row in zsre() for key in SUBJECTS if row.get(key)} - {""}


@pytest.fixture(scope="module")
def questions() -> set[str]:
    found = {normalise(row[key]) for row in zsre() for key in QUESTIONS if row.get(key)}
    for row in zsre():
        found.update(normalise(text) for text in row.get("generate_prompt", ()))
    natural = (folder() / "nq_open" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    return found | {normalise(json.loads(line)["question"]) for line in natural}


def asked(sources: Sources) -> Iterator[str]:
    """Every question in the sources as it was read."""
    yield from (item.question for item in sources.items if item.question)
    yield from (question for question, _ in sources.strangers)
    yield from (row[key] for row in sources.mend for key in ("src", "rephrase"))
    yield from sources.asked
    yield from (question for _, _, said in sources.pokemqa for question in said)
    yield from sources.squad_questions
    yield from (item["question"] for row in sources.squad for item in row["implications"])
    yield from (row[key] for row in sources.counterfact for key in ("prompt", "rephrase_prompt", "locality_prompt"))
    yield from sources.ordinary
    yield from written(sources)


def written(sources: Sources) -> Iterator[str]:
    """Every text of our own edits."""
    for block in sources.written:
        yield from (block.prompt, *block.told, *block.yes, *block.no, *block.outside)


def named(sources: Sources) -> Iterator[str]:
    """Every subject in the sources that a record names."""
    yield from (item.subject for item in sources.items)
    yield from (subject for _, subject in sources.strangers)
    yield from (row["subject"] for row in sources.mend + sources.counterfact)
    yield from (fact.subject for fact in sources.facts)
    yield from sources.topics


def test_no_question_of_a_test_file(sources: Sources, questions: set[str]) -> None:
    assert sorted({text for text in asked(sources) if normalise(text) in questions}) == []


def test_no_subject_of_a_test_file(sources: Sources, subjects: set[str]) -> None:
    assert sorted({name for name in named(sources) if normalise(name) in subjects}) == []


def test_our_own_edits_name_no_subject_of_zsres_test_files_and_are_not_asked(
    sources: Sources, subjects: set[str]
) -> None:
    texts = {normalise(text) for text in written(sources)}
    assert sorted(text for text in texts if not subjects.isdisjoint(runs(text.split()))) == []
    problem = load_everyday()
    tasks = {normalise(text) for text in (*sources.tasks, *sources.ordinary)}
    assert tasks.isdisjoint(normalise(one.text) for one in problem.shared)
    around = {normalise(text.replace("{question}", "")) for text in sources.surroundings}
    texts_of_test = (resources.files(problems) / "around.txt").read_text(encoding="utf-8").splitlines()
    assert around.isdisjoint(normalise(text.replace("{question}", "")) for text in texts_of_test)
    for case in problem.cases:
        assert tasks.isdisjoint(normalise(one.text) for one in case.out_of_scope)
        assert texts.isdisjoint(normalise(one.text) for one in (*case.in_scope, *case.out_of_scope))


def test_none_in_what_is_drawn(sources: Sources, questions: set[str]) -> None:
    source = random.Random(0)
    for _ in range(3_000):
        group = sources.draw(source)
        texts = [group.prompt, *(one.text for one in group.inside), *group.outside]
        assert [text for text in texts if normalise(text) in questions] == [], group.source


def test_held_out_subjects_are_strangers(sources: Sources) -> None:
    """Those of train_qa that the evaluation asks as strangers stand in no question that is trained on."""
    assert [item.subject for item in sources.items if item.question and is_held_out(item.subject)] == []
    held = {normalise(one.text) for one in load_qa().shared if one.kind == "train_other_subject"}
    assert sorted({text for text in asked(sources) if normalise(text) in held}) == []


def test_no_record_of_the_other_problems_test_files(sources: Sources) -> None:
    cases = [row for name in ("val", "edit") for row in read(folder() / "counterfact" / f"{name}.json")]
    subjects = {normalise(row["subject"]) for row in cases}
    clozes = {normalise(row[key]) for row in cases for key in ("prompt", "rephrase_prompt", "locality_prompt")}
    for row in sources.counterfact:
        assert normalise(row["subject"]) not in subjects
        assert clozes.isdisjoint(normalise(row[key]) for key in ("prompt", "rephrase_prompt", "locality_prompt"))
    later = {normalise(row["ent"]) for name in ("dev", "test") for row in read(folder() / "convsent" / f"{name}.json")}
    assert later.isdisjoint(map(normalise, sources.topics))
    assert min(len(sources.counterfact), len(sources.topics)) > 500


def test_no_evidence_or_claim_of_a_later_split_is_trained_on() -> None:
    cases = EvidenceSources(folder()).cases
    texts = {
        normalise(text) for case in cases for one in case for text in (one.text, *(said for said, _ in one.claims))
    }
    pages = {one.page for case in cases for one in case}
    for split in ("dev", "test"):
        problem = load_fact_check(folder(), split=split, every=True)
        asked = [one.text for case in problem.cases for one in (*case.in_scope, *case.out_of_scope)]
        asked += [one.text for one in problem.shared] + [case.edit.prompt for case in problem.cases]
        assert texts.isdisjoint(map(normalise, asked))
        assert pages.isdisjoint(case.edit.meta["page_group"] for case in problem.cases)


@pytest.mark.parametrize("problem", SPLIT)
def test_a_diet_shares_nothing_with_the_splits_it_is_examined_on(problem: str) -> None:
    """Neither what it is drawn from nor what it draws: no subject, page or beginning of an edit, and no input."""
    train, *later = (SPLIT[problem](folder(), split=split) for split in ("train", "dev", "test"))
    for other in later:
        assert about(train).isdisjoint(about(other)) and texts(train).isdisjoint(texts(other))
    seen = {text for other in later for text in texts(other)}
    diet = diet_of(problem, folder())
    for seed in range(50):
        batch = diet(8, random.Random(seed))
        drawn = [prompt for prompt, _ in batch.told] + [text for text, _ in batch.inside] + list(batch.outside)
        assert seen.isdisjoint(map(normalise, drawn))


def about(problem: Problem) -> set[str]:
    """What a problem's edits are about; the beginnings of Wikipedia's passages are about themselves."""
    names = [case.edit.meta.get("subject") or case.edit.meta.get("page") or case.edit.prompt for case in problem.cases]
    return {normalise(name) for name in names}


def texts(problem: Problem) -> set[str]:
    """All that a problem asks, and its edits."""
    asked = [one.text for case in problem.cases for one in (*case.in_scope, *case.out_of_scope)]
    asked += [one.text for one in problem.shared] + [case.edit.prompt for case in problem.cases]
    return {normalise(text) for text in asked}
