"""FC: VitaminC's evidence as edits, its claims as inputs (SERAC, section 4; Schuster et al., 2021).

An edit is a free utterance: a sentence of Wikipedia without a target. A claim it supports is in its scope and demands
"True", a claim it refutes demands "False", and one it leaves open is a hard out-of-scope input. (The definition of I
and O in section 4 has the last two the other way round; the labels here follow the meaning of the words.)

VitaminC pairs the versions of a sentence before and after a revision with the same claims, and what one version
supports the other refutes. In one memory such edits contradict one another, so a page is the edit's own here: one piece
of evidence a page is an edit, drawn by the seed. Out of scope of all of them are claims of pages that no edit has.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Record, Unlabelled, later_splits
from errata.problems.held_out import normalise, runs

SPLITS = ("train", "dev", "test")
ANSWERS = {"SUPPORTS": "True", "REFUTES": "False"}
UNDECIDED = "NOT ENOUGH INFO"
LABELS = (*ANSWERS, UNDECIDED)
REVISIONS = ("real", "synthetic")
SHORTEST = 11
"""Words that a piece of evidence must have: "over 10"."""
STRANGERS = 20
"""Of a hundred pages, how many have no edit: their claims are the easy out-of-scope inputs."""
MOST = 8
"""Claims asked of one such page; some pages have a hundred."""

FEVER = "fever/dev.jsonl"
SYMMETRIC = {"fever_symmetric/v01_generated.jsonl": "evidence_sentence", "fever_symmetric/v02_dev.jsonl": "evidence"}
"""The files of FEVER-Symmetric, and what either calls the evidence."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim with its verdict.

    Args:
        text: the claim.
        label: one of `LABELS`.
        evidence: what decides it; empty where the file has none.
    """

    text: str
    label: str
    evidence: str = ""


def load_fact_check(
    data: str | Path | None = None,
    *,
    split: str = "test",
    seed: int = 0,
    every: bool = False,
    balanced: bool = False,
) -> Problem:
    """VitaminC as an editing problem.

    An edit's `meta` tells its page, its case_id, and its page group: pages of which one's name holds the other's
    ("New England Patriots", "2010 New England Patriots season") count as one.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test"; pages that a later one holds are left out.
        seed: draws the pages without an edit, and the evidence of each other page.
        every: whether all evidence of these pages becomes edits. They contradict one another: not for one memory, but
            for `sampler.batches` with `apart="page_group"`.
        balanced: whether claims of the commoner labels are left out, drawn by the seed, until supported, refuted and
            undecided ones are equally many, as SERAC's authors do in train and dev (released code); edits left without
            a claim go too. The claims of pages without an edit stay.

    Raises:
        ConfigError: another split, the test split balanced, no data folder, or a file that is missing or broken.
    """
    if balanced and split == "test":
        raise ConfigError("the test split is measured as it is; only train and dev are balanced", key="balanced")
    later = later_splits("fact_check", split, SPLITS)
    folder = DataFolder(data)
    notes: Counter[str] = Counter()
    groups = _page_groups(_usable(_read(folder, split), notes))
    held = {page(row) for other in later for row in _read(folder, other)}
    for name in [name for name, rows in groups.items() if held & {page(row) for row in rows}]:
        notes["page groups dropped: in a later split"] += 1
        del groups[name]
    _drop_shared_claims(groups, notes)
    strangers = set(random.Random(f"{seed} strangers").sample(sorted(groups), len(groups) * STRANGERS // 100))
    made = {name: _cases(name, rows, notes) for name, rows in groups.items() if name not in strangers}
    if not every:
        made = {name: [_one(found, f"{seed} {name}")] for name, found in made.items() if found}
    cases = [case for found in made.values() for case in found]
    return Problem(
        name="fact_check",
        split=split,
        cases=tuple(_balanced(cases, f"{seed} balanced", notes) if balanced else cases),
        shared=tuple(
            claim for name in groups if name in strangers for claim in _claims(groups[name], f"{seed} {name}")
        ),
        success=frozenset({kinds.SUPPORTED, kinds.REFUTED}),
        data_hash=folder.hash,
        notes=tuple(sorted((what, count) for what, count in notes.items() if count)),
    )


def page(row: Row) -> str:
    """A record's page as pages are compared; a name without an ASCII letter is its own."""
    return normalise(row["page"]) or str(row["page"])


def _read(folder: DataFolder, split: str) -> list[Record]:
    """All records of a split, checked."""
    name = f"vitaminc/{split}.jsonl"
    rows = folder.read_texts(name, "unique_id", "case_id", "claim", "evidence", "page", "label", "revision_type")
    seen: set[str] = set()
    for row in rows:
        _check_choice(row, "label", LABELS, name)
        _check_choice(row, "revision_type", REVISIONS, name)
        if row["unique_id"] in seen:
            raise ConfigError(f"{row.place}: 'unique_id' {row['unique_id']} came before", where=name, key="unique_id")
        seen.add(row["unique_id"])
    return rows


def _check_choice(row: Record, field: str, accepted: Sequence[str], name: str) -> None:
    if row[field] not in accepted:
        raise ConfigError(f"{row.place}: {field!r} is {row[field]!r}", where=name, key=row[field], accepted=accepted)


def _usable(rows: Iterable[Row], notes: Counter[str]) -> Iterator[Row]:
    """Real revisions with evidence over 10 words (SERAC's released code; the paper does not say)."""
    for row in rows:
        if row["revision_type"] != "real":
            notes["records dropped: synthetic"] += 1
        elif len(row["evidence"].split()) < SHORTEST:
            notes["records dropped: evidence of 10 words or fewer"] += 1
        else:
            yield row


