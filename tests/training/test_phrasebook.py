"""The phrasebook: every table complete and consistent, and the miner and the matcher on made-up questions."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from errata.training.phrasebook import (
    Phrase,
    further,
    load_phrasebook,
    mine_templates,
    named,
    relation_of,
    rivals,
    siblings,
    spelled,
)

BOOK = load_phrasebook()


@pytest.fixture(params=BOOK, name="phrase")
def fixture_phrase(request: pytest.FixtureRequest) -> Phrase:
    return BOOK[request.param]


def _placeholders(template: str) -> list[str]:
    return re.findall(r"\{[^{}]*\}", template)


def test_has_enough_relations() -> None:
    assert len(BOOK) >= 90


def test_table_is_complete(phrase: Phrase) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", phrase.relation)
    assert phrase.types and all(re.fullmatch(r"[a-z]+", kind) for kind in phrase.types)
    assert len(set(phrase.types)) == len(phrase.types)
    assert all(re.fullmatch(r"P[0-9]+", item) for item in phrase.wikidata)
    assert re.fullmatch(r"[a-z]+", phrase.answer)
    assert 9 <= len(phrase.ask) <= 12
    assert len(phrase.state) == 2
    assert len(phrase.cloze) == 2
    assert len(phrase.match) <= 4


def test_placeholders_are_exact(phrase: Phrase) -> None:
    for template in phrase.ask + phrase.cloze:
        assert _placeholders(template) == ["{subject}"], template
        assert template.count("{") == template.count("}") == 1, template
    for template in phrase.state:
        assert sorted(_placeholders(template)) == ["{answer}", "{subject}"], template
    for template in phrase.ask + phrase.state + phrase.cloze:
        assert template == " ".join(template.split()), template
    assert all(not template.endswith((".", "?", ":")) for template in phrase.cloze)


def test_templates_of_a_relation_differ(phrase: Phrase) -> None:
    templates = [template.lower() for template in phrase.ask + phrase.state + phrase.cloze]
    assert len(set(templates)) == len(templates)


def test_conflicts_are_known_and_symmetric(phrase: Phrase) -> None:
    assert phrase.relation not in phrase.conflicts
    for other in phrase.conflicts:
        assert phrase.relation in BOOK[other].conflicts, other


def test_patterns_compile(phrase: Phrase) -> None:
    for pattern in phrase.match:
        re.compile(pattern, re.IGNORECASE)


def test_no_template_serves_two_relations() -> None:
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for phrase in BOOK.values():
        for template in phrase.ask + phrase.state + phrase.cloze:
            owners[template.lower().rstrip("?. ")].add(phrase.relation)
    for template, relations in owners.items():
        for relation in relations:
            assert relations.isdisjoint(siblings(relation)), template


def test_book_is_read_only() -> None:
    with pytest.raises(TypeError):
        BOOK["made_up"] = BOOK["ceo"]  # type: ignore[index]


def test_every_relation_has_siblings(phrase: Phrase) -> None:
    found = siblings(phrase.relation)
    assert len(found) >= 2
    for name in found:
        assert phrase.relation in siblings(name)
        assert set(BOOK[name].types) & set(phrase.types)
        assert name not in phrase.conflicts and name != phrase.relation


def test_siblings_of_a_known_relation() -> None:
    found = siblings("place_of_birth")
    assert {"date_of_birth", "place_of_death", "spouse", "occupation"} <= set(found)
    assert "capital" not in found
    assert "country_of_birth" not in found


def test_rivals_are_siblings_with_answers_of_the_same_type(phrase: Phrase) -> None:
    found = rivals(phrase.relation)
    assert set(found) <= set(siblings(phrase.relation))
    assert all(BOOK[name].answer == phrase.answer for name in found)


def test_rivals_of_a_known_relation() -> None:
    assert {"director", "screenwriter", "composer"} <= set(rivals("cast_member"))
    assert "producer" in rivals("director")
    assert "release_date" not in rivals("director")


def test_a_relation_is_spelled_as_it_is_asked() -> None:
    assert spelled("place_of_birth") == "place of birth"
    assert spelled("member_of") == "member"


def test_siblings_of_an_unknown_relation() -> None:
    with pytest.raises(KeyError):
        siblings("made_up")


@pytest.mark.parametrize(
    ("template", "relation"),
    [
        ("Where was {} born?", "place_of_birth"),
        ("What town was {} born in?", "place_of_birth"),
        ("When was {} born?", "date_of_birth"),
        ("What is {}'s birthday?", "date_of_birth"),
        ("In which town did {} die?", "place_of_death"),
        ("In what year did {} die?", "date_of_death"),
        ("What did {} die from?", "cause_of_death"),
        ("Which disease did {} have?", "medical_condition"),
        ("Which country is {} a citizen of?", "country_of_citizenship"),
        ("What was the name of {}'s mother?", "mother"),
        ("Who is the dad of {}?", "father"),
        ("The {} was named after whom?", "named_after"),
        ("Which family does {} belong to?", "taxonomic_family"),
        ("Which family is {} part of?", "taxonomic_family"),
        ("Which noble family did {} come from?", "noble_family"),
        ("What architect designed the {}?", "architect"),
        ("Who designed the {}?", "designer"),
        ("Which programming language was {} made with?", "programming_language"),
        ("What language is {} in?", "language_of_work"),
        ("On which chromosome is {}?", "chromosome"),
        ("Which team did {} play for?", "sports_team"),
        ("The team {} plays in which league?", "league"),
        ("Which year did {} end?", "end_date"),
        ("When was {} established?", "date_founded"),
        ("On what date did {} take place?", "event_date"),
        ("On what day was {} launched?", "launch_date"),
        ("What river does {} cross?", "crosses_river"),
        ("Which river is {} a tributary of?", "mouth_of_river"),
        ("Which constellation is {} in?", "constellation"),
        ("The {} was discovered by whom?", "discoverer"),
        ("When was {} discovered?", "discovery_date"),
        ("WHO DIRECTED {}?", "director"),
        ("How about {}?", None),
        ("What colour is {}?", None),
    ],
)
def test_relation_of(template: str, relation: str | None) -> None:
    assert relation_of(template) == relation


QUESTIONS = [
    "Where was Ada Bell born?",
    "Where was Tom Reed born?",
    "Where was Otto von Lund born?",
    "What is Ada Bell's job?",
    "What is Tom Reed's job?",
    "What is Otto von Lund's job?",
    "Who built the Blue Bridge",
    "Who built the Red Tower",
    "Who built the Green Hall",
    "What type of ship is USS Amber?",
    "What type of ship is USS Beryl?",
    "What type of ship is USS Coral?",
    'Who sang "Low Tide"?',
    'Who sang "High Noon"?',
    'Who sang "Old Roads"?',
    "Why do cats purr?",
]


def test_mine_templates() -> None:
    mined = mine_templates(QUESTIONS)
    assert mined[0] == ("Where was {} born?", "Ada Bell")
    assert mined[2] == ("Where was {} born?", "Otto von Lund")
    assert mined[3] == ("What is {}'s job?", "Ada Bell")
    assert mined[6] == ("Who built the {}", "Blue Bridge")
    assert mined[9] == ("What type of ship is {}?", "USS Amber")
    assert mined[12] == ('Who sang "{}"?', "Low Tide")
    assert mined[15] is None


def test_mined_parts_make_the_question_again() -> None:
    for question, found in zip(QUESTIONS, mine_templates(QUESTIONS), strict=True):
        if found is not None:
            template, subject = found
            assert template.count("{}") == 1
            assert template.replace("{}", subject) == question


def test_mining_needs_enough_subjects() -> None:
    assert mine_templates(QUESTIONS[:2]) == [None, None]
    assert mine_templates(QUESTIONS[:2], least=2)[0] == ("Where was {} born?", "Ada Bell")
    assert mine_templates(QUESTIONS, least=4)[0] is None


def test_mining_gives_articles_back_to_the_template() -> None:
    questions = ["Who owns the Blue Mill?", "Who owns Red Mill?", "Who owns Old Forge?", "Who owns Inn 3?"]
    assert mine_templates(questions)[0] == ("Who owns the {}?", "Blue Mill")


def test_mining_nothing() -> None:
    assert mine_templates([]) == []
    assert mine_templates(["", "?", "Why"]) == [None, None, None]


def test_mining_wants_a_positive_least() -> None:
    with pytest.raises(ValueError, match="least"):
        mine_templates([], least=0)


def test_answers_are_spoken_of_with_one_slot_and_more_is_asked_of_them() -> None:
    assert sum(bool(named(relation)) for relation in BOOK) > 100
    for relation in BOOK:
        for wording in named(relation):
            assert _placeholders(wording) == ["{}"], wording
    assert "the country where {} was born" in named("country_of_birth") and named("made_up") == ()
    assert {"date_of_birth", "spouse"} <= set(further("director"))
    assert "capital" in further("country_of_birth") and "capital" not in further("director")
    assert further("date_of_birth") == ()
