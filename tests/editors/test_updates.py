"""Updates in factors are the updates of the weights: the same answers, the same gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from errata.editors.enn import EnnSettings, new_enn
from errata.editors.gradients import Rank, edit_loss
from errata.editors.mend import MendSettings, new_mend
from errata.editors.updates import Updates, packed, under
from errata.editors.weights import editable
from errata.models.local import LocalModel
from tiny import tiny_gpt2, tiny_t5

torch = pytest.importorskip("torch")

SETS = [
    [("what is the capital of france ?", "astana"), ("who plays for bordeaux ?", "jazz world")],
    [("is paris the capital ?", "true"), ("hello world", "a fact")],
]
ASKED = [("capital of france", "paris"), ("hello", "true answer"), ("topic", "jazz")]
"""The first and the last of them are asked under the first set."""


@pytest.fixture(scope="module", params=[tiny_t5, tiny_gpt2])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place: Callable[[Path], Path] = request.param
    model = LocalModel.from_pretrained(place(tmp_path_factory.mktemp("base")), device="cpu", name="tiny")
    model.module.requires_grad_(False)
    return editable(model)


def network_of(base: Any, editor: str) -> Any:
    torch.manual_seed(0)
    if editor == "enn":
        return new_enn(base, EnnSettings(last=1, step=0.3)).train()
    network = new_mend(base, MendSettings(last=1, rank=3, step=0.3, normalise=False)).train()
    for name, value in network.named_parameters():  # far from the identity
        value.data += 0.1 * torch.randn_like(value) * (name != "log_steps")
    return network


def rows(model: Any, asked: list[tuple[str, str]]) -> list[Any]:
    return [logits for logits, _ in model.logits([text for text, _ in asked], [answer for _, answer in asked])]


def before(base: Any, network: Any) -> Any:
    return base.through(network.before()) if hasattr(network, "before") else base


@pytest.mark.parametrize("editor", ["mend", "enn"])
def test_each_row_sees_the_weights_of_its_set(base: Any, editor: str) -> None:
    network = network_of(base, editor)
    untouched = rows(base, ASKED)
    sets = torch.tensor([0, 1, 0])
    updates = {name: update.of(sets) for name, update in network(base, SETS).items()}
    with under(base, updates):
        found = rows(before(base, network), ASKED)
    for at, number in enumerate(sets.tolist()):
        [wanted] = rows(base.through(network.tensors(base, SETS[number])), ASKED[at : at + 1])
        torch.testing.assert_close(found[at], wanted, rtol=1e-4, atol=1e-5)
        assert float((wanted - untouched[at]).detach().abs().max()) > 1e-3, "the update is no small thing"
    torch.testing.assert_close(rows(base, ASKED), untouched, msg="no update is left behind")


@pytest.mark.parametrize("editor", ["mend", "enn"])
def test_the_gradients_are_those_of_the_weights_themselves(base: Any, editor: str) -> None:
    def slopes(loss: Any, network: Any) -> list[Any]:
        network.zero_grad()
        loss.backward()
        return [value.grad.clone() for value in network.parameters() if value.grad is not None]

    network = network_of(base, editor)
    updates = {name: update.of(torch.tensor([0])) for name, update in network(base, SETS[:1]).items()}
    with under(base, updates):
        fast = edit_loss(before(base, network), ASKED[:1])
    ours = slopes(fast, network)
    theirs = slopes(edit_loss(base.through(network.tensors(base, SETS[0])), ASKED[:1]), network)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_sets_of_unlike_length_are_padded_with_nothing() -> None:
    rank = Rank(torch.arange(6.0).view(3, 2), torch.ones(3, 1), torch.tensor([0, 2, 2]))
    found = packed(rank, [1, 2])
    assert found.inputs.tolist() == [[[0, 1], [0, 0]], [[2, 3], [4, 5]]]
    assert found.deltas.tolist() == [[[1], [0]], [[1], [1]]]
    again = found.of(torch.tensor([1, 0, 1]))
    assert isinstance(again, Updates) and again.inputs.shape == (3, 2, 2)
    with pytest.raises(ValueError, match="which edit"):
        packed(Rank(rank.inputs, rank.deltas), [1, 2])
