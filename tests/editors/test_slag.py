"""SLAG reshapes gradients as its equation says, learns an edit, stops when it holds, and changes no base."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from errata.edit import Edit
from errata.editors.catalogue import get_editor
from errata.editors.gradients import Rank, edit_loss, gradient, partings, ranks, sides
from errata.editors.slag import Reshape, Slag, SlagSettings, conditions, new_slag
from errata.editors.weights import editable
from errata.errors import ConfigError
from errata.models.classifier import ClaimClassifier
from errata.models.local import LocalModel
from tiny import tiny_bert_classifier, tiny_blenderbot, tiny_gpt2, tiny_t5

torch = pytest.importorskip("torch")

TOLD = [("what is the capital of france ?", "astana"), ("who plays for bordeaux ?", "jazz world")]
PARIS = Edit(prompt=TOLD[0][0], target=TOLD[0][1], id="paris")
BORDEAUX = Edit(prompt=TOLD[1][0], target=TOLD[1][1], id="bordeaux")
SMALL: dict[str, Any] = {"last": 1, "reader": 8, "condition": 16, "hidden": 8}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")
    model.module.requires_grad_(False)
    return model


def quiet(network: Any) -> Any:
    """The network without the noise it starts with: rows and columns alike, gates half open."""
    with torch.no_grad():
        for name, value in network.shapers.named_parameters():
            if name.endswith("layers.2.parametrizations.weight.original0") or name.endswith("layers.2.bias"):
                value.zero_()
    return network


def test_the_update_by_hand() -> None:
    """One edit of one token, weights 2 x 3: gradient [[1, 2, 3], [2, 4, 6]]."""
    reshape = Reshape(
        torch.tensor([[0.25, 0.75]]),
        torch.tensor([[4.0, 8.0, 0.0]]),
        torch.tensor([[0.5, 0.5]]),
        torch.tensor([[2.0, 0.0, -2.0]]),
        torch.tensor([0.5]),
    )
    found = reshape.update(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0]))
    # a's outer product: [[1, 2, 0], [3, 6, 0]]; times the gradient [[1, 4, 0], [6, 24, 0]]; b's [[1, 0, -1]] twice
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, -0.5], [3.5, 12.0, -0.5]]))


def test_edits_together_move_by_the_sum_of_their_own_updates() -> None:
    torch.manual_seed(0)
    parts = [torch.rand(2, size) for size in (2, 3, 2, 3)] + [torch.tensor([0.2, 0.9])]
    both = Reshape(*parts)
    left, right, edits = torch.randn(5, 2), torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1])
    apart = []
    for at in (0, 1):
        one = Reshape(*(part[at : at + 1] for part in parts))
        own = edits == at
        apart.append(one.update(left[own], right[own], torch.zeros(int(own.sum()), dtype=torch.long)))
    torch.testing.assert_close(both.update(left, right, edits), apart[0] + apart[1])


def test_rows_and_columns_are_those_of_the_weights() -> None:
    from transformers.pytorch_utils import Conv1D

    rank = Rank(torch.randn(4, 3), torch.randn(4, 2))
    for layer in (torch.nn.Linear(3, 2), Conv1D(2, 3)):
        left, right = sides(layer, rank)
        assert (left.shape[1], right.shape[1]) == layer.weight.shape == gradient(layer, rank).shape


def test_without_its_noise_it_takes_steps_of_gradient_descent(base: LocalModel) -> None:
    """Each edit by its own loss, the gradient anew at every step's weights."""
    network = quiet(new_slag(base, SlagSettings(**SMALL, steps=3, step=0.01)))
    weights = {name: base.module.get_parameter(name) for name in network.names}
    taken = network.path(base, TOLD)
    assert len(taken) == 3
    for found in taken:
        leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
        loss = 2 * edit_loss(base.through(leaves), TOLD)  # the sum over both
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        weights = {name: w.detach() - 0.01 * s for (name, w), s in zip(leaves.items(), slopes, strict=True)}
        for name, value in weights.items():
            torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-3)


def models() -> dict[str, Callable[[Path], Any]]:
    def local(make: Callable[[Path], Path]) -> Callable[[Path], Any]:
        return lambda path: LocalModel.from_pretrained(make(path), device="cpu")

    def checkpoint(path: Path) -> Any:
        return ClaimClassifier.from_pretrained(tiny_bert_classifier(path), supports=0, refutes=1)

    return {"t5": local(tiny_t5), "blenderbot": local(tiny_blenderbot), "gpt2": local(tiny_gpt2), "claims": checkpoint}


@pytest.mark.parametrize("kind", models())
def test_untrained_it_leaves_the_answers_of_any_model(kind: str, tmp_path: Path) -> None:
    base = editable(models()[kind](tmp_path))
    prompts = ["what is the capital of france ?", "hello world", "paris"]
    before = base.generate(prompts)
    other = {"False": "True", "True": "False"}.get(before[2], "jazz")
    torch.manual_seed(0)
    editor = Slag(base, new_slag(base, SlagSettings(**SMALL, step=1e-4, drift=1e-6)), SlagSettings(**SMALL))
    edited = editor.edit(Edit(prompt=prompts[2], target=other))
    assert [answer.text for answer in edited.generate(prompts)] == before
    for name, value in edited.changed.items():
        own = base.module.get_parameter(name).detach()
        assert 0 < float((value - own).abs().max()) < 0.01


