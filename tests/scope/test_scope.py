"""Dual, cross and cascade: what they promise whatever their weights are; judged on an untrained tiny network."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from errata.edit import Candidate, Edit, Match
from errata.errors import ModelError
from errata.models.pair import PairNetwork, Reading, Triple
from errata.scope.cascade import CascadeScope
from errata.scope.cross import CrossScope
from errata.scope.dual import DualScope
from tiny_encoder import tiny_backbone, tiny_network

EDITS = [
    Edit(prompt=f"what is {word}?", target="paris") for word in ("it", "the capital", "france", "the capital of france")
]
INPUT = "what is the capital of france?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cascade")
    backbone = tiny_backbone(folder / "backbone")
    tiny_network(folder / "dual", backbone, "dual")
    tiny_network(folder / "pair", backbone, "pair")
    return folder


def candidates(scope: DualScope, text: str) -> list[Candidate]:
    """What a memory would retrieve: squared distances, nearest first."""
    far = ((scope.encode_inputs([text]) - scope.encode_edits(EDITS)) ** 2).sum(1)
    return sorted((Candidate(edit, float(d)) for edit, d in zip(EDITS, far, strict=True)), key=lambda one: one.distance)


def test_dual_vectors_have_length_one_and_the_stated_dimension(home: Path) -> None:
    scope = DualScope(home / "dual", runtime="torch")
    vectors = scope.encode_inputs(["who is it", "paris"])
    assert vectors.shape == (2, scope.dimension) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_dual_gives_no_rows_for_no_inputs(home: Path) -> None:
    scope = DualScope(home / "dual", runtime="torch")
    assert scope.encode_inputs([]).shape == (0, scope.dimension)


def test_dual_probability_is_the_logistic_of_the_distance(home: Path) -> None:
    scope = DualScope(home / "dual", runtime="torch")  # calibration: scale 2, bias 1
    assert scope.probability(0.5) == pytest.approx(0.5)
    assert scope.probability(1.5) == pytest.approx(1 / (1 + math.exp(2)))


def test_the_authors_fixed_probability_is_an_option(home: Path) -> None:
    scope = DualScope(home / "dual", runtime="torch", fixed=True)
    assert scope.probability(math.log(2)) == pytest.approx(0.5)


def test_dual_ranks_the_nearer_edit_first_and_ties_by_id(home: Path) -> None:
    scope = DualScope(home / "dual", runtime="torch")
    a, b, c = EDITS[:3]
    ranked = scope.judge(["x"], [[Candidate(a, 0.9), Candidate(b, 0.1), Candidate(c, 0.9)]])[0]
    assert ranked[0].edit == b and [one.edit.id for one in ranked[1:]] == sorted([a.id, c.id])


def test_edits_are_encoded_alike_by_every_runtime_so_that_a_memory_serves_all(home: Path) -> None:
    torch, onnx = (DualScope(home / "dual", runtime=kind) for kind in ("torch", "onnx"))
    assert torch.fingerprint == onnx.fingerprint
    assert np.abs(torch.encode_edits(EDITS) - onnx.encode_edits(EDITS)).max() < 1e-5


def test_cross_reads_every_edit_and_asks_for_all(home: Path) -> None:
    scope = CrossScope(home / "pair", runtime="torch")
    assert scope.k is None and scope.encode_edits(EDITS).shape == (4, 1)
    judged = scope.judge([INPUT], [[Candidate(edit, 0.0) for edit in EDITS]])[0]
    assert {one.edit.id for one in judged} == {edit.id for edit in EDITS}
    assert [one.score for one in judged] == sorted((one.score for one in judged), reverse=True)


def test_a_cross_score_does_not_depend_on_the_other_candidates(home: Path) -> None:
    scope = CrossScope(home / "pair", runtime="torch")
    alone = scope.judge([INPUT], [[Candidate(EDITS[0], 0.0)]])[0][0].score
    fresh = CrossScope(home / "pair", runtime="torch")
    fresh.network = PairNetwork(home / "pair", runtime="torch")
    among = {one.edit.id: one.score for one in fresh.judge([INPUT], [[Candidate(edit, 0.0) for edit in EDITS]])[0]}
    assert among[EDITS[0].id] == pytest.approx(alone, abs=1e-6)


class Scripted:
    """A pair network whose probabilities are given, and which remembers what it was asked to read."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores, self.asked = scores, []

    def read(self, triples: list[Triple]) -> list[Reading]:
        self.asked.append([prompt for _, prompt, _ in triples])
        return [Reading(self.scores[prompt], "paris", "span", 1.0) for _, prompt, _ in triples]


