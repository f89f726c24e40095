"""ZsRE as a copy-edit set: the splits of qa with gold labels, and the edits to train on."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA
from errata.problems.held_out import is_held_out, normalise, percentile
from errata.problems.zsre_copy import SPLITS, STRANGERS, load_zsre_copy
from overlap import tiny_data
from tiny_problems import write

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def names(count: int, *, asked: bool = False, skip: int = 0) -> list[str]:
    """Names of train subjects: those that are edited, or those that are asked out of scope."""
    found = [f"Sam Doe{n}" for n in range(3000)]
    kept = [name for name in found if not is_held_out(name) and (percentile(name) in STRANGERS) == asked]
    return kept[skip : skip + count]


def data(folder: Path) -> Path:
    """The tiny test files, a dev file and train files."""
    tiny_data(folder)
    ours, strangers = names(3), names(2, asked=True)
    local = [{"prompt": f"Where did {names(1, skip=10)[0]} live?", "ground_truth": "Oslo"}]
    write(
        folder / "zsre" / "decao_dev.jsonl",
        [
            {"subject": "Delta", "prompt": "Who made Delta?", "target_new": "Ed",
             "rephrase_prompt": ["Delta was made by whom?"], "locality": local}
        ],
    )  # fmt: skip
    mend = [
        {"subject": name, "src": f"Who is {name}?", "rephrase": f"{name} is who?", "alt": "nobody",
         "loc": f"nq question: what is {n}", "loc_ans": str(n)}
        for n, name in enumerate(["Alpha", "Delta", ours[0]] + [f"Mill {n}" for n in range(160)])
    ]  # fmt: skip
    write(folder / "zsre" / "mend_train.json", mend)
    asked = [(name, f"Town {n}") for n, name in enumerate([*ours, *strangers, *names(1, skip=10)])]
    write(
        folder / "zsre" / "train_qa.jsonl",
        [{"input": f"Where was {name} born?", "answer": answer} for name, answer in asked],
    )
    return folder


def test_the_test_split_is_that_of_qa_with_labels(tmp_path: Path) -> None:
    problem = load_zsre_copy(data(tmp_path))
    assert [(one.text, one.answer) for case in problem.cases for one in case.in_scope] == [
        ("Alpha is of which family?", "Beetles"),
        ("Which family does Alpha belong to?", "Beetles"),
        ("Beta was directed by whom?", "Ann Lee"),
        ("Who directed Beta?", "Ann Lee"),
    ]
    assert not any(case.out_of_scope for case in problem.cases)
    labels = {one.text: one.answer for one in problem.shared}
    assert labels["when did the moon fall"] == "never"


def test_the_dev_split_has_labels_too(tmp_path: Path) -> None:
    problem = load_zsre_copy(data(tmp_path), split="dev")
    labels = {one.text: one.answer for one in problem.shared}
    assert labels.pop(f"Where did {names(1, skip=10)[0]} live?") == "Oslo"
    assert len(labels) == 150 and labels["what is 162"] == "162"


def test_train_edits_are_other_answers_of_the_relation_in_other_words(tmp_path: Path) -> None:
    problem = load_zsre_copy(data(tmp_path), split="train")
    cases = {case.edit.meta["subject"]: case for case in problem.cases}
    first, second, third = names(3)
    assert "Alpha" not in cases and "Delta" not in cases, "a later split has them"
    assert cases[first].edit.prompt == f"Who is {first}?", "MEND's own record goes first"
    assert cases[first].in_scope[0].text == f"{first} is who?"
    assert cases[second].edit.prompt == f"Where was {second} born?"
    assert cases[second].edit.target in {"Town 0", "Town 2"}
    rephrased = [one for one in cases[third].in_scope if one.kind == "rephrase"]
    assert len(rephrased) == 2 and all(third in one.text and one.answer in ("Town 0", "Town 1") for one in rephrased)
    assert not any(normalise(one.text) == normalise(cases[third].edit.prompt) for one in rephrased)
    outside = {one.text: one.answer for one in problem.shared}
    assert {f"Where was {name} born?" for name in names(2, asked=True)} <= outside.keys()
    assert outside["what is 0"] == "0" and "what is 162" not in outside, "the last are dev's"
    assert names(1, skip=10)[0] not in cases, "the dev split asks about it"


def test_there_is_no_other_split(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'val'"):
        load_zsre_copy(tmp_path, split="val")


@real
def test_the_real_files() -> None:
    counts, texts, subjects = {}, {}, {}
    for split in SPLITS:
        problem = load_zsre_copy(split=split)
        inside = [one for case in problem.cases for one in case.in_scope]
        shared = Counter(one.kind for one in problem.shared)
        counts[split] = len(problem.cases), Counter(one.kind for one in inside)["rephrase"], dict(shared)
        texts[split] = {normalise(one.text) for one in [*inside, *problem.shared]}
        subjects[split] = {normalise(case.edit.meta["subject"]) for case in problem.cases}
        assert sum(not one.answer for one in problem.shared) <= 12
    assert counts["test"] == (582, 582, {"nq": 3610, "other_subject": 380, "train_other_subject": 3000})
    assert counts["dev"] == (312, 855, {"nq": 149, "other_subject": 108})
    assert counts["train"][0] > 4_000
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert subjects[one].isdisjoint(subjects[other])
        assert not texts[one] & texts[other]
