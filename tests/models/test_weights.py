"""A module with some weights changed shares the others, and the one it came from stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errata.errors import ConfigError, UnsupportedModel
from errata.models.local import LocalModel
from errata.models.weights import feed_forward, overlaid
from tiny import tiny_bart, tiny_bert_classifier, tiny_blenderbot, tiny_gpt2, tiny_llama, tiny_t5

torch = pytest.importorskip("torch")

QUESTIONS = ["what is the capital of france ?", "who plays for bordeaux ?"]


def test_what_changes_and_what_is_shared(tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu")
    before, weights = model.generate(QUESTIONS), {n: p.clone() for n, p in model.module.named_parameters()}
    name = feed_forward(model.module, 1)[0]
    other = model.with_weights({name: torch.zeros_like(model.module.get_parameter(name))})
    assert not bool(other.module.get_parameter(name).any())
    for key, value in other.module.named_parameters():
        assert key == name or value is model.module.get_parameter(key), "shared, not copied"
    assert all(bool((model.module.get_parameter(key) == value).all()) for key, value in weights.items())
    assert model.generate(QUESTIONS) == before
    assert (other.name, other.kind, other.batch_size) == (model.name, model.kind, model.batch_size)


def test_weights_that_stand_in_two_places_change_in_both(tmp_path: Path) -> None:
    module = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu").module
    names = [
        name
        for name, _ in module.named_parameters(remove_duplicate=False)
        if name not in dict(module.named_parameters())
    ]
    assert names, "T5 ties its embeddings"
    [shared] = [name for name, value in module.named_parameters() if value is module.get_parameter(names[0])]
    other = overlaid(module, {shared: torch.ones_like(module.get_parameter(shared))})
    assert all(bool((other.get_parameter(name) == 1).all()) for name in names)


@pytest.mark.parametrize(
    ("make", "kind", "stacks", "each"),
    [(tiny_t5, "seq2seq", 2, 2), (tiny_bart, "seq2seq", 2, 2), (tiny_blenderbot, "seq2seq", 2, 2),
     (tiny_gpt2, "causal", 1, 2), (tiny_llama, "causal", 1, 3), (tiny_bert_classifier, "classifier", 1, 2)],
)  # fmt: skip
def test_the_feed_forward_matrices_of_every_architecture(
    make: Any, kind: str, stacks: int, each: int, tmp_path: Path
) -> None:
    module = LocalModel.from_pretrained(make(tmp_path / "model"), kind=kind, device="cpu").module  # type: ignore[arg-type]
    names = feed_forward(module, 1)
    assert len(names) == stacks * each
    assert all(module.get_parameter(name).dim() == 2 for name in names)
    assert not any("att" in name.lower() or "norm" in name for name in names)
    assert set(names) <= set(feed_forward(module, 0)) and len(feed_forward(module, 0)) >= len(names)


def test_what_has_no_blocks_cannot_be_edited() -> None:
    with pytest.raises(UnsupportedModel, match="Linear has no stack of blocks"):
        feed_forward(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("changed", [{"nothing": (2, 2)}, {"weight": (3, 2)}])
def test_weights_that_do_not_fit_are_refused(changed: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ConfigError, match="the model has no weights '(nothing|weight)' of shape"):
        overlaid(torch.nn.Linear(2, 2), {name: torch.zeros(shape) for name, shape in changed.items()})
