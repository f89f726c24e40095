"""FEVER as a copy-edit set: a claim with the other verdict, its rephrases with the same one (SeProG, section 5.1).

A substitute: the rephrases that the papers use are not public, so ours are made by rules (`rephrased`), and only
claims that a rule reads are edits. Out of scope are claims of the edit's page about something else, and claims of
pages without an edit, all with their gold label.

The base `fc` was trained on nine tenths of the claims of this file (`training.claims`). An edit overrides the
verdict whatever the base has seen; `meta` tells whether it has. What is asked out of scope in the dev and test
splits the base has not seen, so that its error against the label is fair; nor is any claim there among those that
the other shipped parts were trained on.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from errata.edit import Edit
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Unlabelled, distinct, later_splits
from errata.problems.english import AUXILIARIES, PREPOSITIONS, PRONOUNS, word_set
from errata.problems.fact_check import FEVER, SYMMETRIC
from errata.problems.held_out import normalise, percentile
from errata.problems.rephrased import rephrases
from errata.training.claims import ClaimSettings, read_claims, split_claims

SPLITS = ("train", "dev", "test")
EDITED: Mapping[str, range] = {"test": range(0, 30), "dev": range(48, 54), "train": range(60, 94)}
"""Of a hundred shares of the pages, those whose claims are a split's edits."""
ASKED: Mapping[str, range] = {"test": range(30, 48), "dev": range(54, 60), "train": range(94, 100)}
"""Those that have no edit: their claims are out of scope."""
MOST = 8
"""Claims asked of a page without an edit."""
FLIPPED = {"True": "False", "False": "True"}
_LITTLE = (
    PREPOSITIONS | AUXILIARIES | PRONOUNS
    | word_set("a an the and or but not no never only exclusively be been being that which who whose his their t s")
)  # fmt: skip
"""Words that do not make two claims speak of the same thing."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim of one page."""

    text: str
    label: str
    page: str
    seen: bool
    """Whether the base was trained on it."""


def load_fever_copy(
    data: str | Path | None = None, *, split: str = "test", seed: int = 0, every: bool = False
) -> Problem:
    """FEVER's claims, each with the other verdict.

    An edit's `meta` tells its page, its gold label, and whether the base was trained on the claim ("yes" or "no").

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test"; no page is in two.
        seed: draws one claim of each page, for claims of a page may contradict one another.
        every: whether all claims of a page that have a rephrase are edits: for batches with `apart="page"`.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    later_splits("fever_copy", split, SPLITS)
    folder = DataFolder(data)
    notes: Counter[str] = Counter()
    pages = _pages(folder, _read_elsewhere(folder) if split != "train" else frozenset(), notes)
    cases = []
    for name, claims in sorted(pages.items()):
        if percentile(name) not in EDITED[split]:
            continue
        found = [(claim, said) for claim in claims if (said := _distinct(claim, claims))]
        notes["claims without a rephrase"] += len(claims) - len(found)
        if found and not every:
            found = [random.Random(f"{seed} {name}").choice(found)]
        cases += [_case(claim, said, claims, split, at) for at, (claim, said) in enumerate(found)]
    shared = [
        Unlabelled(claim.text, kinds.OTHER_PAGE, answer=claim.label)
        for name, claims in sorted(pages.items())
        if percentile(name) in ASKED[split]
        for claim in _some([one for one in claims if _asked(one, split)], f"{seed} {name}")
    ]
    notes["edits whose claim the base was trained on"] = sum(case.edit.meta["seen"] == "yes" for case in cases)
    return Problem(
        name="fever_copy",
        split=split,
        cases=tuple(cases),
        shared=tuple(shared),
        data_hash=folder.hash,
        notes=tuple(sorted((what, count) for what, count in notes.items() if count)),
    )


def _read_elsewhere(folder: DataFolder) -> frozenset[str]:
    """Claims that shipped parts other than the base were trained on, normalised."""
    names = ("vitaminc/train.jsonl", *SYMMETRIC)
    return frozenset(normalise(row["claim"]) for name in names for row in folder.read_texts(name, "claim"))


def _pages(folder: DataFolder, without: frozenset[str], notes: Counter[str]) -> dict[str, list[_Claim]]:
    """Claims by the one page that their evidence is from; each text once, by the page's name as readers know it."""
    usable = read_claims(folder.folder)
    fc = ClaimSettings()
    _, unseen = split_claims(usable, fc.held_out, fc.loop.seed)
    kept = {normalise(text) for text, _ in unseen}
    evidence: dict[str, set[str]] = defaultdict(set)
    for row in folder.read_texts(FEVER, "claim"):
        evidence[normalise(row["claim"])].update(row.get("evidence_pages", ()))
    found: dict[str, list[_Claim]] = defaultdict(list)
    for text, verdict in usable:
        name = normalise(text)
        if len(evidence[name]) != 1:
            notes["claims dropped: evidence of several pages"] += 1
        elif name in without:
            notes["claims dropped: another part was trained on it"] += 1
        else:
            page = _spelled(next(iter(evidence[name])))
            found[page].append(_Claim(text, str(verdict), page, name not in kept))
    return found


def _spelled(page: str) -> str:
    """A page's name in FEVER's files as it reads: "Mars_-LRB-planet-RRB-" is "Mars (planet)"."""
    return page.replace("-LRB-", "(").replace("-RRB-", ")").replace("-COLON-", ":").replace("_", " ")


def _distinct(claim: _Claim, page: Iterable[_Claim]) -> list[str]:
    """The claim's rephrases that are no claim of the page themselves."""
    others = {normalise(one.text) for one in page}
    return [said for said in rephrases(claim.text) if normalise(said) not in others]


def _case(claim: _Claim, said: Sequence[str], page: Iterable[_Claim], split: str, at: int) -> EditCase:
    target = FLIPPED[claim.label]
    meta = {"page": claim.page, "label": claim.label, "seen": "yes" if claim.seen else "no"}
    edit = Edit(prompt=claim.text, target=target, id=f"fever-{claim.page}-{at}".replace(" ", "_"), meta=meta)
    inside = [Labelled(text, target, kinds.REPHRASE) for text in said]
    return EditCase(
        edit,
        distinct([*inside, Labelled(claim.text, target, kinds.SAME)]),
        tuple(
            Unlabelled(one.text, kinds.SAME_PAGE, True, "the page's, about something else", answer=one.label)
            for one in page
            if _asked(one, split) and not _told(one, claim)
        ),
    )


def _asked(claim: _Claim, split: str) -> bool:
    """Whether a claim may be asked out of scope: what the base was trained on only in train."""
    return split == "train" or not claim.seen


def _told(one: _Claim, other: _Claim) -> bool:
    """Whether two claims of a page share a word that is neither of the page's name nor one of the little ones."""
    words = [
        set(normalise(claim.text).split()) - _LITTLE - set(normalise(claim.page).split()) for claim in (one, other)
    ]
    return not words[0].isdisjoint(words[1]) or not all(words)


def _some(claims: Sequence[_Claim], seed: str) -> list[_Claim]:
    kept = set(random.Random(seed).sample(range(len(claims)), min(MOST, len(claims))))
    return [claim for at, claim in enumerate(claims) if at in kept]
