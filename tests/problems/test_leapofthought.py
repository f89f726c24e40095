"""LeapOfThought: rules as edits, what follows from them, what they do not decide, and what the base may know."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems.cases import DATA
from errata.problems.leapofthought import ASKED, EDITED, KNOWN, SPLITS, load_leapofthought, read_properties
from tiny_problems import write
from tiny_sets import leap, leap_data, named

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


ASH = named(EDITED["test"], "ash")
ELM = named(ASKED["test"], "elm")


def test_the_shares_of_the_splits_do_not_overlap() -> None:
    for tables in ((EDITED, ASKED), (KNOWN,)):
        shares = [share for table in tables for split in SPLITS for share in table[split]]
        assert sorted(shares) == list(range(100))


def test_a_rule_with_what_follows_from_it(tmp_path: Path) -> None:
    """A record without its rule says the same one; the rule may hold while what follows is false."""
    test = [
        leap(ASH, "tree", "bark", True, wrong=["bird", "tree", "plant"], facts=[("tree", "/r/IsA", "plant", True)]),
        leap(ASH, "tree", "wing", False, rule=False),
        leap(ELM, "tree", "leaf", True, others=[(ELM, "/r/Desires", "rain", False)]),
    ]
    problem = load_leapofthought(leap_data(tmp_path, test[:1], test))
    [case] = problem.cases
    assert (case.edit.prompt, case.edit.target) == (f"A {ASH} is a tree.", "True")
    assert [(one.text, one.answer, one.kind) for one in case.in_scope] == [
        (f"A {ASH} has a bark.", "True", "entailed"),
        (f"A {ASH} has a wing.", "False", "entailed"),
        (f"A {ASH} is a tree.", "True", "same"),
    ]
    assert [(one.text, one.answer, one.hard) for one in case.out_of_scope] == [(f"A {ASH} is a bird.", "False", True)]
    assert dict(problem.notes) == {"same_subject dropped: a rule decides it": 2}
    others = [(one.text, one.answer) for one in problem.shared if one.kind == "other_subject"]
    assert others == [(f"A {ELM} desires rain.", "False"), (f"A {ELM} has a leaf.", "True")]
    assert problem.success == {"entailed"}


def test_what_contradicts_itself_is_dropped(tmp_path: Path) -> None:
    test = [
        leap(ASH, "tree", "bark", True),
        leap(ASH, "plant", "bark", False),
        leap(ASH, "tree", "root", True, facts=[("tree", "meronym", "root", False)]),
        leap(ASH, "tree", "leaf", True),
    ]
    problem = load_leapofthought(leap_data(tmp_path, test[:1], test))
    assert [one.text for case in problem.cases for one in case.in_scope] == [
        f"A {ASH} has a leaf.",
        f"A {ASH} is a tree.",
    ]
    assert sum(count for _, count in problem.notes) == 3


def test_the_base_may_know_facts_and_no_phrase_or_rule(tmp_path: Path) -> None:
    """ "A tree has a root." is a fact of one record and the phrase of another: the base may not learn it."""
    dev = [leap("tree", "plant", "root", True), leap("oak", "tree", "root", True)]
    test = [leap(ASH, "tree", "wing", False, facts=[("bird", "meronym", "wing", True)])]
    assert read_properties(leap_data(tmp_path, dev, test)) == [
        ("A bird has a wing.", True),
        ("A plant has a root.", True),
        ("A tree has a wing.", False),
    ]


def test_broken_records_are_named(tmp_path: Path) -> None:
    data = leap_data(tmp_path, [leap(ASH, "tree", "bark", True)], [leap(ASH, "tree", "bark", True)])
    with pytest.raises(ConfigError, match="no split 'val'"):
        load_leapofthought(data, split="val")
    write(data / "leapofthought" / "test.jsonl", [{"phrase": "A.", "answer": 1, "metadata": {"property": {}}}])
    with pytest.raises(ConfigError, match="line 1: 'metadata' is not as published"):
        load_leapofthought(data)


@real
def test_the_real_files() -> None:
    subjects: dict[str, set[str]] = {}
    counts = {}
    known = {text for text, _ in read_properties()}
    for split in SPLITS:
        problem = load_leapofthought(split=split)
        inside = Counter((one.kind, one.answer) for case in problem.cases for one in case.in_scope)
        outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
        kinds = Counter(one.kind for one in outside)
        counts[split] = (
            len(problem.cases), inside["entailed", "True"], inside["entailed", "False"],
            kinds["same_subject"], kinds["other_subject"], kinds["property"],
        )  # fmt: skip
        assert all(one.answer in ("True", "False") for one in outside)
        subjects[split] = {case.edit.meta["subject"] for case in problem.cases}
        assert known.isdisjoint(one.text for case in problem.cases for one in case.in_scope)
        assert known.isdisjoint(one.text for one in outside if one.kind == "same_subject")
    assert counts == {
        "train": (47, 93, 110, 57, 47, 196),
        "dev": (29, 59, 65, 37, 28, 37),
        "test": (139, 236, 236, 130, 78, 213),
    }
    assert len(known) == 446
    assert not subjects["train"] & subjects["dev"] | subjects["test"] & (subjects["train"] | subjects["dev"])
