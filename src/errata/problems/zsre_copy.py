"""zsRE as a copy-edit set: a question with another answer, its rephrases with the same one (SeProG, section 5.1).

The test and dev splits are those of `qa`, rephrases alone, with gold labels on the questions out of scope. The train
split is MEND's train file, and zsRE's train questions with rephrases from the phrasebook's templates, which are
ours; the new answer there is another question's of the same relation.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from errata.edit import Edit
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Unlabelled, distinct, later_splits
from errata.problems.held_out import is_held_out, normalise, percentile, runs
from errata.problems.qa import (
    ALIASES,
    DEV,
    EVAL,
    KNOWEDIT,
    MEND_TRAIN,
    NATURAL,
    PARAPHRASES,
    TRAIN,
    UNREAD,
    Row,
    first_of_each_subject,
    load_qa,
)
from errata.training.phrasebook import load_phrasebook, mine_templates, relation_of

SPLITS = ("train", "dev", "test")
COPIED = (kinds.REPHRASE, kinds.SAME)
STRANGERS = range(90, 100)
"""Of a hundred shares of the train subjects, those that have no edit: their questions are out of scope."""
WORDINGS = 2
"""Rephrases from templates that a train edit gets, where its relation has so many."""
PREFIX = "nq question: "
TESTED = (EVAL, KNOWEDIT, PARAPHRASES, ALIASES)
"""The files whose subjects are the test split's."""


def load_zsre_copy(data: str | Path | None = None, *, split: str = "test") -> Problem:
    """Questions of zsRE with alternative answers.

    An input out of scope tells its gold answer, the first where the data have several.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test"; no question and no subject is in two.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    later_splits("zsre_copy", split, SPLITS)
    folder = DataFolder(data)
    if split == "train":
        return _train(folder)
    whole = load_qa(data, split=split)
    labels = dict(_labels(folder, split))
    tested = _subjects(folder, TESTED) if split == "dev" else set()
    return replace(
        whole,
        name="zsre_copy",
        cases=tuple(
            replace(case, in_scope=tuple(one for one in case.in_scope if one.kind in COPIED), out_of_scope=())
            for case in whole.cases
        ),
        shared=tuple(
            replace(one, answer=labels.get(one.text, ""))
            for one in whole.shared
            if tested.isdisjoint(runs(normalise(one.text).split()))
        ),
        apart=frozenset(),
        data_hash=whole.data_hash,
        notes=(),
    )


def _labels(folder: DataFolder, split: str) -> Iterator[tuple[str, str]]:
    """The gold answer of every question that `qa` asks out of scope, by its text."""
    if split == "dev":
        for row in folder.read(DEV, "locality"):
            yield from ((item["prompt"], item["ground_truth"]) for item in row["locality"])
        yield from _natural(folder)
        return
    for row in folder.read(NATURAL, "question", "answer"):
        yield row["question"], row["answer"][0]
    for row in folder.read(KNOWEDIT, "prompt"):
        gold = row.get("ground_truth") or ""
        yield row["prompt"], gold if isinstance(gold, str) else str(gold[0])
    for row in folder.read(TRAIN, "input", "answer"):
        yield row["input"], row["answer"]


def _natural(folder: DataFolder) -> list[tuple[str, str]]:
    """The Natural Questions of MEND's train file with their answers, in file order."""
    return [(row["loc"].removeprefix(PREFIX), row["loc_ans"]) for row in folder.read(MEND_TRAIN, "loc", "loc_ans")]


# to train on


