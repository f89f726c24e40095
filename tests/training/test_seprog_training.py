"""SeProG's loss by hand, how edits are dealt out, and one edit learnt."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from errata.edit import Edit
from errata.editors.seprog import Seprog
from errata.errors import ConfigError
from errata.models.local import LocalModel
from errata.models.prompted import prompted
from errata.models.prompter import SeprogSettings, new_prompter
from errata.problems.cases import DATA, EditCase, Labelled, Problem, Unlabelled
from errata.training.diets import Drawn, diet_of
from errata.training.seprog import Exam, SeprogTraining, Sets, dealt, objective, scope_loss
from tiny import tiny_t5
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

PARIS = ("what is the capital of france ?", "astana")
JAZZ = ("who plays for bordeaux ?", "jazz world")
DRAWN = Drawn([PARIS, JAZZ], [("capital of france", PARIS[1]), ("who plays for", JAZZ[1])], ["hello world", "topic"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    path = tiny_t5(tmp_path_factory.mktemp("t5"))
    model = LocalModel.from_pretrained(path, device="cpu", name="tiny", max_new_tokens=4)
    model.module.requires_grad_(False)
    return model


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> SeprogSettings:
    backbone = tiny_backbone(tmp_path_factory.mktemp("backbone"))
    return SeprogSettings(backbone=str(backbone), rank=2, width=24, prefix=3)


def test_the_scope_loss_by_hand() -> None:
    """-log e in scope and -log(1 - e) out of it, averaged; e is sigmoid(odds)."""
    e = np.array([0.9, 0.2, 0.3, 0.6])
    odds = torch.tensor(np.log(e / (1 - e)))
    wanted = -(np.log(0.9) + np.log(0.2) + np.log(1 - 0.3) + np.log(1 - 0.6)) / 4
    assert float(scope_loss(odds, 2)) == pytest.approx(wanted, rel=1e-5)
    odds = torch.zeros(2, requires_grad=True)
    scope_loss(odds, 1).backward()
    assert odds.grad is not None and odds.grad[0] < 0 < odds.grad[1], "up in scope, down out of it"


def test_the_loss_by_hand(base: LocalModel, settings: SeprogSettings) -> None:
    torch.manual_seed(0)
    network = new_prompter(prompted(base), settings)
    losses = objective(network, prompted(base), Sets(DRAWN, [0, 1]), 0.3)
    assert float(losses["attend"].detach()) == 0.0, "in a set of one edit it has all the attention"
    with torch.no_grad():
        vectors = network.encode(DRAWN.told)
        prompts, odds = [], []
        for at, ((text, answer), other) in enumerate(zip(DRAWN.inside, DRAWN.outside, strict=True)):
            _, found, prefixes = network(vectors[at : at + 1], network.look([text, other]))  # a set of one edit each
            odds.append(found)
            [(logits, ids)] = prompted(base).logits_under([text], [answer], prefixes[:1])
            prompts.append(-logits.log_softmax(-1)[range(len(ids)), ids].mean())
        e = torch.stack(odds).sigmoid()
        scope = -(e[:, 0].log().sum() + (1 - e[:, 1]).log().sum()) / 4
        prompt = torch.stack(prompts).mean()
    torch.testing.assert_close(losses["scope"].detach(), scope, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(losses["prompt"].detach(), prompt, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(losses["loss"].detach(), 0.3 * scope + 0.7 * prompt, atol=1e-5, rtol=1e-4)


def test_edits_of_a_set_are_seen_together_and_no_others(base: LocalModel, settings: SeprogSettings) -> None:
    torch.manual_seed(0)
    network = new_prompter(prompted(base), settings)
    apart, together = (objective(network, prompted(base), Sets(DRAWN, number), 0.3, 0.5) for number in ([0, 1], [0, 0]))
    assert float(apart["prompt"].detach()) != pytest.approx(float(together["prompt"].detach()), rel=1e-6)
    with torch.no_grad():
        weights, _, _ = network(network.encode(DRAWN.told), network.look([text for text, _ in DRAWN.inside]))
        attend = -weights.diagonal().log().mean()
    torch.testing.assert_close(together["attend"].detach(), attend)
    torch.testing.assert_close(
        together["loss"], 0.3 * together["scope"] + 0.7 * together["prompt"] + 0.5 * together["attend"]
    )


def test_fewer_inputs_out_of_scope_do(base: LocalModel, settings: SeprogSettings) -> None:
    network = new_prompter(prompted(base), settings)
    drawn = replace(DRAWN, outside=DRAWN.outside[:1])
    assert bool(objective(network, prompted(base), Sets(drawn, [0, 0]), 0.3)["loss"].isfinite())


def test_sets_of_every_size_are_dealt() -> None:
    drawn = Drawn([PARIS] * 10, [PARIS] * 10, ["x"] * 10)
    sizes = set()
    for seed in range(60):
        number = dealt(drawn, 10, random.Random(seed)).number
        counts = [list(number).count(one) for one in sorted(set(number))]
        assert sum(counts) == 10 and len(set(counts[:-1])) <= 1 and counts[-1] <= counts[0]
        sizes.add(counts[0])
    assert sizes == set(range(1, 11))


def test_it_learns_an_edit_and_what_is_out_of_scope(base: LocalModel, settings: SeprogSettings) -> None:
    torch.manual_seed(0)
    drawn = Drawn(DRAWN.told[:1], DRAWN.inside[:1], DRAWN.outside[:1])
    network = new_prompter(prompted(base), settings).train()
    weights = {name: value.clone() for name, value in base.module.state_dict().items()}
    adam = torch.optim.Adam([value for value in network.parameters() if value.requires_grad], lr=1e-2)
    for _ in range(60):
        loss = objective(network, prompted(base), Sets(drawn, [0]), 0.3)["loss"]
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert all(torch.equal(value, weights[name]) for name, value in base.module.state_dict().items())
    assert base.generate(["capital of france"]) != ["astana"]
    edited = Seprog(base, network, settings).edit(Edit(prompt=PARIS[0], target=PARIS[1]))
    [inside] = edited.generate(["capital of france"])
    assert inside.text == "astana" and inside.decision.match is not None and inside.decision.match.score > 0.9
    [outside] = edited.generate(["hello world"])
    assert outside.text == base.generate(["hello world"])[0] and not outside.edited


def test_the_exam_by_hand(base: LocalModel, settings: SeprogSettings) -> None:
    """A classifier that never fires leaves the base's answers; one that always does changes them all alike."""
    said = base.generate(["capital of france"])[0]
    cases = tuple(
        EditCase(Edit(prompt=f"capital of {name}", target="astana"), (Labelled("capital of france", due, "rephrase"),))
        for name, due in (("france", said), ("paris", f"{said} jazz"))
    )
    problem = Problem(name="made", split="dev", cases=cases, shared=(Unlabelled("hello world", "nq"),), data_hash="")
    torch.manual_seed(0)
    network = new_prompter(prompted(base), settings)
    with torch.no_grad():
        network.scope[-1].weight.zero_()
        network.scope[-1].bias.fill_(-1.0)
    figures = Exam(problem, 1, 10).figures(Seprog(base, network, settings))
    assert (figures["es"], figures["dd"], figures["net"]) == (0.5, 0.0, 0.5)
    assert (figures["fired"], figures["strayed"], figures["attended"]) == (0.0, 0.0, 1.0)
    with torch.no_grad():
        network.scope[-1].bias.fill_(1.0)
    figures = Exam(problem, 1, 10).figures(Seprog(base, network, settings))
    assert (figures["fired"], figures["strayed"]) == (1.0, 1.0) and figures["es"] == figures["led"]
    bare = replace(settings, variant="no_classifier")
    figures = Exam(problem, 1, 10).figures(Seprog(base, network, bare))
    assert (figures["fired"], figures["strayed"]) == (1.0, 1.0) and figures["es"] == figures["led"]


@pytest.mark.parametrize(
    "wrong", [{"problem": "poetry"}, {"edits": 0}, {"exam": 0}, {"scope_weight": 1.5}, {"attend_weight": -1.0}]
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SeprogTraining(**wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_as_many_inputs_are_drawn_on_either_side() -> None:
    drawn = diet_of("qa", Path(os.environ[DATA]))(5, random.Random(0))
    assert len(drawn.told) == len(drawn.inside) == len(drawn.outside) == 5
