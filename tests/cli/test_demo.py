"""`errata demo`: the promises hold whatever the parts; with the shipped parts the whole story does."""

from __future__ import annotations

from typing import Any

import pytest

from errata import zoo
from errata.cli.promises import Check, Parts, all_checks
from errata.cli.story import EDITS, STORY
from errata.edit import Edit
from errata.models.echo import EchoModel
from fakes import EchoCounterfactual, OverlapScope

Cli = Any
TEXTS = [ask.text for ask in STORY]


def parts(**others: Any) -> Parts:
    """The demo's parts, with fakes for the trained ones."""
    model = EchoModel()
    known: dict[str, Any] = {"scope": OverlapScope(), "counterfactual": EchoCounterfactual(), **others}
    return Parts(model, edits=EDITS, inputs=TEXTS, base=model.generate(TEXTS), **known)


def test_every_promise_is_kept() -> None:
    checks = list(all_checks(parts()))
    assert {check.promise for check in checks} == {1, 2, 3, 4, 5, 6, 7}
    assert [check.claim for check in checks if not check.ok] == []


class BatchScope(OverlapScope):
    """Vectors that depend on the batch, as those of the usual dynamic int8 do."""

    def encode_inputs(self, inputs: Any) -> Any:
        return super().encode_inputs(inputs) / len(inputs)


class Moody(EchoCounterfactual):
    """Answers that depend on what was asked before."""

    asked = 0

    def respond(self, inputs: Any, matches: Any, base: Any, **options: Any) -> list[str]:
        self.asked += 1
        return [f"{self.asked}" for _ in matches]


def test_a_promise_that_breaks_is_seen() -> None:
    broken = {check.promise for check in all_checks(parts(scope=BatchScope())) if not check.ok}
    assert 6 in broken
    broken = {check.promise for check in all_checks(parts(counterfactual=Moody())) if not check.ok}
    assert {2, 3, 5} <= broken


def test_a_check_that_never_ran_is_not_kept() -> None:
    assert not Check(1, "nothing was asked", 0, 0).ok


def test_the_demo_counts_what_it_sees(cli: Cli) -> None:
    told = cli.json("demo", code=1)  # the words of a question are not its meaning: the story does not come out
    assert not told["ok"] and len(told["rows"]) == len(STORY)
    assert all(check["ok"] for check in told["promises"])
    counts = {row["what"]: (row["expected"], row["got"]) for row in told["summary"]}
    assert counts["the question: answered by the edit"] == (len(EDITS), len(EDITS))
    assert counts["promises kept"][0] == counts["promises kept"][1]
    assert any(expected != got for expected, got in counts.values())
    shown = cli("demo", code=1).stdout
    assert "NO" in shown and "Why?" in shown and "NOT everything as promised" in shown


@pytest.mark.skipif(not {"mini", "dual", "pair"} <= set(zoo.names()), reason="the trained parts are not all there")
def test_the_whole_story_with_the_shipped_parts(tmp_path: Any) -> None:
    from click.testing import CliRunner

    from errata.cli import main

    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0, result.output


def test_the_story_is_sound() -> None:
    ids = {edit.id for edit in EDITS}
    assert len(ids) == len(EDITS) and len(set(TEXTS)) == len(TEXTS)
    assert {ask.edit for ask in STORY} == ids | {""}
    assert all(isinstance(edit, Edit) for edit in EDITS)
    from errata.problems.facts import load_facts, questions

    taught = {text for fact in load_facts() for text in questions(fact)}
    paraphrases = {ask.text for ask in STORY if ask.group == "paraphrase"}
    assert not paraphrases & taught