def _train(folder: DataFolder) -> Problem:
    """Edits of MEND's train file and of zsRE's train questions, without any subject of the dev and test splits."""
    notes: Counter[str] = Counter()
    later = _subjects(folder, (*TESTED, DEV))
    prompts = [item["prompt"] for row in folder.read(DEV, "locality") for item in row["locality"]]
    named = {run for text in prompts for run in runs(normalise(text).split())}

    def ours(subject: str) -> bool:
        kept = not is_held_out(subject) and normalise(subject) not in later and normalise(subject) not in named
        notes["records dropped: a subject of dev or test"] += not kept
        return kept

    mend = first_of_each_subject(folder.read(MEND_TRAIN, "subject", "src", "rephrase", "alt"))
    cases = {normalise(name): _mend(name, row) for name, row in mend.items() if ours(name)}
    asked = [found for found in _mined(folder, notes) if ours(found[1])]
    strangers = [found for found in asked if percentile(found[1]) in STRANGERS and normalise(found[1]) not in cases]
    edited = [found for found in asked if percentile(found[1]) not in STRANGERS and normalise(found[1]) not in cases]
    for case in _templated(edited, notes):
        cases.setdefault(normalise(case.edit.meta["subject"]), case)
    natural = dict(_natural(folder))
    for question, _ in _natural(folder)[-UNREAD:]:
        natural.pop(question, None)
    return Problem(
        name="zsre_copy",
        split="train",
        cases=tuple(cases.values()),
        shared=(
            *(Unlabelled(question, kinds.NQ, answer=answer) for question, answer in natural.items()),
            *(
                Unlabelled(question, kinds.TRAIN_OTHER_SUBJECT, True, kinds.SAME_RELATION, answer=answer)
                for question, _, _, answer in strangers
            ),
        ),
        data_hash=folder.hash,
        notes=tuple(sorted((what, count) for what, count in notes.items() if count)),
    )


def _subjects(folder: DataFolder, files: Iterable[str]) -> set[str]:
    """The subjects of some files, normalised."""
    return {normalise(row["subject"]) for name in files for row in folder.read(name, "subject")}


def _mend(subject: str, row: Row) -> EditCase:
    """A record of MEND's train file as an edit."""
    edit = Edit(prompt=row["src"], target=row["alt"], id=f"zsre-mend-{subject}".replace(" ", "_"),
                meta={"subject": subject})  # fmt: skip
    return _case(edit, [row["rephrase"]])


def _case(edit: Edit, rephrases: Iterable[str]) -> EditCase:
    inside = [Labelled(text, edit.target, kinds.REPHRASE) for text in rephrases]
    return EditCase(edit, distinct([*inside, Labelled(edit.prompt, edit.target, kinds.SAME)]))


Mined = tuple[str, str, str, str]
"""A question, its subject, its relation and its answer."""


def _mined(folder: DataFolder, notes: Counter[str]) -> Iterator[Mined]:
    """Train questions of zsRE whose subject and relation are known."""
    rows = folder.read(TRAIN, "input", "answer")
    for row, found in zip(rows, mine_templates([row["input"] for row in rows]), strict=True):
        relation = relation_of(found[0]) if found else None
        if found is None or relation is None:
            notes["train questions dropped: subject or relation not known"] += 1
        else:
            yield row["input"], found[1], relation, row["answer"]


def _templated(asked: Iterable[Mined], notes: Counter[str]) -> Iterator[EditCase]:
    """Edits of train questions: the answer of another question of the relation, in other words of the phrasebook's."""
    book = load_phrasebook()
    by_relation: Mapping[str, list[Mined]] = defaultdict(list)
    for found in asked:
        by_relation[found[2]].append(found)
    for relation, rows in by_relation.items():
        pool = sorted({answer for _, _, _, answer in rows})
        for question, subject, _, answer in rows:
            source = random.Random(f"zsre_copy {question}")
            others = [one for one in source.sample(pool, min(3, len(pool))) if normalise(one) != normalise(answer)]
            said = [text.replace("{subject}", subject) for text in book[relation].ask]
            said = [text for text in said if normalise(text) != normalise(question)]
            if not others or not said:
                notes["train questions dropped: no other answer or wording"] += 1
                continue
            edit = Edit(prompt=question, target=others[0], id=f"zsre-train-{subject}".replace(" ", "_"),
                        meta={"subject": subject})  # fmt: skip
            yield _case(edit, source.sample(said, min(WORDINGS, len(said))))
