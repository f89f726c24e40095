"""An editor that learns to edit: its objective by hand, and a few steps on a tiny model."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path

import numpy as np
import pytest

from errata.edit import Edit
from errata.editors.mend import MendSettings, new_mend
from errata.editors.weights import editable
from errata.errors import ConfigError, ModelError
from errata.models.local import LocalModel
from errata.models.weights import feed_forward
from errata.problems.cases import DATA, EditCase, Labelled, Problem, Unlabelled
from errata.training.diets import Drawn, diet_of
from errata.training.editing import (
    FACTORS,
    Examiner,
    MendTraining,
    Trial,
    divergence,
    losses_of,
    objective,
    set_steps,
    trials_of,
)
from tiny import tiny_t5

torch = pytest.importorskip("torch")

ASKED = [("who plays for bordeaux ?", "jazz world"), ("hello world", "a fact")]
TRIAL = Trial([("what is the capital of france ?", "astana")], [("capital of france", "astana")], ASKED)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    model = LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="tiny")
    model.module.requires_grad_(False)
    return model


def test_the_divergence_is_that_of_the_distributions(base: LocalModel) -> None:
    [name, *_] = feed_forward(base.module, 1)
    other = base.with_weights({name: base.module.get_parameter(name) * 2})
    texts, answers = zip(*ASKED, strict=True)
    before, after = (np.concatenate(model.token_log_probs(texts, answers)) for model in (base, other))
    wanted = (np.exp(before) * (before - after)).sum(-1).mean()
    assert float(divergence(base, other, ASKED)) == pytest.approx(wanted, rel=1e-4)
    assert float(divergence(base, base, ASKED)) == pytest.approx(0, abs=1e-6)


def test_the_objective_weighs_its_terms_and_reaches_the_network(base: LocalModel) -> None:
    network = new_mend(editable(base), MendSettings(last=1, rank=2, step=0.1, normalise=False))
    losses = objective(base, network(base, [TRIAL.told]), [TRIAL], 0.5)
    assert float(losses["loss"].detach()) == pytest.approx(
        float((0.5 * losses["edit"] + losses["kept"]).detach()), rel=1e-5
    )
    losses["loss"].backward()
    assert network.log_steps.grad is not None and bool((network.log_steps.grad != 0).all())
    assert all(value.grad is None for value in base.module.parameters())


def test_the_exam_by_hand(base: LocalModel) -> None:
    """A network that changes nothing has the success that the base has, and no drawdown."""
    first = base.generate(["capital of france"])[0]
    cases = tuple(
        EditCase(
            Edit(prompt=f"capital of {name}", target="astana"), (Labelled("capital of france", answer, "rephrase"),)
        )
        for name, answer in (("france", first), ("paris", f"{first} jazz"))
    )
    problem = Problem(name="made", split="dev", cases=cases, shared=(Unlabelled("hello world", "nq"),), data_hash="")

    class Nothing:
        @staticmethod
        def tensors(model: object, told: object) -> dict[str, object]:
            return {}

    assert Examiner(base, problem, 1, 10).figures(Nothing()) == {"es": 0.5, "dd": 0.0, "net": 0.5}


def test_other_edits_are_not_those_of_the_trial(base: LocalModel) -> None:
    told = [("what is the capital of france ?", "astana"), ("who plays for bordeaux ?", "jazz")]
    batches = iter([Drawn(told[:1], [("capital of france", "astana")], ["hello world"]), Drawn(told, told, [])])
    [trial] = trials_of(base, lambda count, source: next(batches), 1, 1, random.Random(0), others=True)
    assert [text for text, _ in trial.others] == ["who plays for bordeaux ?"]


@pytest.mark.parametrize("wrong", [{"problem": "poetry"}, {"edits": 0}, {"exam": 0}])
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        MendTraining(**wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_edits_are_drawn_with_an_input_on_either_side() -> None:
    drawn = diet_of("qa_hard", Path(os.environ[DATA]))(10, random.Random(0))
    told, inside, outside = drawn.told, drawn.inside, drawn.outside
    assert len({prompt for prompt, _ in told}) == len(inside) == len(outside) == 10
    assert all(target and answer for (_, target), (_, answer) in zip(told, inside, strict=True))
    assert not {text for text, _ in inside} & set(outside)


def test_step_sizes_begin_where_the_untrained_network_does_best(base: LocalModel) -> None:
    """From far too small a step: of all that are tried, the one with the least loss."""
    settings = MendTraining(edits=1, edit_weight=5.0)
    network = new_mend(editable(base), MendSettings(last=1, rank=2, step=1e-3, normalise=False))
    set_steps(settings, base, network, [TRIAL])
    chosen = network.log_steps.detach().clone()
    losses = []
    for factor in FACTORS:
        with torch.no_grad():
            network.log_steps.fill_(math.log(1e-3 * factor))
        losses.append(float(losses_of(settings, base, network, [TRIAL])["loss"].detach()))
    best = FACTORS[losses.index(min(losses))]
    assert best != 1.0
    torch.testing.assert_close(chosen, torch.full_like(chosen, math.log(1e-3 * best)))


def test_a_base_that_says_nothing_is_an_error_and_no_endless_search(base: LocalModel) -> None:
    class Silent:
        name = "silent"

        def generate(self, prompts: list[str]) -> list[str]:
            return [""] * len(prompts)

    def diet(count: int, source: random.Random) -> Drawn:
        return Drawn([("who ?", "astana")] * count, [("who", "astana")] * count, ["hello world"])

    with pytest.raises(ModelError, match="silent says nothing to any input out of scope"):
        trials_of(Silent(), diet, 1, 2, random.Random(0))  # type: ignore[arg-type]
