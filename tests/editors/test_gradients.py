"""The factors of a gradient, put together, are the gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errata.editors.gradients import edit_loss, gradient, ranks
from errata.models.local import LocalModel
from errata.models.weights import Substituted, feed_forward
from tiny import tiny_bert_classifier, tiny_blenderbot, tiny_gpt2, tiny_llama, tiny_t5

torch = pytest.importorskip("torch")

TOLD = [("what is the capital of france ?", "astana"), ("who plays for bordeaux , hello world ?", "jazz world a")]
LABELS = [("what is the capital of france ?", "SUPPORTS"), ("who plays for bordeaux , hello world ?", "REFUTES")]


@pytest.mark.parametrize(
    ("make", "told"),
    [(tiny_t5, TOLD), (tiny_blenderbot, TOLD), (tiny_gpt2, TOLD), (tiny_llama, TOLD), (tiny_bert_classifier, LABELS)],
)
def test_the_factors_make_the_gradient(make: Any, told: list[tuple[str, str]], tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(make(tmp_path / "model"), device="cpu")
    model.module.eval()
    names = feed_forward(model.module, 2)
    factors = ranks(model, told, names)
    assert not any(value.grad is not None for value in model.module.parameters())
    weights = [model.module.get_parameter(name) for name in names]
    exact = torch.autograd.grad(edit_loss(model, told), weights)
    for name, wanted in zip(names, exact, strict=True):
        made = gradient(model.module.get_submodule(name.rpartition(".")[0]), factors[name])
        torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-3)
        assert bool((factors[name].deltas != 0).any(-1).all()), "no row is padding"


def test_a_frozen_model_has_them_too(tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu")
    names = feed_forward(model.module, 1)
    open_ = ranks(model, TOLD, names)
    model.module.requires_grad_(False)
    for name, rank in ranks(model, TOLD, names).items():
        torch.testing.assert_close(rank.deltas, open_[name].deltas)


def test_gradients_flow_through_tensors_that_stand_in_for_weights(tmp_path: Path) -> None:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu")
    [name, *_] = feed_forward(model.module, 1)
    step = torch.tensor(0.5, requires_grad=True)
    direction = torch.ones_like(model.module.get_parameter(name))
    moved = LocalModel(
        Substituted(model.module, {name: model.module.get_parameter(name).detach() + step * direction}),
        model.tokenizer,
        kind="seq2seq",
    )
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(edit_loss(moved, TOLD), step)
    losses = []
    for at in (0.499, 0.501):
        other = model.with_weights({name: model.module.get_parameter(name) + at * direction})
        with torch.no_grad():
            losses.append(float(edit_loss(other, TOLD)))
    assert float(slope) == pytest.approx((losses[1] - losses[0]) / 0.002, rel=0.02, abs=1e-3)
