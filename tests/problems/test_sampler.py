from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems.cases import DATA, EditCase, Labelled, Problem, Unlabelled
from errata.problems.fact_check import load_fact_check
from errata.problems.qa import load_qa
from errata.problems.sampler import OTHER_EDIT, Item, batches, compared, limited, split
from errata.problems.sentiment import load_sentiment

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def case(name: str, inside: Iterable[str], outside: Iterable[str] = (), group: str = "") -> EditCase:
    return EditCase(
        Edit(prompt=f"prompt {name}", target="t", id=name, meta={"group": group} if group else {}),
        tuple(Labelled(text, "t", "rephrase") for text in inside),
        tuple(Unlabelled(text, "near", True) for text in outside),
    )


def problem(*found: EditCase, shared: Iterable[str] = ("far",), apart: frozenset[str] = frozenset()) -> Problem:
    return Problem(
        name="made_up",
        split="test",
        cases=found,
        shared=tuple(Unlabelled(text, "nq") for text in shared),
        apart=apart,
    )


def ids(batch: Iterable[Item]) -> list[str]:
    return [item.edit.id for item in batch]


LETTERS = problem(*(case(name, [f"{name} one", f"{name} two"], [f"{name} not"]) for name in "abcdefg"))


def test_a_pass_takes_each_edit_once_and_leaves_what_fills_no_batch() -> None:
    found = list(batches(LETTERS, 3))
    assert [len(batch) for batch in found] == [3, 3]
    taken = [name for batch in found for name in ids(batch)]
    assert len(set(taken)) == 6 and set(taken) < set("abcdefg")
    for item in (item for batch in found for item in batch):
        assert item.inside is not None and item.inside.text.startswith(item.edit.id)


def test_the_seed_makes_the_pass() -> None:
    assert list(batches(LETTERS, 3, seed=5)) == list(batches(LETTERS, 3, seed=5))
    assert len({str(list(batches(LETTERS, 3, seed=seed))) for seed in range(6)}) == 6


def test_how_often_an_input_made_for_the_edit_is_drawn() -> None:
    def outside(hard: float) -> list[Unlabelled]:
        return [
            item.outside for seed in range(20) for batch in batches(LETTERS, 3, seed=seed, hard=hard) for item in batch
        ]

    assert {one.kind for one in outside(1)} == {"near"}
    assert {one.kind for one in outside(0)} == {"nq", OTHER_EDIT}
    share = sum(one.hard for one in outside(0.5)) / 120
    assert 0.35 < share < 0.65


def test_no_input_is_in_the_scope_of_another_edit_of_the_batch() -> None:
    """What is out of a's scope is in b's, and differs from b's text in case and commas only."""
    near = case("a", ["x"], ["Is it, B one?"])
    two = problem(near, case("b", ["is it b ONE"]), shared=["Prompt a.", "far", "off"])
    for seed in range(5):
        [batch] = batches(two, 2, seed=seed, hard=1)
        assert {item.outside.text for item in batch} == {"far", "off"}


def test_edits_whose_scopes_meet_come_in_different_batches() -> None:
    meet = problem(case("a", ["same?", "x"]), case("b", ["Same"]), case("c", ["y"]), case("d", ["z"]))
    for seed in range(10):
        for batch in batches(meet, 2, seed=seed):
            assert set(ids(batch)) != {"a", "b"}
    with pytest.raises(ConfigError, match="made_up has no 4 edits whose scopes keep apart; 3 were found"):
        batches(meet, 4)


def test_what_is_kept_apart() -> None:
    """Edits of one page never meet, nor does a claim of a page in the batch stand as out of scope."""
    of_a = [case("a1", ["a one"], group="a"), case("a2", ["a two"], group="a")]
    pages = problem(*of_a, case("b", ["b one"], group="b"), shared=["far", "off"])
    for seed in range(10):
        for batch in batches(pages, 2, seed=seed, apart="group"):
            assert {item.edit.meta["group"] for item in batch} == {"a", "b"}
            assert {item.outside.text for item in batch} == {"far", "off"}


def test_an_edit_without_an_input_in_scope() -> None:
    bare = problem(case("a", [], ["a not", "a nor"]), case("b", ["b one"]))
    for seed in range(5):
        [batch] = batches(bare, 2, seed=seed, hard=0)
        [item] = [item for item in batch if item.edit.id == "a"]
        assert item.inside is None and item.outside.text in ("a not", "a nor")
    assert [ids(batch) for batch in batches(bare, 1, complete=True)] == [["b"]]


