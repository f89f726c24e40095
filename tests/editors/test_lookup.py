"""Look-up: what lies near an edit among the base's own hidden states is answered with its target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errata.edit import Edit
from errata.editors.lookup import lookup, tune
from errata.editors.retrieve_prompt import PLAIN, retrieve_prompt
from errata.errors import ConfigError, UnsupportedEdit, UnsupportedModel
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from overlap import OverlapScope
from tiny import tiny_bert_classifier, tiny_gpt2, tiny_t5

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")


class Line(EchoModel):
    """A base model to which texts are points on a line: how many words they have."""

    def vectors(self, prompts: Sequence[str]) -> Any:
        return np.array([[float(len(prompt.split())), 0.0] for prompt in prompts], np.float32)


def test_within_the_radius_and_beyond() -> None:
    editor = lookup(Line(), radius=1.0).edit(Edit(prompt="one two three", target="three", id="3"))
    answers = editor.generate(["a b c", "a b", "a b c d e"])
    assert [answer.text for answer in answers] == ["three", "three", "a b c d e"]
    assert [round(answer.decision.nearest[0].score, 3) for answer in answers] == [1.0, 0.5, 0.333]
    assert answers[1].decision.match is not None, "at the radius is within it"


def test_the_memory_grows_and_the_nearest_answers() -> None:
    editor = lookup(Line(), radius=1.5).edit(Edit(prompt="one", target="1", id="1"))
    both = editor.edit(Edit(prompt="one two three four", target="4", id="4"))
    assert [answer.text for answer in both.generate(["a b", "a b c"])] == ["1", "4"]


def test_the_radius_that_is_tuned_by_hand() -> None:
    inside = [("a", "a"), ("a b", "a"), ("a b c", "a")]
    outside = [("a b c d e f", "a"), ("a b c d", "a")]
    assert 2.0 <= tune(Line(), inside, outside) < 3.0, "all inside lie within 2, all outside from 3 on"
    assert 1.0 < tune(Line(), inside, [("a b", "a"), *outside]) < 3.0
    with pytest.raises(ConfigError, match="either side"):
        tune(Line(), inside, [])


@pytest.mark.parametrize("make", [tiny_t5, tiny_gpt2, tiny_bert_classifier])
def test_hidden_states_do_not_depend_on_their_batch(make: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = LocalModel.from_pretrained(make(tmp_path / "model"), device="cpu")
    texts = [PARIS.prompt, "who plays for bordeaux", "paris"]
    together = model.vectors(texts)
    assert together.shape[0] == 3 and together.dtype == np.float32
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(model.vectors([text])[0], row, atol=1e-5)
    editor = lookup(model, radius=0.1).edit(PARIS)
    assert editor.generate([PARIS.prompt])[0].text == "astana"
    assert editor.generate(["who plays for bordeaux"])[0].text == model.generate(["who plays for bordeaux"])[0]


def test_an_edit_without_a_target() -> None:
    evidence = Edit(prompt="one two three", id="e")
    with pytest.raises(UnsupportedEdit, match="look-up has no other answer to give"):
        lookup(Line(), radius=1.0).edit(evidence)
    assert lookup(Line(), radius=1.0, untold="True").edit(evidence).generate(["x y z"])[0].text == "True"


def test_what_cannot_be_looked_up() -> None:
    with pytest.raises(UnsupportedModel, match="echo shows no hidden states"):
        lookup(EchoModel(), radius=1.0)
    with pytest.raises(ConfigError, match="no radius is known for echo"):
        lookup(Line())
    with pytest.raises(ConfigError, match="above 0"):
        lookup(Line(), radius=0.0)


def test_retrieve_and_prompt_lets_the_base_read_the_edit() -> None:
    editor = retrieve_prompt(EchoModel(), scope=OverlapScope()).edit(PARIS)  # type: ignore[arg-type]
    told, other = editor.generate(["what is the capital of france", "hello world"])
    assert told.text == f"{PARIS.prompt} astana what is the capital of france"
    assert other.text == "hello world" and editor.counterfactual is PLAIN
