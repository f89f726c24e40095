from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errata.problems.cases import DATA, DataFolder
from errata.problems.english import word_set
from errata.problems.entailed import INVERSE, PART, YES_NO, Entailed, entailed
from errata.problems.statements import statement

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def of_shape(shape: str, question: str, answer: str, **more: str) -> list[tuple[str, str]]:
    return [(one.question, one.answer) for one in entailed(question, answer, **more) if one.shape == shape]


def test_all_shapes_of_one_edit() -> None:
    assert entailed("On what date did Ann Lee die?", "3 May 1901", subject="Ann Lee", wrong="1902") == [
        Entailed("Who died on 3 May 1901?", "Ann Lee", INVERSE),
        Entailed("Did Ann Lee die on 3 May 1901?", "Yes", YES_NO),
        Entailed("Did Ann Lee die in 1902?", "No", YES_NO),
        Entailed("In what year did Ann Lee die?", "1901", PART),
    ]


@pytest.mark.parametrize(
    ("question", "answer", "asked", "subject"),
    [
        ("What university did Ann Lee attend?", "Oslo", "Who attended Oslo?", "Ann Lee"),
        ("Who is Ann Lee's father?", "Bo Lee", "Who is the child of Bo Lee?", "Ann Lee"),
        ("What is the name of Ann Lee mother?", "Eve Lee", "Who is the child of Eve Lee?", "Ann Lee"),
        ("What is Ann Lee's spouse's name?", "Bo Ek", "Who is the spouse of Bo Ek?", "Ann Lee"),
        ("Which woman was the sister of Ann Lee?", "Eve", "Who was the sibling of Eve?", "Ann Lee"),
        ("What is the birthplace of Ann Lee?", "Oslo", "Who was born in Oslo?", "Ann Lee"),
        ("Who is the director of the film, Alto?", "Bo Ek", "What is Bo Ek the director of?", "Alto"),
        ("Who published Alto?", "Bell", "What did Bell publish?", "Alto"),
        ("Who produced or published Alto?", "Bell", "What did Bell produce or publish?", "Alto"),
        ("Which director worked on the film Alto?", "Bo Ek", "Which film did Bo Ek work on?", "Alto"),
        ("Who designed the Alto?", "Bell", "What did Bell design?", "Alto"),
        ("Who was responsible for the design of Alto?", "Bell", "What was Bell responsible for the design of?", "Alto"),
        ("Which lady gave birth to Ann Lee?", "Eve", "Who did Eve give birth to?", "Ann Lee"),
        ("Whom is Alto named after?", "Ann Lee", "What is named after Ann Lee?", "Alto"),
        ("Over which river does Alto cross?", "Red River", "What crosses over the Red River?", "Alto"),
    ],
)
def test_inverses(question: str, answer: str, asked: str, subject: str) -> None:
    assert of_shape(INVERSE, question, answer) == [(asked, subject)]
    assert of_shape(INVERSE, question, answer, subject=subject) == [(asked, subject)]
    assert of_shape(INVERSE, question, answer, subject="Somebody Else") == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What year did Ann Lee die?", "1901"),
        ("What gender is Ann Lee?", "female"),
        ("What killed Ann Lee?", "Fever"),
        ("Which state is Alto located?", "Iowa"),
        ("What CBS show that followed Alto was dropped?", "Basso"),
        ("Who won a prize in Alto?", "Ann Lee"),
        ("Who is named after Alto?", "Alto"),
        ("Whom is Alto named after?", "Alto"),
    ],
)
def test_inverses_that_are_not_sure_are_left(question: str, answer: str) -> None:
    assert of_shape(INVERSE, question, answer) == []


@pytest.mark.parametrize(
    ("question", "answer", "asked"),
    [
        ("What university did Ann Lee attend?", "Oslo", "Did Ann Lee attend Oslo?"),
        ("Which team does Bo Ek play for?", "Oslo Rockets", "Does Bo Ek play for the Oslo Rockets?"),
        ("Who was the mother of Ann Lee?", "Eve", "Was Eve the mother of Ann Lee?"),
        ("The mother of Ann Lee is whom?", "Eve", "Is Eve the mother of Ann Lee?"),
        ("When was the inception of Alto?", "1901", "Was the inception of Alto in 1901?"),
        ("The song Alto came from which artiste?", "Bo Ek", "Did the song Alto come from Bo Ek?"),
        ("The Alto was launched on what date?", "3 May 1901", "Was The Alto launched on 3 May 1901?"),
        ("Who has acted in Alto?", "Bo Ek", "Has Bo Ek acted in Alto?"),
        ("Who had the role of director in Alto?", "Bo Ek", "Did Bo Ek have the role of director in Alto?"),
        ("What voice type is Ann Lee?", "alto", "Is Ann Lee an alto?"),
    ],
)
def test_yes_or_no(question: str, answer: str, asked: str) -> None:
    assert of_shape(YES_NO, question, answer) == [(asked, "Yes")]