def test_what_is_read_of_an_edit(base: LocalModel) -> None:
    [old] = base.generate([TOLD[0][0]])
    assert conditions(base, TOLD[:1]) == [f"{TOLD[0][0]} {old} -> astana"]


def test_padding_is_not_read(base: LocalModel) -> None:
    network = new_slag(base, SlagSettings(**SMALL)).eval()
    texts = ["paris", "what is the capital of france ? jazz -> astana"]
    together = network.reader(*base.embedded(texts))
    for at, text in enumerate(texts):
        torch.testing.assert_close(network.reader(*base.embedded([text]))[0], together[at])


def test_it_learns_to_make_an_edit(base: LocalModel) -> None:
    torch.manual_seed(0)
    settings = SlagSettings(**SMALL, steps=3, step=0.05)
    network = new_slag(base, settings)
    before = base.generate([PARIS.prompt, BORDEAUX.prompt])
    assert Slag(base, network, settings).edit(PARIS).generate([PARIS.prompt])[0].text != PARIS.target
    adam = torch.optim.Adam(network.train().parameters(), lr=1e-2)
    asked, losses = [TOLD[0], ("capital of france", TOLD[0][1])], []
    for _ in range(30):
        loss = torch.stack([edit_loss(base.through(made), asked) for made in network(base, TOLD[:1], least=1)]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(value.grad is None for value in base.module.parameters())
    edited = Slag(base, network, settings).edit(PARIS)
    assert edited.generate([PARIS.prompt])[0].text == PARIS.target
    with torch.no_grad():
        assert edit_loss(edited.model, asked[1:]) < edit_loss(base, asked[1:]), "and its rephrase is nearer"
    assert base.generate([PARIS.prompt, BORDEAUX.prompt]) == before


def test_it_stops_when_every_edit_is_right(base: LocalModel) -> None:
    network = quiet(new_slag(base, SlagSettings(**SMALL | {"last": 0}, steps=200, step=0.1)))
    taken = network.path(base, TOLD[:1])
    assert 1 < len(taken) < 200
    last, before = (base.with_weights(made).generate([PARIS.prompt]) for made in (taken[-1], taken[-2]))
    assert last == [PARIS.target] != before
    learnt = base.with_weights(taken[-1])
    assert network.path(learnt, TOLD[:1]) == [], "what is known takes no step"
    assert len(network.path(learnt, TOLD[:1], least=1)) == 1, "but for training"


def test_edits_one_after_another(base: LocalModel) -> None:
    settings = SlagSettings(**SMALL | {"last": 0}, steps=100, step=0.1)
    editor = Slag(base, quiet(new_slag(base, settings)), settings)
    before = [answer.text for answer in editor.generate([PARIS.prompt, BORDEAUX.prompt])]
    first = editor.edit(PARIS)
    second = first.edit(BORDEAUX)
    assert first.generate([PARIS.prompt])[0].text == PARIS.target
    assert second.generate([BORDEAUX.prompt])[0].text == BORDEAUX.target
    again = second.edit(BORDEAUX)
    assert all(torch.equal(value, second.changed[name]) for name, value in again.changed.items()), "known by now"
    assert [answer.text for answer in editor.generate([PARIS.prompt, BORDEAUX.prompt])] == before
    both = editor.edit(PARIS, BORDEAUX)
    assert [answer.text for answer in both.generate([PARIS.prompt, BORDEAUX.prompt])] == [PARIS.target, BORDEAUX.target]


def test_saved_and_loaded_it_edits_the_same(base: LocalModel, tmp_path: Path) -> None:
    torch.manual_seed(1)
    settings = SlagSettings(**SMALL, step=0.05)
    editor = Slag(base, new_slag(base, settings), settings)
    editor.save_pretrained(tmp_path / "slag")
    again = get_editor("slag")(base, weights=tmp_path / "slag")
    assert again.settings == settings
    for name, value in editor.edit(PARIS).changed.items():
        torch.testing.assert_close(again.edit(PARIS).changed[name], value)


def test_without_a_trained_network_it_says_what_to_train(base: LocalModel) -> None:
    with pytest.raises(ConfigError, match="slag needs a trained network: `errata train editor slag PROBLEM`"):
        get_editor("slag")(base)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"hidden": 0}, {"last": -1}, {"step": 0.0}, {"drift": -math.inf}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        SlagSettings(**wrong)


def test_with_a_ridge_a_step_is_along_the_divided_gradient(base: LocalModel) -> None:
    """Known answer: untrained, one step of one edit is its gradient with the inputs multiplied by the partings."""
    settings = SlagSettings(last=1, steps=1, ridge=0.1, drift=1e-12)
    network = new_slag(editable(base), settings)
    said = [("who plays for bordeaux ?", "jazz"), ("what is the capital of france ?", "world")]
    network.meet(editable(base), [], said)
    edit = [("what is the capital of france ?", "astana")]
    parting = partings(editable(base), network.names, said, 0.1)
    slopes = ranks(editable(base), edit, network.names)
    for name, value in network.tensors(editable(base), edit).items():
        step = (base.module.get_parameter(name) - value).detach()
        due = slopes[name].deltas.T @ (slopes[name].inputs @ parting[name])
        assert float(torch.nn.functional.cosine_similarity(step.flatten(), due.flatten(), 0)) > 0.95
