"""Batches, labels and losses of the scope networks, on groups made by hand and a tiny backbone."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from errata.errors import ConfigError, ModelError
from errata.models.network import KINDS, NetworkConfig, load_network, load_weights, new_network, save_network
from errata.models.text import Texts
from errata.training.dev import DevPair, dev_figures, platt
from errata.training.duals import dual_batch, dual_loss
from errata.training.group import Group, Inside
from errata.training.pairs import locate, pair_batch, pair_loss, pair_scores
from errata.training.scope import DUAL, PAIR, ScopeSettings
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

CAPITAL = Group(
    "what is the capital of france?", "paris", (Inside("capital of france?", "span", "paris"),),
    ("who is the capital?",), "made up", "capital|france",
)  # fmt: skip
VERDICT = Group(
    "what is paris?", "the capital of france", (Inside("paris is the capital", "true"), Inside("x is", "false")),
    ("who is it?", "what?"), "made up", "what|paris",
)  # fmt: skip
SILENT = Group("topic paris", "", (Inside("what of paris?", "none"),), ("who?",), "made up", "topic|paris")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def texts(backbone: Path) -> Texts:
    return Texts(backbone)


def settings(default: ScopeSettings, backbone: Path) -> ScopeSettings:
    return replace(default, network=replace(default.network, backbone=str(backbone), rank=2))


def test_an_answer_is_located_in_the_target_before_the_prompt(texts: Texts) -> None:
    triple = ("who", "paris is it", "paris the capital")
    _, (spans,) = texts.pairs([triple])
    found = locate("paris", triple[1], triple[2], spans)
    assert found is not None and spans.offsets[found[0] - spans.first][0] == 1
    assert locate("capital", triple[1], triple[2], spans) is not None
    assert locate("Rome", triple[1], triple[2], spans) is None
    assert locate("", triple[1], triple[2], spans) is None


def test_a_located_answer_reads_back_as_it_was(texts: Texts) -> None:
    triple = ("who", "what is it?", "the capital of france")
    _, (spans,) = texts.pairs([triple])
    found = locate("capital of", triple[1], triple[2], spans)
    assert found is not None
    first, last = (spans.offsets[at - spans.first] for at in found)
    assert triple[2][first[1] : last[2]] == "capital of"


def test_pair_labels_say_what_is_inside_and_how_it_is_answered(texts: Texts, backbone: Path) -> None:
    groups = [CAPITAL, VERDICT, SILENT]
    chunks, labels, kinds, starts, _ = pair_batch(groups, texts, settings(PAIR, backbone), random.Random(0))
    assert sum(len(ids) for ids, _, _ in chunks) == len(labels)
    assert int(labels.sum()) == 4  # one, two and one input inside
    assert sorted(kinds[labels == 1].tolist()) == [-100, 0, 1, 2]
    assert (kinds[labels == 0] == -100).all() and int((starts >= 0).sum()) == 1


def test_a_stranger_of_the_same_scope_is_no_negative(texts: Texts, backbone: Path) -> None:
    twin = replace(CAPITAL, prompt="france has which capital?")
    _, labels, *_ = pair_batch([CAPITAL, twin], texts, settings(PAIR, backbone), random.Random(0))
    assert int((labels == 0).sum()) == 2  # only what each group says is outside


def test_dual_labels_of_other_edits_rivals_and_twins(texts: Texts, backbone: Path) -> None:
    twin = replace(CAPITAL, prompt="france has which capital?", outside=())
    _, _, labels, owners = dual_batch([CAPITAL, VERDICT, twin], texts, settings(DUAL, backbone), random.Random(0))
    # edits: CAPITAL, VERDICT, twin, then a rival of each group that has an outside
    inside = [row for row, owner in enumerate(owners.tolist()) if owner == 0]
    assert labels[inside[0], :3].tolist() == [1, 0, 1]
    outside = [row for row, owner in enumerate(owners.tolist()) if owner == -1][0]
    assert labels[outside, 0] == 0 and -1 in labels[outside, 3:].tolist()


def test_the_diagonal_alone_is_an_option(texts: Texts, backbone: Path) -> None:
    chosen = replace(settings(DUAL, backbone), all_negatives=False)
    _, _, labels, _ = dual_batch([CAPITAL, VERDICT], texts, chosen, random.Random(0))
    assert set(labels[:, :2].flatten().tolist()) == {1.0, 0.0, -1.0}


@pytest.mark.parametrize("shape", ["pair", "dual"])
def test_a_few_steps_lower_the_loss(shape: str, texts: Texts, backbone: Path) -> None:
    default, make, loss_of = (PAIR, pair_batch, pair_loss) if shape == "pair" else (DUAL, dual_batch, dual_loss)
    chosen = settings(default, backbone)
    torch.manual_seed(0)
    module = new_network(chosen.network)
    optimizer = torch.optim.Adam([value for value in module.parameters() if value.requires_grad], 5e-3)
    batch = make([CAPITAL, VERDICT, SILENT], texts, chosen, random.Random(0))
    losses = []
    for _ in range(30):
        loss = loss_of(module, batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_scores_are_in_the_order_of_the_pairs(texts: Texts, backbone: Path) -> None:
    module = new_network(settings(PAIR, backbone).network).eval()
    pairs = [("who is it? " * n, "what is paris?", "the capital") for n in (9, 1, 4)]
    alone = [float(pair_scores(module, texts, [pair])[0]) for pair in pairs]
    assert pair_scores(module, texts, pairs).tolist() == pytest.approx(alone, abs=1e-5)


def test_platt_scaling_finds_the_slope_and_shift_that_were_put_in() -> None:
    source = np.random.default_rng(0)
    odds = source.normal(0, 3, 20_000)
    inside = source.random(20_000) < 1 / (1 + np.exp(-odds))
    slope, shift = platt(((odds - 1) / 2).astype(np.float32), inside)
    assert (slope, shift) == pytest.approx((2, 1), abs=0.15)


def test_dev_figures_by_part() -> None:
    dev = [DevPair(("x", "p", "t"), part) for part in ("in", "in", "ordinary", "same subject")]
    report = dev_figures(np.array([1.0, -1.0, -1.0, 2.0], np.float32), dev)
    assert {name: report.figures[f"dev {name}"] for name in ("in", "ordinary", "same subject")} == {
        "in": 0.5, "ordinary": 1.0, "same subject": 0.0,
    }  # fmt: skip
    assert report.figures["balance"] < (0.5 + 0.5) / 2 + 1e-9


@pytest.mark.skipif("ERRATA_DATA" not in os.environ, reason="ERRATA_DATA does not name the public data's folder")
@pytest.mark.parametrize("shape", ["pair", "dual"])
def test_one_command_trains_a_part_with_its_card(shape: str, backbone: Path, tmp_path: Path) -> None:
    from errata.training.making import train_part

    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[network]\nbackbone = "{backbone}"\nrank = 2\n'
        '[loop]\nsteps = 2\nbatch = 3\nprecision = "no"\nevaluate_every = 0\n'
    )
    part = {"pair": "counterfactual", "dual": "scope"}[shape]
    figures = train_part(part, config=recipe, out=tmp_path / "run", data=Path(os.environ["ERRATA_DATA"]))
    saved = tmp_path / "run" / "model"
    assert {path.name for path in saved.iterdir()} >= {"card.json", "README.md", "config.json"}
    assert 0 <= figures["dev in"] <= 1
    calibration = NetworkConfig.read(saved).calibration
    assert set(calibration) == ({"slope", "shift", "whole"} if shape == "pair" else {"scale", "bias"})
    assert load_network(saved).config.shape == shape


def test_yes_and_no_are_kinds_of_their_own(texts: Texts, backbone: Path) -> None:
    asked = replace(
        CAPITAL, inside=(Inside("is paris the capital", "yes", "Yes"), Inside("is x the capital", "no", "No"))
    )
    _, labels, kinds, starts, _ = pair_batch([asked], texts, settings(PAIR, backbone), random.Random(0))
    assert sorted(kinds[labels == 1].tolist()) == [KINDS.index("yes"), KINDS.index("no")]
    assert (starts == -100).all()


def test_training_starts_from_a_trained_network(backbone: Path, tmp_path: Path) -> None:
    old = new_network(replace(settings(PAIR, backbone).network))
    with torch.no_grad():
        old.kind.bias.copy_(torch.arange(5.0))
    save_network(old, old.config, tmp_path / "old")
    fresh = new_network(settings(PAIR, backbone).network)
    load_weights(fresh, tmp_path / "old")
    assert fresh.kind.bias.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ModelError, match="do not fit"):
        load_weights(new_network(settings(DUAL, backbone).network), tmp_path / "old")


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(ConfigError, match="qa_hard, fact_check"):
        replace(PAIR, problem="qa_hrd")
