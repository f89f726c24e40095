"""FEVER's claims with the other verdict: what is an edit, what is out of scope, and what is kept out of it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems import fever_copy
from errata.problems.cases import DATA
from errata.problems.fever_copy import ASKED, EDITED, SPLITS, load_fever_copy
from errata.problems.held_out import normalise
from errata.training.claims import ClaimSettings, read_claims, split_claims
from tiny_sets import claim, fever_data, named

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def test_the_shares_of_the_splits_do_not_overlap() -> None:
    shares = [share for table in (EDITED, ASKED) for split in SPLITS for share in table[split]]
    assert sorted(shares) == list(range(100))


def test_a_claim_becomes_an_edit_with_the_other_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mill, stranger = named(EDITED["train"], "Mill "), named(ASKED["train"], "Barn ")
    page = mill.replace(" ", "_")
    rows = [
        claim(f"{mill} was born in 1911.", "SUPPORTS", page),
        claim(f"{mill} is tall.", "REFUTES", page),  # no rule reads it
        claim(f"{mill} was raised in 1911.", "SUPPORTS", page),  # shares the year
        claim(f"{mill} burned.", "NOT ENOUGH INFO", page),
        claim(f"{mill} sings.", "SUPPORTS", page, "Another_page"),
        claim(f"{stranger} is red.", "REFUTES", stranger.replace(" ", "_")),
    ]
    monkeypatch.setattr(fever_copy, "rephrases", lambda text: (f"In short: {text}",) if "born" in text else ())
    problem = load_fever_copy(fever_data(tmp_path, rows), split="train")
    [case] = problem.cases
    assert (case.edit.prompt, case.edit.target) == (f"{mill} was born in 1911.", "False")
    assert (case.edit.meta["page"], case.edit.meta["label"]) == (mill, "True")
    assert [(one.text, one.answer, one.kind) for one in case.in_scope] == [
        (f"In short: {mill} was born in 1911.", "False", "rephrase"),
        (f"{mill} was born in 1911.", "False", "same"),
    ]
    assert [(one.text, one.answer, one.hard) for one in case.out_of_scope] == [(f"{mill} is tall.", "False", True)]
    assert [(one.text, one.answer, one.hard) for one in problem.shared] == [(f"{stranger} is red.", "False", False)]
    assert dict(problem.notes)["claims dropped: evidence of several pages"] == 1


def test_what_is_asked_out_of_scope_no_part_was_trained_on(tmp_path: Path) -> None:
    barn = named(ASKED["test"], "Barn ")
    texts = [f"{barn} has {n} doors." for n in range(60)]
    _, unseen = split_claims([(text, True) for text in texts], 0.1, 0)
    known = unseen[0][0]
    rows = [claim(text, "SUPPORTS", barn.replace(" ", "_")) for text in texts]
    problem = load_fever_copy(fever_data(tmp_path, rows, elsewhere=[known]))
    assert {one.text for one in problem.shared} <= {text for text, _ in unseen} - {known}
    assert len(problem.shared) == min(8, len(unseen) - 1)


def test_one_claim_a_page_or_all_of_them(tmp_path: Path) -> None:
    mill = named(EDITED["dev"], "Mill ")
    rows = [claim(f"{mill} was born in {year}.", "REFUTES", mill.replace(" ", "_")) for year in (1911, 1912, 1913)]
    data = fever_data(tmp_path, rows)
    assert len(load_fever_copy(data, split="dev").cases) == 1
    every = load_fever_copy(data, split="dev", every=True).cases
    assert [case.edit.target for case in every] == ["True"] * 3
    assert len({case.edit.id for case in every}) == 3
    drawn = {load_fever_copy(data, split="dev", seed=seed).cases[0].edit.prompt for seed in range(12)}
    assert len(drawn) > 1


def test_there_is_no_other_split(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'val'"):
        load_fever_copy(tmp_path, split="val")


@real
def test_the_real_file() -> None:
    counts = {}
    texts: dict[str, set[str]] = {}
    pages: dict[str, set[str]] = {}
    for split in SPLITS:
        problem = load_fever_copy(split=split, every=True)
        inside = [one.text for case in problem.cases for one in case.in_scope]
        outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
        counts[split] = len(problem.cases), Counter(one.kind for one in outside)["other_page"]
        assert all(one.answer in ("True", "False") for one in outside)
        assert {normalise(text) for text in inside}.isdisjoint(normalise(one.text) for one in outside if not one.hard)
        texts[split] = {normalise(text) for text in [*inside, *(one.text for one in outside)]}
        pages[split] = {case.edit.meta["page"] for case in problem.cases}
    assert counts == {"train": (999, 563), "dev": (140, 36), "test": (816, 126)}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert texts[one].isdisjoint(texts[other]) and pages[one].isdisjoint(pages[other])


@real
def test_the_base_has_seen_nothing_that_the_test_asks_out_of_scope() -> None:
    fc = ClaimSettings()
    trained, _ = split_claims(read_claims(Path(os.environ[DATA])), fc.held_out, fc.loop.seed)
    problem = load_fever_copy(every=True)
    outside = [one for case in problem.cases for one in case.out_of_scope] + list(problem.shared)
    assert {normalise(text) for text, _ in trained}.isdisjoint(normalise(one.text) for one in outside)
