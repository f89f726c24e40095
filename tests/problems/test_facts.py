"""Tests of the bundled facts and their question templates."""

from __future__ import annotations

from collections import Counter
from string import Formatter

import pytest

from errata.problems.facts import Fact, fill, load_facts, load_relations, questions

FACTS = load_facts()
RELATIONS = load_relations()


def _fields(template: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def test_size() -> None:
    assert len(FACTS) >= 2000
    assert len(RELATIONS) >= 25
    assert min(Counter(fact.relation for fact in FACTS).values()) >= 25


def test_one_answer_for_each_relation_and_subject() -> None:
    counts = Counter((fact.relation, fact.subject.casefold()) for fact in FACTS)
    assert [key for key, count in counts.items() if count > 1] == []


def test_fields_are_clean() -> None:
    for fact in FACTS:
        for field in (fact.relation, fact.subject, fact.answer):
            assert field and field == " ".join(field.split()), fact
        assert len(fact.answer.split()) <= 4, fact
        assert not {"{", "}"} & set(fact.subject + fact.answer), fact


def test_facts_and_templates_name_the_same_relations() -> None:
    assert {fact.relation for fact in FACTS} == set(RELATIONS)
    assert all(relation.name == name for name, relation in RELATIONS.items())


@pytest.mark.parametrize("name", RELATIONS)
def test_templates(name: str) -> None:
    relation = RELATIONS[name]
    assert relation.subject_type
    assert 8 <= len(relation.ask) <= 10
    assert len(relation.held_out) == 3
    assert 2 <= len(relation.state) <= 3
    assert len(relation.inverse) <= 2
    assert len(relation.cloze) == 2
    for template in (*relation.ask, *relation.held_out, *relation.cloze):
        assert _fields(template) == ["subject"], template
    for template in relation.state:
        assert _fields(template) == ["answer", "subject"], template
    for template in relation.inverse:
        assert _fields(template) == ["answer"], template
    assert all(template.endswith(("?", ".")) for template in (*relation.held_out, *relation.inverse))


def test_held_out_templates_are_not_trained_on() -> None:
    asked = [t.casefold().rstrip("?.") for relation in RELATIONS.values() for t in relation.ask]
    held_out = [t.casefold().rstrip("?.") for relation in RELATIONS.values() for t in relation.held_out]
    assert len(set(asked)) == len(asked)
    assert len(set(held_out)) == len(held_out)
    assert not set(asked) & set(held_out)


def test_no_held_out_question_is_a_training_question() -> None:
    asked = {question for fact in FACTS for question in questions(fact)}
    assert not asked & {question for fact in FACTS for question in questions(fact, held_out=True)}


def test_no_question_has_two_answers() -> None:
    answers: dict[str, str] = {}
    for fact in FACTS:
        for question in (*questions(fact), *questions(fact, held_out=True)):
            assert answers.setdefault(question.casefold(), fact.answer) == fact.answer, question


def test_answers_identify_subjects_where_the_inverse_is_asked() -> None:
    counts = Counter((fact.relation, fact.answer) for fact in FACTS if RELATIONS[fact.relation].inverse)
    assert [key for key, count in counts.items() if count > 1] == []


def test_many_subjects_have_several_relations() -> None:
    counts = Counter(fact.subject for fact in FACTS)
    assert sum(count >= 2 for count in counts.values()) >= 500
    assert sum(count >= 6 for count in counts.values()) >= 150


@pytest.mark.parametrize(
    ("relation", "subject", "answer"),
    [
        ("capital", "Kazakhstan", "Astana"),
        ("currency", "Japan", "Japanese yen"),
        ("continent", "Peru", "South America"),
        ("internet_domain", "France", ".fr"),
        ("calling_code", "France", "+33"),
        ("demonym", "Netherlands", "Dutch"),
        ("head_of_government", "United Kingdom", "Theresa May"),
        ("element_symbol", "gold", "Au"),
        ("atomic_number", "uranium", "92"),
        ("state_capital", "California", "Sacramento"),
        ("book_author", "Pride and Prejudice", "Jane Austen"),
        ("film_year", "Jaws", "1975"),
        ("film_director", "Psycho", "Alfred Hitchcock"),
        ("animal_young", "dog", "puppy"),
        ("chemical_formula", "water", "H2O"),
    ],
)
def test_spot_checks(relation: str, subject: str, answer: str) -> None:
    found = [fact.answer for fact in FACTS if (fact.relation, fact.subject) == (relation, subject)]
    assert found == [answer]


def test_questions() -> None:
    fact = Fact(relation="capital", subject="Kazakhstan", answer="Astana")
    assert questions(fact)[0] == "What is the capital of Kazakhstan?"
    assert len(questions(fact)) == len(RELATIONS["capital"].ask)
    assert len(questions(fact, held_out=True)) == 3
    assert all("Kazakhstan" in question for question in questions(fact, held_out=True))


def test_fill_capitalises_a_subject_that_opens_a_sentence() -> None:
    tower = Fact(relation="landmark_country", subject="the Eiffel Tower", answer="France")
    assert fill("{subject} is in {answer}.", tower) == "The Eiffel Tower is in France."
    assert fill("Where is {subject}?", tower) == "Where is the Eiffel Tower?"
    shop = Fact(relation="company_founder", subject="eBay", answer="Pierre Omidyar")
    assert fill("{subject} was founded by whom?", shop) == "eBay was founded by whom?"
    gold = Fact(relation="element_symbol", subject="gold", answer="Au")
    assert fill("{subject} chemical symbol", gold) == "gold chemical symbol"