def test_kinds_apart_are_not_drawn() -> None:
    near = problem(case("a", ["a one"], ["a fact"]), apart=frozenset({"near"}))
    assert {item.outside.kind for seed in range(9) for [item] in batches(near, 1, seed=seed, hard=1)} == {"nq"}


def test_where_only_the_edits_own_inputs_will_do_they_are_drawn() -> None:
    alone = problem(case("a", ["a one"], ["a not"]), shared=())
    [[item]] = batches(alone, 1, hard=0)
    assert item.outside.text == "a not"
    with pytest.raises(ConfigError, match="no input is out of the scope of edit a"):
        list(batches(problem(case("a", ["a one"]), shared=["A One!"]), 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be 1 or more"),
        ({"k": 8}, "has no 8 edits"),
        ({"k": 1, "hard": 1.5}, "hard must be between 0 and 1"),
        ({"k": 1, "apart": "page"}, "has no 'page' in its meta"),
    ],
)
def test_wrong_wishes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        batches(LETTERS, **options)


def test_texts_without_ascii_are_compared_as_they_are() -> None:
    assert compared("Что это?") != compared("Кто это?")
    assert compared("A, b!") == compared("a B")


# whatever the problem

texts = st.sampled_from(["", "A ", "so "]).flatmap(
    lambda start: st.sampled_from("uvwxyz").map(lambda end: f"{start}{end}?")
)


@st.composite
def problems(draw: Any) -> Problem:
    """Few words, so that scopes meet, inputs recur, and many batches cannot be made."""
    count = draw(st.integers(1, 7))
    found = [
        case(
            str(number),
            draw(st.lists(texts, max_size=3)),
            draw(st.lists(texts, max_size=2)),
            draw(st.sampled_from(["p", "q", "r"])),
        )
        for number in range(count)
    ]
    return problem(*found, shared=draw(st.lists(texts, max_size=3)))


@settings(max_examples=300, deadline=None)
@given(problems(), st.integers(1, 4), st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0]), st.booleans(), st.booleans())
def test_the_promises(made: Problem, k: int, seed: int, hard: float, grouped: bool, complete: bool) -> None:
    def drawn() -> list[tuple[Item, ...]]:
        found = []
        try:
            for batch in batches(made, k, seed=seed, hard=hard, apart="group" if grouped else "", complete=complete):
                found.append(batch)
        except ConfigError:
            pass  # a batch that cannot be made is refused; those before it hold
        return found

    by_id = {one.edit.id: one for one in made.cases}
    found = drawn()
    assert found == drawn()
    taken = [name for batch in found for name in ids(batch)]
    assert len(taken) == len(set(taken))
    for batch in found:
        assert len(batch) == k
        scopes = [
            {compared(item.edit.prompt)} | {compared(one.text) for one in by_id[item.edit.id].in_scope}
            for item in batch
        ]
        assert sum(map(len, scopes)) == len(set().union(*scopes))
        outside = [compared(item.outside.text) for item in batch]
        assert len(set(outside)) == k and set().union(*scopes).isdisjoint(outside)
        for item in batch:
            own = by_id[item.edit.id]
            assert item.inside in own.in_scope if own.in_scope else item.inside is None
            assert item.inside or not complete
        if grouped:
            groups = [item.edit.meta["group"] for item in batch]
            assert len(set(groups)) == k
            elsewhere = {
                compared(one.text)
                for other in made.cases
                if other.edit.meta["group"] not in groups
                for one in other.in_scope
            }
            assert all(compared(i.outside.text) in elsewhere for i in batch if i.outside.kind == OTHER_EDIT)


# the real data


@real
def test_batches_of_ten_of_fact_check_share_no_page() -> None:
    whole = load_fact_check(every=True)
    found = list(batches(whole, 10, seed=1, apart="page_group"))
    assert len(found) > 100
    for batch in found:
        assert len({item.edit.meta["page_group"] for item in batch}) == 10
    kinds = Counter(item.outside.kind for batch in found for item in batch)
    assert kinds["undecided"] > 300 and kinds["other_page"] and kinds[OTHER_EDIT]


@real
def test_batches_of_five_of_sentiment() -> None:
    found = list(batches(load_sentiment(), 5))
    assert len(found) == 83
    assert {item.outside.kind for batch in found for item in batch} == {"other_topic", OTHER_EDIT}


# whole problems in batches


def asked(part: Problem) -> list[str]:
    return [one.text for case in part.cases for one in case.out_of_scope] + [one.text for one in part.shared]


