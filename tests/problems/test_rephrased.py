"""Claims in other words: each rule by hand, what no rule may touch, and the reviewed sample.

rephrased_reviewed.tsv holds 100 rephrases drawn at random from fever_copy's train and dev splits, the names in them
replaced by others of the same kind that we made up. We read each: "good" is a grammatical sentence that says what the
claim says. One that was flawed for its two full stops is no longer made.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from errata.problems.rephrased import lowered, rephrases

REVIEWED = Path(__file__).with_name("rephrased_reviewed.tsv")


def reviewed() -> list[list[str]]:
    with REVIEWED.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert next(rows) == ["claim", "rephrase", "verdict"]
        return list(rows)


def test_the_good_ones_are_still_made() -> None:
    assert [claim for claim, said, verdict in reviewed() if verdict == "good" and said not in rephrases(claim)] == []


def test_95_of_100_are_good() -> None:
    verdicts = [verdict for _, _, verdict in reviewed()]
    assert len(verdicts) == 100 and verdicts.count("good") == 95
    assert all(verdict == "good" or verdict.startswith("flawed: ") for verdict in verdicts)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("The Paper was directed by Ann Lee.", "Ann Lee directed The Paper."),
        ("The Paper was not directed by Ann Lee.", "Ann Lee did not direct The Paper."),
        ("The show is hosted by a singer.", "A singer hosts the show."),
        ("Ann Lee wrote Alto.", "Alto was written by Ann Lee."),
        ("Alto stars Ann Lee and Bo Fox.", "Ann Lee and Bo Fox star in Alto."),
        ("Ann Lee starred in Alto.", "Alto starred Ann Lee."),
        ("Ann Lee was born in 1911.", "Ann Lee's year of birth is 1911."),
        ("Ann Lee was born on May 3, 1911.", "On May 3, 1911, Ann Lee was born."),
        ("Ann Lee was not born in Oslo.", "Ann Lee's birthplace is not Oslo."),
        ("Ann Lee's father was Bo Lee.", "The father of Ann Lee was Bo Lee."),
        ("Ann Lee retired in August of 1974.", "In August of 1974, Ann Lee retired."),
        ("The mill burned down in 1911.", "In 1911, the mill burned down."),
        ("Ann Lee is an actress.", "Ann Lee works as an actress."),
        ("Blue Mill was a short song.", "There was a short song called Blue Mill."),
        ("Ann Lee is not a singer.", "Ann Lee isn't a singer."),
        ("Ann Lee wasn't tall.", "Ann Lee was not tall."),
        ("Ann Lee is a member of Alto.", "Ann Lee belongs to Alto."),
        ("Alto is a drama film in the United States.", "Alto is a drama movie in the US."),
    ],
)
def test_a_rule(claim: str, said: str) -> None:
    assert said in rephrases(claim)


@pytest.mark.parametrize(
    "claim",
    [
        "Ann Lee never sang in 1911.",  # the time might be all that is denied
        "Ann Lee sang and Bo danced in 1911.",  # or of one part alone
        "The first prize of Ann Lee was in 1911.",
        "The Paper was directed by Ann Lee in a hurry.",
        "The Paper was directed by Ann Lee only.",
        "Granite is a rock.",  # no name, though it begins with a capital
        "Ann Lee is a singer that nobody knows.",
        "Alto was closed by Lark Inc. in 1911.",
        "Alto was released on July 1911",
        "",
    ],
)
def test_what_no_rule_reads_is_left(claim: str) -> None:
    assert rephrases(claim) == ()


def test_no_more_than_asked_and_none_twice() -> None:
    found = rephrases("Ann Lee was born in 1911 .", most=5)
    assert len(found) == len(set(found))
    assert rephrases("Ann Lee died in 1911.", most=1) == ("In 1911, Ann Lee died.",)


def test_an_article_within_a_sentence() -> None:
    assert lowered("The mill burned") == "the mill burned"
    assert lowered("The Paper was read") == "The Paper was read", "it may be a title"
