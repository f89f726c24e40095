"""Statements from questions: each rule, the reviewed sample, and how much of the real questions are converted.

statements_reviewed.tsv holds 200 questions in wordings drawn at random from zsRE's train questions, their subjects and
answers replaced by others of the same kind that we made up. We read each statement: "good" is a grammatical sentence
that says what question and answer say. Names without an article in the question may lack it in the statement.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from errata.problems.cases import DATA, DataFolder
from errata.problems.statements import statement

REVIEWED = Path(__file__).with_name("statements_reviewed.tsv")


def reviewed() -> Iterator[list[str]]:
    with REVIEWED.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert next(rows) == ["question", "answer", "statement", "verdict"]
        yield from rows


def test_the_reviewed_statements_are_still_made() -> None:
    rows = list(reviewed())
    assert [statement(question, answer) or "" for question, answer, _, _ in rows] == [said for _, _, said, _ in rows]


def test_nine_in_ten_of_them_are_good() -> None:
    verdicts = [verdict for _, _, _, verdict in reviewed()]
    assert len(verdicts) == 200 and set(verdicts) <= {"good", "bad"}
    assert verdicts.count("good") / len(verdicts) >= 0.90


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        # the answer follows the verb
        ("What university did Ann Lee attend?", "Oslo", "Ann Lee attended Oslo."),
        (
            "Where did Ann Lee study or work?",
            "University of Oslo",
            "Ann Lee studied or worked at the University of Oslo.",
        ),
        ("In which war did Ann Lee fought?", "Long War", "Ann Lee fought in the Long War."),
        ("What city did Ann Lee live when she died?", "Oslo", "Ann Lee lived in Oslo when she died."),
        ("On what channel did Alto first air?", "Blue", "Alto first aired on Blue."),
        ("Which place is Alto in?", "Oslo", "Alto is in Oslo."),
        ("Which state is Alto located?", "Iowa", "Alto is located in Iowa."),
        ("What is Alto named after?", "Ann Lee", "Alto is named after Ann Lee."),
        ("Of what series is Alto a part of?", "Basso", "Alto is a part of Basso."),
        ("By which company, Alto has been manufactured?", "Bell", "Alto has been manufactured by Bell."),
        ("What celestial body can Alto be found on?", "Moon", "Alto can be found on the Moon."),
        ("Which country's citizenship does Ann Lee hold?", "Peru", "Ann Lee holds the citizenship of Peru."),
        ("Under whose direction was Alto produced?", "Bo Ek", "Alto was produced under the direction of Bo Ek."),
        # times
        ("What year did Ann Lee die?", "3 May 1901", "Ann Lee died on 3 May 1901."),
        ("When was the birth of Ann Lee?", "1901", "The birth of Ann Lee was in 1901."),
        ("When is the date of birth of Ann Lee?", "1901", "The date of birth of Ann Lee is 1901."),
        ("On what date did Alto take off?", "3 May 1901", "Alto took off on 3 May 1901."),
        ("What date is associated with Alto?", "1901", "The date that is associated with Alto is 1901."),
        # the answer is the subject
        ("Who directed Alto?", "Bo Ek", "Bo Ek directed Alto."),
        ("Which channel broadcast Alto?", "Blue", "Blue broadcast Alto."),
        ("What network first aired Alto?", "Blue", "Blue first aired Alto."),
        ("Who has acted in the film Alto?", "Bo Ek", "Bo Ek has acted in the film Alto."),
        ("What killed Ann Lee?", "heart attack", "A heart attack killed Ann Lee."),
        ("Which ailment killed Ann Lee?", "lung cancer", "The ailment that killed Ann Lee was lung cancer."),
        ("Which position was held by Ann Lee?", "Mayor", "The position that was held by Ann Lee was Mayor."),
        # noun phrases
        ("Who was Ann Lee's father?", "Bo Lee", "Ann Lee's father was Bo Lee."),
        ("What was the name of Ann Lee mother?", "Eve", "The name of Ann Lee's mother was Eve."),
        ("Who are the stars of the film Alto?", "Bo Ek", "The stars of the film Alto include Bo Ek."),
        ("What gender is Ann Lee?", "female", "The gender of Ann Lee is female."),
        ("What voice type is Ann Lee?", "alto", "Ann Lee is an alto."),
        ("What position does Bo Ek play?", "winger", "The position that Bo Ek plays is winger."),
        ("What is the city Ann Lee lived in?", "Oslo", "The city Ann Lee lived in is Oslo."),
        ("What is the surface of Alto made of?", "stone", "The surface of Alto is made of stone."),
        ("What nationality of Ann Lee?", "French", "The nationality of Ann Lee is French."),
        ("What is the status of Long narrow-headed owl?", "safe", "The status of Long narrow-headed owl is safe."),
        # the question word stands at the end, or nowhere
        ("The father of Ann Lee is whom?", "Bo Lee", "The father of Ann Lee is Bo Lee."),
        ("The Alto was launched on what date?", "3 May 1901", "The Alto was launched on 3 May 1901."),
        ("The star Alto is part of a what group?", "Basso", "The star Alto is part of the Basso group."),
        ("The date of birth of Ann Lee is?", "1901", "The date of birth of Ann Lee is 1901."),
        ("The date of Alto?", "1901", "The date of Alto is 1901."),
        # the rest
        ("Why did Ann Lee die?", "leukemia", "Ann Lee died of leukemia."),
        ("How did Ann Lee die?", "leukemia", "Ann Lee died from leukemia."),
        ("How endangered does the IUCN consider Alto?", "vulnerable", "The IUCN considers Alto vulnerable."),
        ("Was Ann Lee male or female?", "female", "Ann Lee was female."),
        ("In the film Alto, who was the star?", "Bo Ek", "In the film Alto, the star was Bo Ek."),
        ("What's the date of birth of Ann W.?", "1901", "The date of birth of Ann W. is 1901."),
        ("What country released E.N.G.?", "Peru", "Peru released E.N.G."),
        ("Which team does Bo Ek play for?", "Oslo Rockets", "Bo Ek plays for the Oslo Rockets."),
    ],
)
def test_rules(question: str, answer: str, said: str) -> None:
    assert statement(question, answer) == said


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Alto?",
        "What?",
        "Tell me about Alto.",
        "How many rivers cross Oslo?",
        "Where network aired Alto?",
        "In which language Alto monthly magazine reporting?",
        "Whose writings were widely read?",
        "What religion were Normans?",
        "If the door is shut, what is the way in?",
        "What did the mills gargle?",
        "Which rule wibbles that the mills are shut?",
    ],
)
def test_what_no_rule_reads_is_left(question: str) -> None:
    assert statement(question, "Oslo") is None


def test_an_empty_answer_states_nothing() -> None:
    assert statement("Who directed Alto?", " ") is statement("Who directed Alto?", ".") is None


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_nearly_all_real_questions_are_converted() -> None:
    rows = DataFolder().read("zsre/train_qa.jsonl", "input", "answer")
    said = [statement(row["input"], row["answer"]) for row in rows]
    assert sum(text is not None for text in said) / len(rows) >= 0.95
    assert all(text is None or (text.endswith(".") and text == " ".join(text.split())) for text in said)
