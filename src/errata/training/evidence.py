"""Groups and dev figures for fact checking: a piece of evidence is the edit, the claims around it are the inputs.

All of VitaminC's training records are used, the synthetic ones too, and FEVER-Symmetric's; pages and claims that a dev
or test file holds are left out. The versions of one case come into one batch, since they differ in the one fact that
decides (contrastive evidence; Schuster et al., 2021). Out of scope, one claim of another page teaches little: what is
hard are claims that the annotators left open, drawn more often than they are common, and claims of the same page
that rest on another sentence.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.problems.fact_check import UNDECIDED, load_fact_check, page, read_fever_symmetric
from errata.problems.held_out import normalise, runs
from errata.training.group import AnswerKind, Group, Inside
from errata.training.texts import TRUE_FALSE, read

KIND: Mapping[str, AnswerKind] = {"SUPPORTS": "true", "REFUTES": "false"}
CLAIMS = 3
"""Claims of one piece of evidence in a group."""
OPEN = 0.3
"""Share of cases drawn from those with a claim that the evidence leaves open; one in three has one anyway."""
ELSEWHERE, STRANGE = 0.4, 0.2
"""Shares of groups with a claim that rests on another sentence of the page, and with a claim of any other page."""
ALIKE = 0.3
"""Share of words in common from which on two sentences of a page may tell the same."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of evidence with its claims as (claim, label)."""

    text: str
    claims: tuple[tuple[str, str], ...]
    page: str


class EvidenceSources:
    """Draws groups of evidence and claims.

    Args:
        data: the public data's folder.
    """

    def __init__(self, data: Path) -> None:
        pages: set[str] = set()
        tested: set[str] = set()
        for name in ("dev", "test"):
            for row in read(data / "vitaminc" / f"{name}.jsonl"):
                pages.add(page(row))
                tested |= {normalise(row["claim"]), normalise(row["evidence"])}
        parts = {run for name in pages for run in runs(name.split())} | pages
        cases: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for row in _records(data):
            if _near(row["page"], pages, parts) or not tested.isdisjoint(
                (normalise(row["claim"]), normalise(row["evidence"]))
            ):
                continue
            cases[row["case"]][row["evidence"]].append(row)
        self.cases = [
            [
                Evidence(text, tuple(dict.fromkeys((row["claim"], row["label"]) for row in rows)), rows[0]["page"])
                for text, rows in found.items()
            ]
            for found in cases.values()
        ]
        self.open = [case for case in self.cases if any(label == UNDECIDED for one in case for _, label in one.claims)]
        self.by_page: dict[str, list[Evidence]] = defaultdict(list)
        for case in self.cases:
            for one in case:
                self.by_page[one.page].append(one)

    def batch(self, source: random.Random, count: int) -> list[Group]:
        """Groups that are trained on together: all versions of some cases, until there are `count`."""
        groups: list[Group] = []
        while len(groups) < count:
            versions = source.choice(self.open if source.random() < OPEN else self.cases)
            for evidence in source.sample(versions, min(2, len(versions))):
                groups.append(self._group(evidence, source))
        return groups[:count]

    def _group(self, evidence: Evidence, source: random.Random) -> Group:
        inside, outside = [], []
        for claim, label in source.sample(evidence.claims, min(CLAIMS, len(evidence.claims))):
            text = source.choice(TRUE_FALSE) + claim if source.random() < 0.1 else claim
            if label == UNDECIDED:
                outside.append(text)
            else:
                inside.append(Inside(text, KIND[label]))
        if source.random() < ELSEWHERE:
            other = source.choice(self.by_page[evidence.page])
            if alike(other.text, evidence.text) < ALIKE:
                outside.append(source.choice(other.claims)[0])
        if source.random() < STRANGE:
            other = source.choice(source.choice(self.cases))
            if other.page != evidence.page:
                outside.append(source.choice(other.claims)[0])
        return Group(evidence.text, "", tuple(inside), tuple(outside), "evidence", evidence.page)