def test_a_problem_is_split_into_batches_with_all_their_inputs() -> None:
    """Seven edits make two batches of three; their inputs stay whole, and five shared ones are dealt out in turn."""
    letters = replace(LETTERS, shared=tuple(Unlabelled(f"far {n}", "nq") for n in range(5)))
    parts = split(letters, 3, seed=4)
    assert [len(part.cases) for part in parts] == [3, 3]
    held = [case for part in parts for case in part.cases]
    assert len({case.edit.id for case in held}) == 6 and all(case in letters.cases for case in held)
    assert sorted(len(part.shared) for part in parts) == [2, 3]
    assert sorted(one.text for part in parts for one in part.shared) == [f"far {n}" for n in range(5)]
    assert (parts[0].name, parts[0].success, parts[0].data_hash) == ("made_up", letters.success, letters.data_hash)
    assert split(letters, 3, seed=4) == parts != split(letters, 3, seed=5)


def test_what_is_in_the_scope_of_a_batchs_edit_is_not_asked_of_it() -> None:
    """a's own out-of-scope input is b's question, and so is a shared one; apart from b both can be asked."""
    near = case("a", ["x"], ["Is it, B one?"])
    two = problem(near, case("b", ["is it b ONE"]), shared=["is it B one", "far"])
    [both] = split(two, 2)
    assert asked(both) == ["far"]
    for seed in range(5):
        alone = {part.cases[0].edit.id: asked(part) for part in split(two, 1, seed=seed)}
        assert "Is it, B one?" in alone["a"] and "is it B one" in alone["a"]
        assert alone["b"] in ([], ["far"]), "dealt in turn: one each, unless the turn was a's"


def test_edits_that_must_keep_apart_are_split_so() -> None:
    of_a = [case(f"a{n}", [f"a {n}"], group="a") for n in range(3)]
    pages = problem(*of_a, case("b", ["b"], group="b"), case("c", ["c"], group="c"))
    for seed in range(10):
        parts = split(pages, 2, seed=seed, apart="group")
        assert len(parts) in (1, 2), "b and c may meet, and then all that is left is of one page"
        assert all(len({one.edit.meta["group"] for one in part.cases}) == 2 for part in parts)
    with pytest.raises(ConfigError, match="has no 4 edits whose scopes keep apart; 3 were found"):
        split(pages, 4, apart="group")
    with pytest.raises(ConfigError, match="k must be 1 or more"):
        split(pages, 0)


def test_a_limit_holds_over_all_batches() -> None:
    parts = split(LETTERS, 2, seed=1)
    few = limited(parts, 2, seed=1)
    assert [[one.edit for one in part.cases] for part in few] == [[one.edit for one in part.cases] for part in parts]
    assert sum(len(one.in_scope) for part in few for one in part.cases) == 2
    assert sum(len(one.out_of_scope) for part in few for one in part.cases) == 2
    assert sum(len(part.shared) for part in few) == 1
    assert limited(parts, None, seed=1) == parts


@settings(max_examples=200, deadline=None)
@given(problems(), st.integers(1, 4), st.integers(0, 9))
def test_the_promises_of_splitting(made: Problem, k: int, seed: int) -> None:
    try:
        parts = split(made, k, seed=seed)
    except ConfigError:
        return  # not one batch can be made
    held = [one.edit.id for part in parts for one in part.cases]
    assert len(held) == len(set(held)) == k * len(parts)
    for part in parts:
        scopes = [{compared(one.edit.prompt)} | {compared(text.text) for text in one.in_scope} for one in part.cases]
        assert sum(map(len, scopes)) == len(set().union(*scopes))
        assert set().union(*scopes).isdisjoint(map(compared, asked(part)))
    dealt = [one for part in parts for one in part.shared]
    assert len({id(one) for one in dealt}) == len(dealt) <= len(made.shared)


@real
def test_batches_of_ten_of_qa_ask_over_5000_distinct_inputs() -> None:
    whole = load_qa()
    parts = split(whole, 10)
    assert len(parts) == 58
    counted = [one for part in parts for case in part.cases for one in case.out_of_scope if one.kind not in part.apart]
    counted += [one for part in parts for one in part.shared]
    assert len({compared(one.text) for one in counted}) > 7_500


@real
def test_fact_check_in_batches_asks_every_claim_of_an_edit() -> None:
    whole = load_fact_check(every=True)
    parts = split(whole, 10, apart="page_group")
    assert len(parts) == 197
    for part in parts:
        assert len({one.edit.meta["page_group"] for one in part.cases}) == 10
