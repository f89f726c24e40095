"""What `explain` tells of hits, misses, edits that cannot match, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from errata.edit import Edit, Terms
from errata.editors.serac import Serac
from errata.models.echo import EchoModel
from fakes import EchoCounterfactual, OverlapScope

UK = Edit(prompt="Who is the prime minister of the United Kingdom?", target="Keir Starmer", id="uk-pm")
QUESTION = "Who is prime minister of the United Kingdom?"


@pytest.fixture
def editor() -> Iterator[Serac]:
    made = Serac(EchoModel(), scope=OverlapScope(), counterfactual=EchoCounterfactual())
    yield made
    made.memory.close()


def test_an_empty_memory(editor: Serac) -> None:
    told = editor.explain(QUESTION)
    assert told.margin is None and told.runner_up is None and "no edit in force" in told.advice[0]


def test_a_hit_with_a_runner_up(editor: Serac) -> None:
    editor.add(UK, Edit(prompt="Who is the prime minister of the United States?", target="nobody", id="us-pm"))
    told = editor.explain(QUESTION)
    assert told.decision.match is not None and told.decision.match.edit.id == "uk-pm"
    assert told.margin == told.decision.match.score - 0.5 > 0
    assert told.runner_up is not None and told.runner_up.edit.id == "us-pm"
    assert "us-pm is in scope too" in told.advice[0] and "errata disable uk-pm" in told.advice[1]
    assert told.decision == editor.generate([QUESTION])[0].decision


def test_a_near_miss_and_a_far_one(editor: Serac) -> None:
    editor.add(UK)
    near = editor.explain("Who is the king of Norway?")
    assert near.margin is not None and -0.5 < near.margin < 0 and "misses by" in near.advice[0]
    assert "no edit is about this" in editor.explain("zzz").advice[0]


@pytest.mark.parametrize("reason", ["disabled", "retracted", "in space 'other'"])
def test_edits_that_cannot_match(editor: Serac, reason: str) -> None:
    if reason.startswith("in space"):
        editor.add(Edit(prompt=UK.prompt, target=UK.target, id="uk-pm", space="other"))
    else:
        editor.add(UK)
        change = editor.memory.disable if reason == "disabled" else editor.memory.retract  # type: ignore[attr-defined]
        change(["uk-pm"])
    told = editor.explain(QUESTION)
    assert told.decision.match is None
    assert [(item.match.edit.id, item.reason) for item in told.inactive] == [("uk-pm", reason)]
    assert reason in told.advice[0]


def test_an_expired_edit(editor: Serac) -> None:
    from datetime import UTC, datetime

    editor.add(UK, terms=Terms(expires=datetime(2020, 1, 1, tzinfo=UTC)))
    assert editor.explain(QUESTION).inactive[0].reason == "expired"


def test_a_purged_edit_is_not_told(editor: Serac) -> None:
    editor.add(UK)
    editor.memory.purge(["uk-pm"])  # type: ignore[attr-defined]
    assert editor.explain(QUESTION).inactive == ()


def test_an_overlay_is_explained_too(editor: Serac) -> None:
    editor.add(UK)
    told = editor.without("uk-pm").explain(QUESTION)
    assert told.decision.match is None
    assert editor.edit(Edit(prompt="zzz", target="y")).explain("zzz").decision.match is not None