def test_no_is_asked_of_another_answer_only() -> None:
    wrong = [of_shape(YES_NO, "Who wrote Alto?", "Ann Lee", wrong=name) for name in ("Bo Ek", "Ann Lee", " ")]
    assert [[answer for _, answer in found] for found in wrong] == [["Yes", "No"], ["Yes"], ["Yes"]]


@pytest.mark.parametrize(
    ("question", "answer", "asked", "part"),
    [
        ("Which position was held by Ann Lee?", "Governor of Vermont", "What was Ann Lee the governor of?", "Vermont"),
        ("What is Ann Lee's position?", "member of the Diet", "What is Ann Lee a member of?", "Diet"),
        ("What noble title does Ann Lee hold?", "Duchess of Alba", "What is Ann Lee the duchess of?", "Alba"),
        ("What is the date of birth of Ann Lee?", "3 May 1901",
         "In which year does the date of birth of Ann Lee fall?", "1901"),
    ],
)  # fmt: skip
def test_parts(question: str, answer: str, asked: str, part: str) -> None:
    assert of_shape(PART, question, answer) == [(asked, part)]


def test_a_year_that_was_asked_for_is_no_part() -> None:
    assert of_shape(PART, "What year did Ann Lee die?", "3 May 1901") == []


@pytest.mark.parametrize("question", ["", "Tell me about Alto.", "How many rivers cross Oslo?"])
def test_what_no_rule_reads_entails_nothing(question: str) -> None:
    assert entailed(question, "Oslo") == []
    assert entailed("Who wrote Alto?", " ") == []


WORDS = sorted(
    word_set(
        "what which who whom whose when where why how many is was are did does do has had can of in on at by for from"
        " with the a Ann Alto Lee's team city year born located named made attend play or and first officially director"
        " that ? , . in?"
    )
)


@given(st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join), st.sampled_from(["Oslo", "3 May 1901", "?", "a b"]))
@settings(max_examples=600, deadline=None)
def test_no_words_are_too_odd(question: str, answer: str) -> None:
    """Whatever the words, there is a well-formed answer or none, and the same one again."""
    said = statement(question, answer)
    assert said is None or (said.endswith(".") and said == statement(question, answer))
    assert all(one.question.endswith("?") for one in entailed(question, answer, wrong="Bergen"))


# the real data


@real
def test_published_inverses_have_ours() -> None:
    """zsre/inverse.json: for most of its questions ours asks for the same subject."""
    rows = DataFolder().read("zsre/inverse.json", "subject", "src", "alt", "inverse question")
    found = [of_shape(INVERSE, row["src"], row["alt"], subject=row["subject"]) for row in rows]
    assert sum(map(bool, found)) / len(rows) >= 0.8
    assert all(answer == row["subject"] for one, row in zip(found, rows, strict=True) for _, answer in one)


@real
def test_what_squads_questions_entail_is_asked_rarely_and_well_formed() -> None:
    """Its questions are longer and freer than the rules are made for: most are left alone, above all their inverses."""
    rows = DataFolder().read("squad_implications/train.jsonl", "question", "answer")
    found = [one for row in rows for one in entailed(row["question"], row["answer"])]
    assert 0 < sum(one.shape == INVERSE for one in found) < len(rows) / 20
    assert all(one.question.endswith("?") and one.question[0] != " " and one.answer for one in found)


@real
def test_most_of_zsres_train_questions_entail_something() -> None:
    rows = DataFolder().read("zsre/train_qa.jsonl", "input", "answer")
    found = [entailed(row["input"], row["answer"]) for row in rows]
    assert sum(map(bool, found)) / len(rows) >= 0.7
    assert sum(any(one.shape == INVERSE for one in several) for several in found) >= 2_000
