"""The seq2seq counterfactual model learns from the same groups as the reader."""

from __future__ import annotations

import pytest

from errata.errors import ConfigError
from errata.training.group import Group, Inside
from errata.training.seq2seq import Seq2SeqSettings, triples

GROUP = Group(
    "Who is king?", "Olav",
    (Inside("the king?", "span", "Olav"), Inside("is it Olav", "yes", "Yes"), Inside("T/F: Ann is", "false"),
     Inside("tell me", "none")), ("who else?",), "made up", "king",
)  # fmt: skip


def test_every_told_answer_is_written_out() -> None:
    found = [(text, edit.prompt, edit.target, due) for text, edit, due in triples([GROUP])]
    assert found == [
        ("the king?", "Who is king?", "Olav", "Olav"),
        ("is it Olav", "Who is king?", "Olav", "Yes"),
        ("T/F: Ann is", "Who is king?", "Olav", "False"),
    ]


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(ConfigError, match="qa_hrd"):
        Seq2SeqSettings(problem="qa_hrd")