def cascade(home: Path, scores: list[float], **options: object) -> tuple[CascadeScope, Scripted]:
    scope = CascadeScope.from_pretrained(home, runtime="torch", **options)
    script = Scripted({edit.prompt: score for edit, score in zip(EDITS, scores, strict=True)})
    scope.cross = CrossScope(home / "pair", runtime="torch")
    scope.cross.network = script  # type: ignore[assignment]
    return scope, script


def retrieved(*distances: float) -> list[Candidate]:
    return [Candidate(edit, distance) for edit, distance in zip(EDITS, distances, strict=True)]


def test_the_cascade_takes_the_cross_verdict_over_the_dual_order(home: Path) -> None:
    scope, _ = cascade(home, [0.1, 0.95, 0.2, 0.2])
    judged = scope.judge([INPUT], [retrieved(0.1, 0.2, 0.3, 0.4)])[0]
    assert judged[0] == Match(EDITS[1], 0.95)


def test_the_cascade_does_not_read_what_the_dual_rules_out(home: Path) -> None:
    scope, script = cascade(home, [0.9, 0.9, 0.9, 0.9], floor=0.02)
    judged = scope.judge([INPUT], [retrieved(3.5, 3.6, 3.7, 3.8)])[0]
    assert [row for row in script.asked if row] == [] and judged[0].score < 0.02


@pytest.mark.parametrize(("reads", "best"), [(1, 0), (2, 0), (3, 0), (4, 3)])
def test_the_cascade_reads_the_nearest_alone(home: Path, reads: int, best: int) -> None:
    scope, script = cascade(home, [0.6, 0.1, 0.1, 0.99], reads=reads, after=0.0)
    judged = scope.judge([INPUT], [retrieved(0.1, 0.2, 0.3, 0.4)])[0]
    assert judged[0].edit == EDITS[best] and len(judged) == 4
    assert script.asked == [[edit.prompt for edit in EDITS[:reads]]]
    assert all(match.score <= scope.floor for match in judged if match.edit in EDITS[reads:])


@pytest.mark.parametrize(("after", "read"), [(0.2, 2), (0.9, 1)])
def test_the_cascade_reads_a_second_candidate_that_is_likely_in_its_own_right(
    home: Path, after: float, read: int
) -> None:
    scope, script = cascade(home, [0.1, 0.99, 0.1, 0.1], after=after)
    row = retrieved(0.1, 0.3, 2.5, 3.0)
    near = [match.score for match in scope.dual.judge([INPUT], [row])[0]]
    assert 0.2 < near[1] < 0.9  # else this test shows nothing
    assert (scope.judge([INPUT], [row])[0][0].score > 0.5) == (read == 2)
    assert script.asked == [[edit.prompt for edit in EDITS[:read]]]


def test_the_nearest_candidate_is_read_however_unlikely_above_the_floor(home: Path) -> None:
    scope, script = cascade(home, [0.97, 0.1, 0.1, 0.1], after=0.9)
    row = retrieved(2.0, 2.2, 2.5, 3.0)
    assert scope.floor < scope.dual.judge([INPUT], [row])[0][0].score < 0.5  # else this test shows nothing
    assert scope.judge([INPUT], [row])[0][0] == Match(EDITS[0], 0.97)
    assert script.asked == [[EDITS[0].prompt]]


