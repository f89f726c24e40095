"""Everyday edits: blocks of a text, and the test that is made of them."""

from __future__ import annotations

import pytest

from errata.errors import ConfigError, EditError
from errata.problems import cases as kinds
from errata.problems.blocks import Block, blocks_of
from errata.problems.everyday import load_everyday

PORT = "E\tWhich port?\t9443\n+\tport number\ny\tIs it 9443?\nn\tIs it 80?\n-\tWhich host?\n"
TEXT = f"{PORT}\n\nE\tWho?\tBo\n+\tname\n-\tWhen?\n"


def test_blocks_are_read() -> None:
    first, second = blocks_of(TEXT)
    assert first == Block("Which port?", "9443", ("port number",), ("Is it 9443?",), ("Is it 80?",), ("Which host?",))
    assert second == Block("Who?", "Bo", ("name",), (), (), ("When?",))
    assert blocks_of("\n\n") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("+\tport", "line 1: a block begins with E"),
        ("E\tWho?\t\n+\ta\n-\tb", "line 1: a block begins with E"),
        ("\nE\tWho?\tBo\n*\ta", "line 3: an input is one of"),
        ("E\tWho?\tBo\n+\ta\n-\t ", "line 3: an input is one of"),
        ("E\tWho?\tBo\n+\ta\tb\n-\tc", "line 2: an input is one of"),
        ("E\tWho?\tBo\n+\ta", "line 1: an edit needs an input inside and one outside"),
    ],
)
def test_a_block_that_is_not_as_it_should_be_is_told_by_its_line(text: str, told: str) -> None:
    with pytest.raises(EditError, match=told):
        blocks_of(text)


def test_the_test_holds_edits_with_both_sides() -> None:
    problem = load_everyday()
    assert len(problem.cases) >= 100
    assert len({case.edit.prompt for case in problem.cases}) == len(problem.cases)
    for case in problem.cases:
        inside = {one.kind: one.answer for one in case.in_scope}
        [among] = [one.text for one in case.in_scope if one.kind == kinds.AMONG]
        assert any(one.text in among for one in case.in_scope if one.kind == kinds.REPHRASE)
        assert inside[kinds.AMONG] == inside[kinds.REPHRASE] == inside[kinds.SAME] == case.edit.target
        assert inside.get(kinds.ENTAILED, "Yes") in ("Yes", "No")
        assert {one.kind for one in case.out_of_scope} - {kinds.ABOUT} == {kinds.LOOK_ALIKE, kinds.QUOTING}
        quoting = [one.text for one in case.out_of_scope if one.kind == kinds.QUOTING]
        assert len(quoting) == 2 and all(case.edit.prompt in text for text in quoting)
        assert {one.text for one in case.in_scope}.isdisjoint(one.text for one in case.out_of_scope)
    assert load_everyday().data_hash == problem.data_hash != ""


def test_requests_quote_a_question_or_name_a_subject_or_neither() -> None:
    problem = load_everyday()
    about = [one.text for case in problem.cases for one in case.out_of_scope if one.kind == kinds.ABOUT]
    texts = [one.text for case in problem.cases for one in case.out_of_scope]
    assert len(about) > 80 and len(problem.shared) > 80
    assert {one.kind for one in problem.shared} == {kinds.REQUEST}
    assert not [text for text in [*texts, *(one.text for one in problem.shared)] if "{" in text or text.startswith("#")]


def test_there_is_no_other_split() -> None:
    with pytest.raises(ConfigError, match="no split 'dev'"):
        load_everyday(split="dev")
