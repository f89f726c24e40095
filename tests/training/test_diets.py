"""What editors are trained on is drawn as promised, from groups, problems and topics that we made up."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from errata.edit import Edit
from errata.errors import ConfigError
from errata.experiments.evaluate import PROBLEMS
from errata.problems.cases import DATA, DataFolder, EditCase, Labelled, Problem, Unlabelled
from errata.problems.held_out import normalise
from errata.problems.sentiment import HELD_OUT, Topic, trained_questions
from errata.training.cards import uses
from errata.training.diets import (
    BASES,
    DEV,
    DIETS,
    SPLIT,
    Diet,
    Drawn,
    dev_of,
    diet_of,
    examined,
    grouped,
    of_problem,
    of_topics,
)
from errata.training.group import Group, Inside

MILL = Group("Who built the mill?", "Ann", (Inside("The mill's builder?", "span", "Ann"),), ("A ford?",), "", "mill")
BARN = Group("Is the barn red?", "yes it is", (Inside("A red barn?", "yes"),), ("A red mill?",), "", "barn")


def taking(*groups: Group) -> Iterator[Group]:
    """Over and over in this order."""
    while True:
        yield from groups


def drawn(diet: Diet, count: int, times: int = 60) -> list[Drawn]:
    """Batches from as many seeds."""
    return [diet(count, random.Random(seed)) for seed in range(times)]


def case(name: str, *asked: str, out: tuple[str, ...] = (), page: str = "") -> EditCase:
    """An edit of this prompt, which is in its own scope beside what else is asked."""
    edit = Edit(prompt=name, target=f"{name} new", id=name, meta={"page": page} if page else {})
    inside = tuple(Labelled(text, f"{name} new", "rephrase") for text in (name, *asked))
    return EditCase(edit, inside, tuple(Unlabelled(text, "same_subject") for text in out))


def problem(*cases: EditCase, shared: tuple[str, ...] = (), name: str = "made_up") -> Problem:
    return Problem(name=name, split="train", cases=cases, shared=tuple(Unlabelled(text, "nq") for text in shared))


# groups


def test_a_group_is_an_edit_with_what_is_asked_of_it() -> None:
    groups = taking(MILL, BARN)
    assert grouped(lambda source: next(groups))(2, random.Random(0)) == Drawn(
        [("Who built the mill?", "Ann"), ("Is the barn red?", "yes it is")],
        [("The mill's builder?", "Ann"), ("A red barn?", "Yes")],
        ["A ford?", "A red mill?"],
    )


def test_no_two_groups_of_a_batch_have_one_scope() -> None:
    again = replace(MILL, prompt="Whose work is the mill?")
    groups = taking(MILL, again, again, BARN)
    batch = grouped(lambda source: next(groups))(2, random.Random(0))
    assert [prompt for prompt, _ in batch.told] == [MILL.prompt, BARN.prompt], "the first of a scope stays"


def test_groups_that_teach_nothing_are_left() -> None:
    """Without a target, without an answer to a question in scope, or without a question out of it."""
    bare = replace(MILL, target="", key="bare")
    unsaid = replace(MILL, inside=(Inside("And the mill?", "none"),), key="unsaid")
    alone = replace(MILL, outside=(), key="alone")
    groups = taking(bare, unsaid, alone, MILL, BARN)
    batch = grouped(lambda source: next(groups))(2, random.Random(0))
    assert [target for _, target in batch.told] == ["Ann", "yes it is"]
    groups = taking(bare, unsaid, alone, MILL)
    batch = grouped(lambda source: next(groups), untold="True")(2, random.Random(0))
    assert batch.told == [(MILL.prompt, "True"), (MILL.prompt, "Ann")]


def test_of_questions_without_an_answer_none_is_drawn() -> None:
    two = replace(MILL, inside=(Inside("And the mill?", "none"), *MILL.inside))
    assert {batch.inside[0] for batch in drawn(grouped(lambda source: two), 1)} == {("The mill's builder?", "Ann")}


# problems


def test_as_many_edits_as_asked_each_with_an_input_of_its_own_scope() -> None:
    cases = [case(name, f"{name} too") for name in ("a", "b", "c", "d")]
    diet = of_problem(problem(*cases, shared=tuple("vwxyz")))
    for count in (1, 3, 4):
        for batch in drawn(diet, count):
            assert len(batch.told) == len(batch.inside) == len(batch.outside) == count and batch.wrong == ()
            assert len({prompt for prompt, _ in batch.told}) == count
            for (prompt, target), (text, answer) in zip(batch.told, batch.inside, strict=True):
                assert text in (prompt, f"{prompt} too") and target == answer == f"{prompt} new"
            assert set(batch.outside) <= set("vwxyz")
    assert {batch.inside[0][0] for batch in drawn(diet, 1)} == {text for one in "abcd" for text in (one, f"{one} too")}
    assert diet(3, random.Random(1)) == diet(3, random.Random(1))


def test_edits_that_are_asked_the_same_or_are_of_one_page_keep_apart() -> None:
    shared = of_problem(problem(case("a", "Both?"), case("b", "both"), case("c"), shared=("z",)))
    for batch in drawn(shared, 2):
        assert sorted(prompt for prompt, _ in batch.told) in (["a", "c"], ["b", "c"])
    cases = (case("a", page="Mill"), case("b", page="Mill"), case("c", page="Barn"), case("d"), case("e"))
    for batch in drawn(of_problem(problem(*cases, shared=("z",), name="fever_copy")), 4):
        assert {"c", "d", "e"} < {prompt for prompt, _ in batch.told}, "no page is no group"
    for batch in drawn(of_problem(problem(*cases[:3], shared=("z",))), 3):
        assert len(batch.told) == 3, "pages keep apart where the problem says so"


def test_nothing_out_of_scope_is_in_the_scope_of_an_edit_of_the_batch() -> None:
    """What was made for one edit, or is shared, may be in another's scope; then it is asked of other batches."""
    cases = (case("a", out=("B!", "own")), case("b", "C?"), case("c", out=("c",)))
    diet = of_problem(problem(*cases, shared=("A.", "b", "far", "c!")))
    seen = set()
    for batch in [*drawn(diet, 2), *drawn(diet, 1)]:
        asked = {text for one in cases if (one.edit.prompt, one.edit.target) in batch.told for text in one.in_scope}
        assert {normalise(text) for text in batch.outside}.isdisjoint(normalise(one.text) for one in asked)
        seen.update(batch.outside)
    assert seen == {"A.", "b", "far", "c!", "B!", "own"}, "each elsewhere, but for what is in its own edit's scope"