def test_what_the_gate_refuses_is_not_read(home: Path) -> None:
    scope, script = cascade(home, [0.9, 0.99, 0.1, 0.1], after=0.0)
    network = Scripted({})
    network.passes = lambda triples: [prompt != EDITS[0].prompt for _, prompt, _ in triples]  # type: ignore[attr-defined]
    scope.gate = CrossScope(home / "pair", runtime="torch")
    scope.gate.network = network  # type: ignore[assignment]
    judged = scope.judge([INPUT, INPUT], [retrieved(0.1, 0.2, 0.3, 0.4), []])
    assert judged[0][0] == Match(EDITS[1], 0.99) and judged[1] == []
    assert script.asked == [[EDITS[1].prompt]]
    assert next(match.score for match in judged[0] if match.edit == EDITS[0]) <= scope.floor


@pytest.mark.parametrize("text", [EDITS[1].prompt, " What is THE  capital"])
def test_an_edits_own_prompt_is_in_its_scope_whatever_the_networks_say(home: Path, text: str) -> None:
    scope, _ = cascade(home, [0.1, 0.1, 0.1, 0.1])
    network, asked = Scripted({}), []
    network.passes = lambda triples: asked.extend(triples) or [False] * len(triples)  # type: ignore[attr-defined]
    scope.gate = CrossScope(home / "pair", runtime="torch")
    scope.gate.network = network  # type: ignore[assignment]
    judged = scope.judge([text], [[Candidate(EDITS[1], 0.1)]])[0]
    assert judged == [Match(EDITS[1], 1.0)] and asked == []
    assert scope.cross.judge([text], [retrieved(0.1, 0.1, 0.1, 0.1)])[0][:2] == [
        Match(EDITS[1], 1.0), min((Match(edit, 0.1) for edit in EDITS if edit != EDITS[1]), key=lambda one: one.edit.id)
    ]  # fmt: skip


def test_an_edit_without_a_target_is_not_asked_of_the_gate(home: Path) -> None:
    scope, script = cascade(home, [0.9, 0.9, 0.1, 0.1], after=0.0)
    free = Edit(prompt=EDITS[1].prompt, target="")
    network, asked = Scripted({}), []
    network.passes = lambda triples: asked.extend(triples) or [False] * len(triples)  # type: ignore[attr-defined]
    scope.gate = CrossScope(home / "pair", runtime="torch")
    scope.gate.network = network  # type: ignore[assignment]
    judged = scope.judge([INPUT], [[Candidate(EDITS[0], 0.1), Candidate(free, 0.2)]])[0]
    assert judged[0] == Match(free, 0.9) and script.asked == [[free.prompt]]
    assert asked == [(INPUT, EDITS[0].prompt, EDITS[0].target)]


def test_a_gate_is_saved_and_loaded_and_lets_all_pass_without_a_bound(home: Path, tmp_path: Path) -> None:
    scope = CascadeScope.from_pretrained(home, runtime="torch", gate=CrossScope(home / "pair", runtime="torch"))
    assert scope.gate and scope.gate.network.passes([(INPUT, "p", "t")] * 3) == [True] * 3
    scope.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "gate" / "config.json").read_text())
    settings["calibration"]["bound"] = 1e6
    (tmp_path / "gate" / "config.json").write_text(json.dumps(settings))
    again = CascadeScope.from_pretrained(tmp_path, runtime="torch")
    assert again.gate and again.gate.network.passes([(INPUT, "p", "t")]) == [False]
    assert again.judge([INPUT], [retrieved(0.1, 0.2, 0.3, 0.4)])[0][0].score <= again.floor
    assert CascadeScope.from_pretrained(home, runtime="torch").gate is None


def test_the_cascade_saves_and_loads_both_networks(home: Path, tmp_path: Path) -> None:
    scope = CascadeScope.from_pretrained(home, runtime="torch")
    scope.save_pretrained(tmp_path)
    again = CascadeScope.from_pretrained(tmp_path, runtime="torch")
    assert again.fingerprint == scope.fingerprint
    assert np.array_equal(again.encode_inputs([INPUT]), scope.encode_inputs([INPUT]))
    row = candidates(scope.dual, INPUT)
    then, now = (one.judge([INPUT], [row])[0] for one in (scope, again))
    assert [match.edit for match in then] == [match.edit for match in now]
    assert [match.score for match in then] == pytest.approx([match.score for match in now], abs=1e-6)


def test_a_folder_that_is_no_cascade_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs the folders 'dual' and 'pair'"):
        CascadeScope.from_pretrained(tmp_path)
