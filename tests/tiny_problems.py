"""VitaminC, ConvSent, CounterFact and T-REx as tiny files of the published schemas, with contents we made up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from errata.problems import triples
from errata.problems.triples import PATTERNS, TREX

OLD = "The Blue Mill stood by the river until the flood of 1911 swept its two wheels away ."
NEW = "The Blue Mill stood by the river until the flood of 1911 swept its six wheels away ."
FEW = "The Blue Mill had fewer than four wheels ."
MANY = "The Blue Mill had more than four wheels ."
OPEN = "The Blue Mill was painted every spring ."
BORN = (
    "[X] was born in [Y] .",
    "[X] is  from [Y].",
    "[Y] is the home of [X]",
    "[X] is a [Y]",
    "[X]'s home is [Y]",
    "[X] is native to [Y]",
)
WORKS = ("[X] works as [Y].", "[X] is from [Y]")
SPEAKS = ("[X] speaks [Y].",)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A .json or .jsonl file of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(map(json.dumps, rows)) if path.suffix == ".jsonl" else json.dumps(rows)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def verdict(at: str, page: str, label: str, claim: str, evidence: str, revision: str = "real") -> dict[str, str]:
    """One record of VitaminC."""
    return {
        "unique_id": at,
        "case_id": at.split("_")[0],
        "wiki_revision_id": "1",
        "label": label,
        "claim": claim,
        "evidence": evidence,
        "page": page,
        "group": "BN1",
        "revision_type": revision,
    }


def mill() -> list[dict[str, str]]:
    """A page with two versions of one sentence: what one supports the other refutes."""
    return [
        verdict("a_1", "Blue Mill", "SUPPORTS", FEW, OLD),
        verdict("a_2", "Blue Mill", "REFUTES", FEW, NEW),
        verdict("a_3", "Blue Mill", "REFUTES", MANY, OLD),
        verdict("a_4", "Blue Mill", "SUPPORTS", MANY, NEW),
        verdict("b_1", "Blue Mill", "NOT ENOUGH INFO", OPEN, OLD),
        verdict("b_2", "Blue Mill", "NOT ENOUGH INFO", OPEN, NEW),
    ]


def pages(count: int, first: int = 0) -> list[dict[str, str]]:
    """Pages "Village 0", "Village 1" and so on, each with one sentence, a claim it supports and one it leaves open."""
    rows = []
    for n in range(first, first + count):
        said = f"Village {n} lies on the hill above the old salt road , which forty carts a day once took ."
        rows.append(verdict(f"v{n}_1", f"Village {n}", "SUPPORTS", f"Village {n} lies on a hill .", said))
        rows.append(verdict(f"v{n}_2", f"Village {n}", "NOT ENOUGH INFO", f"Village {n} has a fair .", said))
    return rows


def fact_check_data(folder: Path, **splits: Sequence[Mapping[str, Any]]) -> Path:
    """The three splits, ten pages each where none are given."""
    for at, split in enumerate(("train", "dev", "test")):
        write(folder / "vitaminc" / f"{split}.jsonl", splits.get(split, pages(10, first=100 * at)))
    return folder


def topics(*names: str) -> list[dict[str, Any]]:
    """Records of ConvSent with two replies of either sentiment, one of them published twice."""
    return [
        {
            "ent": name,
            "pos": [f" I like {name}. ", f" I like {name}. ", " Great fun! "],
            "neg": [f" I avoid {name}. ", " A bore. "],
        }
        for name in names
    ]


def sentiment_data(folder: Path, **splits: Sequence[Mapping[str, Any]]) -> Path:
    """The three splits, five topics each where none are given."""
    for split in ("train", "dev", "test"):
        names = [f"{split} {thing}" for thing in ("kites", "chess", "soup", "rain", "jazz")]
        write(folder / "convsent" / f"{split}.json", splits.get(split, topics(*names)))
    return folder


def twin(case: int, subject: str, target: str, rephrase: str, neighbour: str) -> dict[str, Any]:
    """One record of CounterFact in EasyEdit's form."""
    return {
        "case_id": case,
        "prompt": f"{subject} is a twin city of",
        "target_new": target,
        "subject": subject,
        "ground_truth": "Oslo",
        "rephrase_prompt": rephrase,
        "locality_prompt": neighbour,
        "locality_ground_truth": "Oslo",
    }


def counterfact_data(folder: Path) -> Path:
    """Three subjects, one of them twice, a dev file that shares one of them, and a train file that shares none."""
    test = [
        twin(4, "Arbon", "Lima", "The mayor left in May. Arbon is a twin city of", "Derby is a twin city of"),
        twin(7, "Arbon", "Quito", "Arbon's twin city is known for", "Leeds is a twin city of"),
        twin(8, "Bergen", "Rome", "Bergen's twin city is known for", "Where is Arbon? It is a twin city of"),
        twin(9, "Cadiz", "Bonn", "The mayor of Cadiz is a twin city of", "Derby is a twin city of"),
    ]
    dev = [
        twin(1, "Cadiz", "Kiev", "Cadiz's twin city is known for", "York is a twin city of"),
        twin(2, "Dover", "Kiev", "Dover's twin city is known for", "York is a twin city of"),
    ]
    write(folder / "counterfact" / "edit.json", test)
    write(folder / "counterfact" / "val.json", dev)
    write(
        folder / "counterfact" / "train.json", [twin(3, "Eger", "Oslo", "Eger is known for", "Ulm is a twin city of")]
    )
    return folder


def triples_data(folder: Path) -> Path:
    """Ten people with a place of birth; the first four also with a job, and Ann with a language."""
    people = ("Ann", "Bob", "Cat", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon")
    places, jobs = ("Rome", "Oslo"), ("cook", "nurse")
    rows = {
        "P1": [(name, places[at % 2]) for at, name in enumerate(people)] + [("Kim", "Rome"), ("Kim", "Oslo")],
        "P2": [(name, jobs[at % 2]) for at, name in enumerate(people[:4])],
        "P3": [("Ann", "Latin"), ("Bob", "Greek"), ("Cat", "Latin"), ("Dan", "Greek")],
    }
    for name, patterns in {"P1": BORN, "P2": WORKS, "P3": SPEAKS}.items():
        write(folder / PATTERNS / f"{name}.jsonl", [{"pattern": one} for one in patterns])
        write(folder / TREX / f"{name}.jsonl", [{"sub_label": a, "obj_label": b} for a, b in rows[name]])
    return folder


def few_triples(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """The same data, and splits of their size: a test split of two edits and a stranger."""
    patch.setattr(triples, "EDITS", {"train": 3, "dev": 1, "test": 2})
    patch.setattr(triples, "STRANGERS", {"train": 1, "dev": 1, "test": 1})
    return triples_data(folder)