def test_half_the_inputs_out_of_scope_are_the_edits_own() -> None:
    diet = of_problem(problem(case("a", out=("own",)), shared=("far",)))
    own = sum(batch.outside == ["own"] for batch in drawn(diet, 1, times=400))
    assert 160 < own < 240
    for only in (problem(case("a", out=("own",))), problem(case("a"), shared=("own",))):
        assert {tuple(batch.outside) for batch in drawn(of_problem(only), 1)} == {("own",)}


def test_cases_that_teach_nothing_are_left() -> None:
    bare = EditCase(Edit(prompt="bare", id="bare"), (Labelled("bare", "x", "rephrase"),))
    unasked = EditCase(Edit(prompt="unasked", target="x", id="unasked"), ())
    diet = of_problem(problem(bare, unasked, case("a"), shared=("z",)))
    assert {tuple(batch.told) for batch in drawn(diet, 1)} == {(("a", "a new"),)}


def test_too_few_edits_are_refused() -> None:
    diet = of_problem(problem(case("a", "both"), case("b", "both"), case("c"), shared=("z",)))
    with pytest.raises(ConfigError, match="made_up has no 3 edits that keep apart, only 2"):
        diet(3, random.Random(0))


# topics


def test_an_opinion_of_a_topic_with_replies_of_either_side() -> None:
    topics = [Topic(name, (f"good {name}",), (f"bad {name}",)) for name in ("kites", "chess", "soup", "rain")]
    questions = trained_questions()
    assert not set(questions) & set(HELD_OUT)
    sides = set()
    for batch in drawn(of_topics(topics), 2):
        names = [prompt.removeprefix("Topic: ") for prompt, _ in batch.told]
        assert len(set(names)) == len(batch.inside) == len(batch.wrong) == 2
        for name, (_, answer), (asked, right), (same, wrong) in zip(
            names, batch.told, batch.inside, batch.wrong, strict=True
        ):
            sides.add(answer)
            replies = (f"good {name}", f"bad {name}")
            assert (right, wrong) == (replies if answer == "Sentiment: Positive" else replies[::-1])
            assert asked == same and asked in {question.replace("{}", name) for question in questions}
        others = [one.about for one in topics if one.about not in names]
        assert all(text in {q.replace("{}", other) for q in questions for other in others} for text in batch.outside)
        assert len(set(batch.outside)) == 2
    assert sides == {"Sentiment: Positive", "Sentiment: Negative"}


def test_a_topic_within_another_is_not_out_of_its_scope() -> None:
    """ "Jazz" and "free jazz": an opinion of the one may be one of the other; "jazzy" is a word of its own."""
    topics = [Topic(name, ("good",), ("bad",)) for name in ("jazz", "free Jazz")]
    assert all(batch.outside == [] for batch in drawn(of_topics(topics), 1))
    topics[1] = replace(topics[1], about="jazzy shoes")
    assert all(len(batch.outside) == 1 for batch in drawn(of_topics(topics), 1))


# by name


def test_every_problem_has_a_diet_but_those_without_training_data() -> None:
    assert DIETS.keys() == DEV.keys() == BASES.keys() == PROBLEMS.keys() - {"counterfact", "everyday"}
    assert SPLIT.keys() < DIETS.keys()


def test_a_problem_without_a_diet_is_refused(tmp_path: Path) -> None:
    for ask in (diet_of, dev_of):
        with pytest.raises(ConfigError, match="no editor can be trained for 'counterfact'; accepted: qa, "):
            ask("counterfact", tmp_path)


# what is read and examined


def test_an_exam_asks_what_edit_success_counts() -> None:
    one = case("Who built the mill?", "The mill's builder?")
    own, other = one.in_scope
    told = problem(replace(one, in_scope=(replace(own, kind="same"), other)), case("alone"), shared=("A ford?",))
    told = replace(told, cases=(told.cases[0], replace(told.cases[1], in_scope=(replace(own, kind="same"),))))
    [([asked], outside)] = examined(told, 5, 5)
    assert asked.in_scope == (other,) and outside == ["A ford?"]


@pytest.mark.skipif(DATA not in os.environ, reason="reads the public data")
@pytest.mark.parametrize("name", ["sentiment", "leapofthought", "wikipedia", "zsre_copy", "fever_copy"])
def test_a_card_tells_every_file_that_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    blob = DataFolder._blob
    monkeypatch.setattr(DataFolder, "_blob", lambda self, file: (read.add(file), blob(self, file))[1])
    diet_of(name, Path(os.environ[DATA]))
    dev_of(name, Path(os.environ[DATA]))
    assert read - {*uses(f"mend-{name}")} == set()
