"""SLAG's objective: its terms by hand, added up over the steps, and what the settings leave out."""

from __future__ import annotations

from typing import Any

import pytest

from errata.editors.gradients import edit_loss
from errata.editors.slag import SlagSettings, new_slag
from errata.errors import ConfigError
from errata.models.local import LocalModel
from errata.training.editing import SlagTraining, Trial, divergence
from errata.training.slag import slag_losses
from tiny import tiny_t5

torch = pytest.importorskip("torch")

TOLD = [("what is the capital of france ?", "astana"), ("who plays for bordeaux ?", "jazz world")]
INSIDE = [("capital of france", "astana"), ("who plays bordeaux ?", "jazz world")]
TRIAL = Trial(TOLD, INSIDE, [("hello world", "a fact"), ("jazz topic", "true")], others=[("paris ?", "false answer")])
SMALL = SlagSettings(last=1, steps=2, reader=4, condition=8, hidden=8, step=0.05)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")
    model.module.requires_grad_(False)
    return model


def network_of(base: LocalModel) -> Any:
    torch.manual_seed(0)
    return new_slag(base, SMALL)


def test_the_terms_are_weighed_and_added_up_over_the_steps(base: LocalModel) -> None:
    settings = SlagTraining(told_weight=2.0, edit_weight=1.0, kept_weight=4.0, other_weight=1.0, network=SMALL)
    network = network_of(base)
    losses = slag_losses(network, base, TRIAL, settings)
    wanted, kept = [], []
    for weights in network.path(base, TOLD, least=1):
        moved = base.through(weights)
        kept.append(divergence(base, moved, TRIAL.outside))
        wanted.append(
            (2 * edit_loss(moved, TOLD) + edit_loss(moved, INSIDE) + 4 * kept[-1]
             + divergence(base, moved, TRIAL.others)) / 8
        )  # fmt: skip
    assert len(wanted) == 2
    torch.testing.assert_close(losses["loss"], wanted[0] + wanted[1])
    torch.testing.assert_close(losses["kept"], (kept[0] + kept[1]) / 2)
    losses["loss"].backward()
    assert all(value.grad is not None and bool(value.grad.any()) for value in network.parameters())
    assert all(value.grad is None for value in base.module.parameters())


def test_a_term_without_weight_is_left_out(base: LocalModel) -> None:
    settings = SlagTraining(told_weight=3.0, edit_weight=0.0, kept_weight=0.0, other_weight=0.0, network=SMALL)
    losses = slag_losses(network_of(base), base, TRIAL, settings)
    assert set(losses) == {"loss", "told"}
    torch.testing.assert_close(losses["loss"], 2 * losses["told"])  # two steps


def test_one_after_another_each_edit_starts_where_the_last_left(base: LocalModel) -> None:
    settings = SlagTraining(edit_weight=0.0, kept_weight=0.0, other_weight=0.0, successive=True, network=SMALL)
    network = network_of(base)
    losses = slag_losses(network, base, TRIAL, settings)
    now, wanted = base, []
    for told in TOLD:
        path = network.path(now, [told], least=1)
        wanted += [edit_loss(base.through(weights), [told]) for weights in path]
        now = base.with_weights({name: value.detach() for name, value in path[-1].items()})
    torch.testing.assert_close(losses["loss"], torch.stack(wanted).sum())


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="told_weight must be above 0"):
        SlagTraining(told_weight=0.0)
    with pytest.raises(ConfigError, match="edits and exam must be 1 or more"):
        SlagTraining(edits=0)