def alike(one: str, other: str) -> float:
    """Words that two texts share, as a part of all words in them (Jaccard)."""
    words, others = set(normalise(one).split()), set(normalise(other).split())
    return len(words & others) / max(1, len(words | others))


def _near(name: str, pages: Container[str], parts: Container[str]) -> bool:
    """Whether a page is one of these, or one's name is part of the other's (`load_fact_check` groups such pages).

    Args:
        name: the page's.
        pages: names.
        parts: every run of words in them.
    """
    return name in parts or any(run in pages for run in runs(name.split()))


def _records(data: Path) -> Iterable[dict[str, str]]:
    """VitaminC's and FEVER-Symmetric's records as case, page, evidence, claim and label."""
    for row in read(data / "vitaminc" / "train.jsonl"):
        case = str(row["case_id"]) if row["revision_type"] == "real" else f"{page(row)}/{row['case_id']}"
        yield {
            "case": case,
            "page": page(row),
            "evidence": row["evidence"],
            "claim": row["claim"],
            "label": row["label"],
        }
    for at, claim in enumerate(read_fever_symmetric(data)):
        name = f"symmetric {at}"
        yield {"case": name, "page": name, "evidence": claim.evidence, "claim": claim.text, "label": claim.label}


@dataclass(frozen=True, slots=True)
class EvidenceDev:
    """Dev pairs of evidence and claim: `label` is "true" or "false" in scope, "hard" or "easy" out of it."""

    triples: tuple[tuple[str, str, str], ...]
    labels: tuple[str, ...]

    @classmethod
    def read(cls, data: Path, *, seed: int = 0, easy: int = 400) -> EvidenceDev:
        """All of VitaminC's dev pairs that the problem has, and `easy` claims of other pages."""
        problem = load_fact_check(data, split="dev", every=True)
        pairs: list[tuple[tuple[str, str, str], str]] = []
        for case in problem.cases:
            evidence = case.edit.prompt
            pairs += [((one.text, evidence, ""), one.answer.lower()) for one in case.in_scope]
            pairs += [((one.text, evidence, ""), "hard") for one in case.out_of_scope]
        source = random.Random(seed)
        for one in source.sample(problem.shared, min(easy, len(problem.shared))):
            pairs.append(((one.text, source.choice(problem.cases).edit.prompt, ""), "easy"))
        return cls(tuple(triple for triple, _ in pairs), tuple(label for _, label in pairs))

    def figures(self, odds: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
        """Shares of right verdicts.

        Args:
            odds: scope log-odds, (n,).
            truth: log-odds of "true" against "false", (n,).

        Returns:
            `dev in`, in-scope pairs accepted; `dev verdict`, in-scope pairs whose label is right whatever the scope
            says; `dev both`; `dev hard` and `dev easy`, out-of-scope pairs refused; `scope`, the mean of in and hard;
            and `balance`, the mean of both and hard.
        """
        labels = np.array(self.labels)
        inside = np.isin(labels, ("true", "false"))
        fires, right = odds >= 0, (truth >= 0) == (labels == "true")
        figures = {
            "dev in": float(fires[inside].mean()),
            "dev verdict": float(right[inside].mean()),
            "dev both": float((fires & right)[inside].mean()),
            "dev hard": float((~fires)[labels == "hard"].mean()),
            "dev easy": float((~fires)[labels == "easy"].mean()),
        }
        figures["scope"] = (figures["dev in"] + figures["dev hard"]) / 2
        figures["balance"] = (figures["dev both"] + figures["dev hard"]) / 2
        return figures

    def hard_or_inside(self) -> NDArray[np.bool_]:
        """The pairs that calibration looks at: claims of other pages are told apart at any threshold."""
        return np.isin(np.array(self.labels), ("true", "false", "hard"))

    def inside(self) -> NDArray[np.bool_]:
        """Which pairs are in scope."""
        return np.isin(np.array(self.labels), ("true", "false"))


def truth_odds(kinds: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """Log-odds of "true" against "false" from kind logits (n, kinds)."""
    return np.asarray(kinds[:, names.index("true")] - kinds[:, names.index("false")])
