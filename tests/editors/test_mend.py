"""MEND starts from the gradient itself, learns to change it, and changes no base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errata.edit import Edit
from errata.editors.catalogue import get_editor
from errata.editors.gradients import edit_loss, learned, ranks
from errata.editors.mend import Mend, MendSettings, new_mend
from errata.editors.weights import editable
from errata.errors import ConfigError, ModelError
from errata.models.local import LocalModel
from errata.models.weights import Substituted
from tiny import tiny_gpt2, tiny_t5

torch = pytest.importorskip("torch")

TOLD = [("what is the capital of france ?", "astana"), ("who plays for bordeaux ?", "jazz world")]
PARIS = Edit(prompt=TOLD[0][0], target=TOLD[0][1], id="paris")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")


def moved(model: LocalModel, tensors: object) -> LocalModel:
    return LocalModel(Substituted(model.module, tensors), model.tokenizer, kind="seq2seq")  # type: ignore[arg-type]


def test_untrained_it_takes_a_step_of_gradient_descent(base: LocalModel) -> None:
    """Rank-1 identity: with the network at its start and nothing normalised, the update is the plain gradient's."""
    settings = MendSettings(last=1, rank=4, step=0.01, normalise=False)
    network = new_mend(editable(base), settings)
    found = network.tensors(base, TOLD)
    weights = [base.module.get_parameter(name) for name in network.names]
    for weight, value, slope in zip(
        weights, found.values(), torch.autograd.grad(edit_loss(base, TOLD), weights), strict=True
    ):
        torch.testing.assert_close(value, weight - 0.01 * slope, atol=1e-6, rtol=1e-3)


def test_running_mean_and_deviation_are_those_of_all_rows(base: LocalModel) -> None:
    network = new_mend(editable(base), MendSettings(last=1, rank=4))
    [transform, *_] = network.transforms.values()
    rows = torch.randn(10, transform.d_in) * 3 + 1
    transform.left.train()
    for part in (rows[:3], rows[3:4], rows[4:]):
        transform.left(part)
    transform.left.eval()
    torch.testing.assert_close(transform.left(rows), (rows - rows.mean(0)) / rows.std(0), atol=1e-4, rtol=1e-4)


def test_with_a_ridge_an_update_moves_what_it_met_least(base: LocalModel) -> None:
    """Known answer: the step is along delta times the input's product with the inverse of (moments + ridge)."""
    settings = MendSettings(last=1, rank=4, step=0.01, ridge=0.1)
    network = new_mend(editable(base), settings)
    said = [("who plays for bordeaux ?", "jazz"), ("what is the capital of france ?", "world")]
    network.meet(base, [TOLD], said)
    met, own = ranks(base, said, network.names), ranks(base, TOLD, network.names)
    for name, value in network.tensors(base, TOLD).items():
        moments = met[name].inputs.T @ met[name].inputs / len(met[name].inputs)
        ridge = 0.1 * moments.diagonal().mean() * torch.eye(len(moments))
        due = own[name].deltas.T @ torch.linalg.solve(moments + ridge, own[name].inputs.T).T
        step = (base.module.get_parameter(name) - value).detach()
        assert float(torch.nn.functional.cosine_similarity(step.flatten(), due.flatten(), 0)) > 0.999
        leaked = [
            float((met[name].inputs @ one.T).norm() / one.norm())
            for one in (step, own[name].deltas.T @ own[name].inputs)
        ]
        assert leaked[0] < leaked[1]


def test_steps_are_made_until_the_edit_is_learned_and_no_further(base: LocalModel) -> None:
    def network(steps: int) -> Any:
        return new_mend(editable(base), MendSettings(last=0, rank=4, step=0.05, normalise=False, steps=steps))

    once, often, more = (Mend(base, network(steps), MendSettings(steps=steps)) for steps in (1, 40, 80))
    assert not learned(once.edit(PARIS).model, TOLD[:1])
    assert learned(often.edit(PARIS).model, TOLD[:1])
    for name, value in often.edit(PARIS).changed.items():
        torch.testing.assert_close(more.edit(PARIS).changed[name], value)


def test_it_learns_an_edit_and_its_rephrase(base: LocalModel) -> None:
    torch.manual_seed(0)
    settings = MendSettings(last=1, rank=8, step=0.02, normalise=False)
    network = new_mend(editable(base), settings).train()
    rephrased = [("capital of france", TOLD[0][1])]
    adam = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = edit_loss(moved(base, network.tensors(base, TOLD[:1])), [*rephrased, TOLD[0]])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    before = base.generate([PARIS.prompt])
    edited = Mend(base, network, settings).edit(PARIS)
    assert [answer.text for answer in edited.generate([PARIS.prompt, "capital of france"])] == ["astana"] * 2
    assert base.generate([PARIS.prompt]) == before


def test_saved_and_loaded_it_edits_the_same(base: LocalModel, tmp_path: Path) -> None:
    torch.manual_seed(1)
    settings = MendSettings(last=1, rank=4, step=0.05)
    network = new_mend(editable(base), settings).train()
    network.tensors(base, TOLD)
    editor = Mend(base, network, settings)
    editor.save_pretrained(tmp_path / "mend")
    again = Mend.from_pretrained(tmp_path / "mend", base)
    for name, value in editor.edit(PARIS).changed.items():
        torch.testing.assert_close(again.edit(PARIS).changed[name], value)
    other = LocalModel.from_pretrained(tiny_gpt2(tmp_path / "gpt2"), device="cpu", name="other")
    with pytest.raises(ModelError, match="was trained for another base than other"):
        Mend.from_pretrained(tmp_path / "mend", other)
    with pytest.raises(ModelError, match="holds no trained mend network"):
        Mend.from_pretrained(tmp_path, base)


def test_without_a_trained_network_it_says_what_to_train(base: LocalModel) -> None:
    with pytest.raises(ConfigError, match="mend needs a trained network: `errata train editor mend PROBLEM`"):
        get_editor("mend")(base)


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="rank, step and steps must be above 0"):
        MendSettings(rank=0)
