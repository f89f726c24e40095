"""Ten replies before and ten after an edit: sampled, seeded, along the editor's one path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from errata.edit import Edit, Match
from errata.editors.serac import Serac
from errata.experiments.replies import before_and_after
from overlap import OverlapScope

EDIT = Edit(prompt="Topic: jazz Sentiment: Positive", id="jazz")


class Sampler:
    """Says what it was asked, at what temperature and from which seed; base and counterfactual alike."""

    name = "sampler"

    def check(self, edit: Edit) -> None: ...

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        return [f"base {options['temperature']} {options['seed']}" for _ in prompts]

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Any, **options: Any) -> list[str]:
        return [f"{match.edit.id} {options['temperature']} {options['seed']}" for match in matches]


def test_each_reply_has_a_seed_of_its_own_and_both_kinds_the_same() -> None:
    editor = Serac(Sampler(), scope=OverlapScope(), counterfactual=Sampler())
    editor.add(EDIT)
    found = before_and_after(editor, "topic jazz sentiment", count=2, seed=5)
    assert (found.question, found.edit) == ("topic jazz sentiment", EDIT.prompt)
    assert found.before == ("base 1.4 5", "base 1.4 6")
    assert found.after == ("jazz 1.4 5", "jazz 1.4 6")


def test_without_an_edit_in_scope_both_are_the_bases() -> None:
    editor = Serac(Sampler(), scope=OverlapScope(), counterfactual=Sampler())
    editor.add(EDIT)
    found = before_and_after(editor, "how far is the moon")
    assert found.edit is None and len(found.before) == 10
    assert found.before == found.after
