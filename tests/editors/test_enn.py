"""ENN edits by gradient descent, and its training sees through the step."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.edit import Edit
from errata.editors.enn import Enn, EnnSettings, new_enn
from errata.editors.gradients import edit_loss, learned, partings
from errata.editors.weights import editable
from errata.errors import ConfigError
from errata.models.local import LocalModel
from tiny import tiny_t5

torch = pytest.importorskip("torch")

TOLD = [("what is the capital of france ?", "astana")]
OTHER = [("who plays for bordeaux ?", "jazz world")]
PARIS = Edit(prompt=TOLD[0][0], target=TOLD[0][1], id="paris")
BORDEAUX = Edit(prompt=OTHER[0][0], target=OTHER[0][1], id="bordeaux")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")
    model.module.requires_grad_(False)
    return model


def test_an_edit_is_a_step_of_gradient_descent(base: LocalModel) -> None:
    network = new_enn(editable(base), EnnSettings(last=1, step=0.5)).eval()
    found = network.tensors(base, TOLD)
    weights = [base.module.get_parameter(name).clone().requires_grad_() for name in network.names]
    loss = edit_loss(base.through(dict(zip(network.names, weights, strict=True))), TOLD)
    for weight, value, slope in zip(weights, found.values(), torch.autograd.grad(loss, weights), strict=True):
        torch.testing.assert_close(value, weight - 0.5 * slope)


def test_with_a_ridge_a_step_takes_out_what_other_inputs_share_and_stops_when_the_edit_is_learnt(
    base: LocalModel,
) -> None:
    network = new_enn(editable(base), EnnSettings(last=1, step=0.5, ridge=0.1)).eval()
    network.meet(editable(base), [TOLD], OTHER)
    shares = partings(editable(base), network.names, OTHER, 0.1)
    weights = [base.module.get_parameter(name).clone().requires_grad_() for name in network.names]
    slopes = torch.autograd.grad(edit_loss(base.through(dict(zip(network.names, weights, strict=True))), TOLD), weights)
    found = network.tensors(base, TOLD)
    updates = network(editable(base), [TOLD])
    for name, weight, slope in zip(network.names, weights, slopes, strict=True):
        torch.testing.assert_close(found[name], weight - 0.5 * slope @ shares[name], rtol=1e-4, atol=1e-6)
        whole = updates[name].inputs[0], updates[name].deltas[0]
        torch.testing.assert_close(whole[1].T @ whole[0], 0.5 * slope @ shares[name], rtol=1e-4, atol=1e-6)
    many = new_enn(editable(base), EnnSettings(last=0, step=0.5, ridge=0.1, steps=60)).eval()
    many.meet(editable(base), [TOLD], OTHER)
    assert learned(editable(base).with_weights(many.tensors(base, TOLD)), TOLD)
    more = new_enn(editable(base), EnnSettings(last=0, step=0.5, ridge=0.1, steps=120)).eval()
    more.meet(editable(base), [TOLD], OTHER)
    name = many.names[0]
    assert torch.equal(many.tensors(base, TOLD)[name], more.tensors(base, TOLD)[name]), "no step after it is learnt"


def test_the_outer_gradient_is_that_of_finite_differences(base: LocalModel) -> None:
    """Of the loss after the step, in a step size and in a weight: the second needs second derivatives."""
    network = new_enn(editable(base), EnnSettings(last=1, step=0.5)).train()

    def loss() -> torch.Tensor:
        return edit_loss(base.through(network.tensors(base, TOLD)), OTHER)

    exact_step, exact_weight = torch.autograd.grad(loss(), [network.log_steps, network.weights[0]])
    at = divmod(int(exact_weight.abs().argmax()), exact_weight.shape[1])
    for value, place, exact in ((network.log_steps, (0,), exact_step[0]), (network.weights[0], at, exact_weight[at])):
        around = []
        for move in (-2e-3, 2e-3):
            with torch.no_grad():
                value[place] += move
                around.append(float(loss()))
                value[place] -= move
        assert float(exact) == pytest.approx((around[1] - around[0]) / 4e-3, rel=0.05, abs=2e-4)


def test_edits_add_up_and_leave_the_editor_they_came_from(base: LocalModel) -> None:
    network = new_enn(editable(base), EnnSettings(last=0, steps=40, step=0.5))
    editor = Enn(base, network, EnnSettings(last=0, steps=40, step=0.5))
    before = [answer.text for answer in editor.generate([PARIS.prompt, BORDEAUX.prompt])]
    assert before == base.generate([PARIS.prompt, BORDEAUX.prompt]), "untrained, it has the base's weights"
    first = editor.edit(PARIS)
    assert first.generate([PARIS.prompt])[0].text == PARIS.target
    second = first.edit(BORDEAUX)
    assert second.generate([BORDEAUX.prompt])[0].text == BORDEAUX.target
    one, two = first.changed[network.names[0]], second.changed[network.names[0]]
    assert not torch.equal(one, two) and first.generate([PARIS.prompt])[0].text == PARIS.target
    assert [answer.text for answer in editor.generate([PARIS.prompt, BORDEAUX.prompt])] == before


def test_saved_and_loaded_it_has_its_own_weights(base: LocalModel, tmp_path: Path) -> None:
    settings = EnnSettings(last=1)
    network = new_enn(editable(base), settings)
    with torch.no_grad():
        network.weights[0].mul_(2)
    Enn(base, network, settings).save_pretrained(tmp_path)
    again = Enn.from_pretrained(tmp_path, base)
    found = again.model.module.get_parameter(network.names[0])
    torch.testing.assert_close(found, 2 * base.module.get_parameter(network.names[0]))
    assert again.base.generate([PARIS.prompt]) == base.generate([PARIS.prompt]), "drawdown counts from the base"


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="steps and step must be above 0"):
        EnnSettings(step=0)
