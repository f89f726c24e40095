"""Groups of evidence and claims, made from files in the published schema, and the dev figures."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from errata.training.evidence import EvidenceDev, EvidenceSources, truth_odds

LONG = "was seen by more than three hundred people in the first week"
VERSIONS = (f"The film Alto {LONG}, 342 of them in Oslo.", f"The film Alto {LONG}, 242 of them in Oslo.")


def row(at: int, page: str, claim: str, evidence: str, label: str, case: str = "1", kind: str = "real") -> str:
    record = {"unique_id": str(at), "case_id": case, "page": page, "claim": claim, "evidence": evidence}
    return json.dumps(record | {"label": label, "revision_type": kind}) + "\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "vitaminc").mkdir()
    (tmp_path / "fever_symmetric").mkdir()
    claim = "More than 300 people saw Alto in Oslo."
    (tmp_path / "vitaminc" / "train.jsonl").write_text(
        row(1, "Alto", claim, VERSIONS[0], "SUPPORTS")
        + row(2, "Alto", claim, VERSIONS[1], "REFUTES")
        + row(3, "Alto", "Alto is sad.", VERSIONS[0], "NOT ENOUGH INFO")
        + row(4, "Basso", "Basso is a hat.", "Basso is short.", "SUPPORTS", "2", "synthetic")
        + row(5, "Tenor", "Tenor sings.", f"The film Tenor {LONG}.", "SUPPORTS", "3")
        + row(6, "Canto", "Canto is told in a test.", f"The film Canto {LONG}.", "SUPPORTS", "4")
    )
    (tmp_path / "vitaminc" / "dev.jsonl").write_text(
        row(1, "Tenor", "Tenor is loud.", f"The film Tenor {LONG}.", "SUPPORTS")
        + row(2, "Duo", "Duo is told.", f"The film Duo {LONG}.", "REFUTES", "2")
        + row(3, "Duo", "Duo is old.", f"The film Duo {LONG}.", "NOT ENOUGH INFO", "2")
    )
    (tmp_path / "vitaminc" / "test.jsonl").write_text(
        row(1, "Solo", "Canto is told in a test.", f"The film Solo {LONG}.", "SUPPORTS")
    )
    symmetric = {"claim": "Cuneo is a town.", "label": "SUPPORTS"}
    for name, field in (("v01_generated", "evidence_sentence"), ("v02_dev", "evidence")):
        text = json.dumps(symmetric | {field: f"Cuneo is a town in Italy, says {name}."}) + "\n"
        (tmp_path / "fever_symmetric" / f"{name}.jsonl").write_text(text)
    return tmp_path


def test_nothing_of_a_later_split_is_trained_on(data: Path) -> None:
    texts = {evidence.text for case in EvidenceSources(data).cases for evidence in case}
    assert not [text for text in texts if "Tenor" in text]  # its page is in dev
    assert not [text for text in texts if "Canto" in text]  # its claim is in the test file
    assert len([text for text in texts if "Cuneo" in text]) == 2 and "Basso is short." in texts


def test_the_versions_of_a_case_come_together_with_their_labels(data: Path) -> None:
    sources = EvidenceSources(data)
    seen = set()
    for seed in range(40):
        groups = sources.batch(random.Random(seed), 6)
        assert len(groups) == 6
        for at, group in enumerate(groups):
            if group.prompt == VERSIONS[0]:
                near = [other.prompt for other in groups[max(0, at - 1) : at + 2]]
                seen.add(VERSIONS[1] in near or at == 5)
                assert {one.kind for one in group.inside} <= {"true"}
                assert all(text.endswith("Alto is sad.") for text in group.outside if "Alto" in text)
            if group.prompt == VERSIONS[1]:
                assert [one.kind for one in group.inside] == ["false"]
            assert group.target == ""
    assert seen == {True}


def test_dev_figures_by_hand(data: Path) -> None:
    dev = EvidenceDev.read(data)
    assert sorted(dev.labels) == ["false", "hard", "true"]  # one page in five has no edit: none of two
    made = EvidenceDev((("a", "b", ""),) * 5, ("true", "false", "true", "hard", "easy"))
    figures = made.figures(np.array([1, 1, -1, 2, -2.0]), np.array([3, 3, 3, 0, 0.0]))
    assert figures["dev in"] == pytest.approx(2 / 3)
    assert figures["dev verdict"] == pytest.approx(2 / 3)
    assert figures["dev both"] == pytest.approx(1 / 3)
    assert (figures["dev hard"], figures["dev easy"]) == (0.0, 1.0)
    assert figures["balance"] == pytest.approx(1 / 6)
    assert made.inside().tolist() == [True, True, True, False, False]
    assert made.hard_or_inside().tolist() == [True, True, True, True, False]


def test_truth_is_true_against_false() -> None:
    kinds = np.array([[9.0, 2.0, 5.0]], np.float32)
    assert truth_odds(kinds, ("span", "true", "false")).tolist() == [-3.0]