def _page_groups(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The records by page group, named after the shortest page name that stands in the page's own."""
    by_page: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_page[page(row)].append(row)
    groups: dict[str, list[Row]] = defaultdict(list)
    for name, found in by_page.items():
        groups[min((run for run in runs(name.split()) if run in by_page), key=len, default=name)] += found
    return dict(groups)


def _drop_shared_claims(groups: dict[str, list[Row]], notes: Counter[str]) -> None:
    """Leave out claims that stand under several page groups: they would be in the scope of edits of other pages."""
    stands: dict[str, set[str]] = defaultdict(set)
    for name, rows in groups.items():
        for row in rows:
            stands[normalise(row["claim"])].add(name)
    for name, rows in groups.items():
        kept = [row for row in rows if len(stands[normalise(row["claim"])]) == 1]
        notes["records dropped: a claim of several pages"] += len(rows) - len(kept)
        groups[name] = kept


def _cases(group: str, rows: Sequence[Row], notes: Counter[str]) -> list[EditCase]:
    """Every piece of evidence of a page group, with the claims it was judged against."""
    by_evidence: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_evidence[normalise(row["evidence"])].append(row)
    return [case for found in by_evidence.values() if (case := _case(group, found, notes))]


def _case(group: str, rows: Sequence[Row], notes: Counter[str]) -> EditCase | None:
    """One piece of evidence as an edit; None where no claim is left."""
    labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        labels[normalise(row["claim"])].add(row["label"])
    inside: list[Labelled] = []
    outside: list[Unlabelled] = []
    seen: set[str] = set()
    for row in rows:
        name = normalise(row["claim"])
        if len(labels[name]) > 1:
            notes["records dropped: the evidence has two labels for the claim"] += 1
        elif name in seen:
            notes["records dropped: repeated"] += 1
        elif row["label"] == UNDECIDED:
            outside.append(Unlabelled(row["claim"], kinds.UNDECIDED, True, "the evidence does not decide it"))
        else:
            kind = kinds.SUPPORTED if row["label"] == "SUPPORTS" else kinds.REFUTED
            inside.append(Labelled(row["claim"], ANSWERS[row["label"]], kind))
        seen.add(name)
    if not inside and not outside:
        return None
    first = rows[0]
    meta = {"page": first["page"], "page_group": group, "case_id": first["case_id"]}
    edit = Edit(prompt=first["evidence"], id=f"vitaminc-{first['unique_id']}", meta=meta)
    return EditCase(edit, tuple(inside), tuple(outside))


def _one(found: Sequence[EditCase], seed: str) -> EditCase:
    """One of a page's edits, each as likely as it has claims: the paper draws pairs of evidence and claim."""
    weights = [len(case.in_scope) + len(case.out_of_scope) for case in found]
    return random.Random(seed).choices(found, weights)[0]


def _balanced(cases: Sequence[EditCase], seed: str, notes: Counter[str]) -> Iterator[EditCase]:
    """The cases with as many claims of each kind as the rarest has."""
    places: dict[str, list[tuple[int, int]]] = {kind: [] for kind in (kinds.SUPPORTED, kinds.REFUTED, kinds.UNDECIDED)}
    for at, case in enumerate(cases):
        claims: tuple[Labelled | Unlabelled, ...] = (*case.in_scope, *case.out_of_scope)
        for i, one in enumerate(claims):
            places[one.kind].append((at, i))
    rarest = min(map(len, places.values()))
    notes["claims dropped: of a commoner label"] = sum(map(len, places.values())) - rarest * len(places)
    kept = {place for kind, found in places.items() for place in random.Random(f"{seed} {kind}").sample(found, rarest)}
    for at, case in enumerate(cases):
        inside = tuple(one for i, one in enumerate(case.in_scope) if (at, i) in kept)
        outside = tuple(one for i, one in enumerate(case.out_of_scope, len(case.in_scope)) if (at, i) in kept)
        if inside or outside:
            yield replace(case, in_scope=inside, out_of_scope=outside)


def _claims(rows: Sequence[Row], seed: str) -> list[Unlabelled]:
    """Claims of a page without an edit, at most `MOST`."""
    first = {normalise(row["claim"]): str(row["claim"]) for row in reversed(rows)}
    texts = [first[name] for name in dict.fromkeys(normalise(row["claim"]) for row in rows)]
    kept = set(random.Random(seed).sample(range(len(texts)), min(MOST, len(texts))))
    return [Unlabelled(text, kinds.OTHER_PAGE) for at, text in enumerate(texts) if at in kept]


# further claims, to train on


def read_fever(data: str | Path | None = None) -> Iterator[Claim]:
    """FEVER's claims (Thorne et al., 2018); the file names pages of evidence but holds no sentence of them.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.

    Raises:
        ConfigError: no data folder, or the file is missing or broken.
    """
    yield from _fever(DataFolder(data), FEVER, "")


def read_fever_symmetric(data: str | Path | None = None) -> Iterator[Claim]:
    """FEVER-Symmetric's claims with evidence, so paired that neither tells the verdict alone (Schuster et al., 2019).

    Its two files share claims and evidence: whoever splits them must split by claim, not by file.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.

    Raises:
        ConfigError: no data folder, or a file is missing or broken.
    """
    folder = DataFolder(data)
    for name, evidence in SYMMETRIC.items():
        yield from _fever(folder, name, evidence)


def _fever(folder: DataFolder, name: str, evidence: str) -> Iterator[Claim]:
    rows = folder.read_texts(name, "claim", "label", *([evidence] if evidence else []))
    for row in rows:
        _check_choice(row, "label", LABELS, name)
        yield Claim(row["claim"], row["label"], row[evidence] if evidence else "")
