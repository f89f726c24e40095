"""Subjects that are taken for one another, and where a gate refuses."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from errata.errors import ConfigError
from errata.training.alike import nearest_others
from errata.training.dev import DevPair, platt
from errata.training.gating import gate_bound
from errata.training.group import Group, Inside
from errata.training.groups import Sources
from errata.training.scope import GATE
from errata.training.texts import normal

LETTERS = "abcdefghijklmnopqrstuvwxyz "


def by_letters(texts: Any) -> np.ndarray:
    """Vectors of length 1 that count letters."""
    counts = np.array([[text.lower().count(letter) for letter in LETTERS] for text in texts], np.float32)
    vectors: np.ndarray = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    return vectors


def test_the_nearest_others_are_of_the_same_relation_and_never_the_subject_itself() -> None:
    rows = [(name, f"capital of {name}?", name) for name in ("Norway", "Norwaya", "Chad", "norway")]
    found = nearest_others({"capital": rows, "sea": [("Aral", "sea Aral?", "Aral")]}, by_letters, count=1)
    assert found == {
        ("capital", "norway"): ["Norwaya"],
        ("capital", "norwaya"): ["norway"],
        ("capital", "chad"): ["Norwaya"],
    }


def test_a_gate_keeps_the_share_that_it_is_asked_to_keep_of_what_is_accepted_behind_it() -> None:
    group = Group("p", "t", (Inside("in", "span", "t"),), ("out",), "made up", "p|t")
    sources: Any = SimpleNamespace(draw=lambda source: group)
    dev = [DevPair((f"{at}", "p", "t"), "in") for at in range(2000)] + [DevPair(("x", "p", "t"), "ordinary")] * 500

    def gate(triples: Any) -> np.ndarray:
        return np.array([float(said) if said.isdigit() else 5000.0 for said, *_ in triples], np.float32)

    def behind(triples: Any) -> np.ndarray:
        return np.array([-1.0 if said.isdigit() and int(said) < 1000 else 1.0 for said, *_ in triples], np.float32)

    bound = gate_bound(gate, behind, dev, sources, kept=0.9)
    accepted = np.concatenate([np.arange(1000, 2000), np.full(2000, 5000)])
    assert (accepted >= bound).mean() == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize("wrong", [{"kept": 1.0}, {"start": ""}, {"kept": -0.1}])
def test_a_gate_needs_a_network_behind_it_and_a_share(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a gate is a pair network"):
        replace(GATE, **wrong)


@pytest.mark.parametrize("hard", [0, 30])
def test_platt_scaling_ends_where_the_sides_lie_far_apart(hard: int) -> None:
    inside = np.arange(2600) < 900
    odds = np.where(inside, 40.0, -40.0).astype(np.float32)
    odds[:hard] = -30
    slope, shift = platt(odds, inside)
    assert 0 < slope < 5 and abs(shift) < 40


@pytest.mark.skipif("ERRATA_DATA" not in os.environ, reason="ERRATA_DATA does not name the public data's folder")
def test_groups_about_subjects_that_are_taken_for_one_another() -> None:
    sources = Sources(Path(os.environ["ERRATA_DATA"]))
    sources.learn_alike(by_letters)
    source = random.Random(1)
    groups = [group for group in (sources.alike_group(source) for _ in range(100)) if group.source == "alike"]
    assert len(groups) > 90
    own = [f" {group.key.split('|')[1]} " for group in groups]
    named = [name in f" {normal(text)} " for name, group in zip(own, groups, strict=True) for text in group.outside]
    assert np.mean(named) < 0.05, "but for a South Sudan that is held against Sudan, others are asked about"
    assert np.mean([name in f" {normal(group.prompt)} " for name, group in zip(own, groups, strict=True)]) > 0.95
