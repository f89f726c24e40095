"""FEVER and LeapOfThought as tiny files of the published schemas, with contents we made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from errata.problems import fever_copy, leapofthought
from errata.problems.held_out import percentile
from errata.problems.leapofthought import FORMS
from tiny_problems import fact_check_data, pages, write

Said = tuple[str, str, str, bool]


def named(shares: range, prefix: str) -> str:
    """A name whose hash falls in these shares of a hundred."""
    return next(name for n in range(5000) if percentile(name := f"{prefix}{n}") in shares)


def claim(text: str, label: str, *pages: str) -> dict[str, Any]:
    """One record of FEVER."""
    return {"id": 1, "claim": text, "label": label, "evidence_pages": list(pages)}


def fever_data(folder: Path, rows: Sequence[dict[str, Any]], *, elsewhere: Sequence[str] = ()) -> Path:
    """FEVER's claims, and VitaminC and FEVER-Symmetric with claims that other parts were trained on."""
    fact_check_data(folder, train=pages(1, first=900), dev=pages(1, first=910), test=pages(1, first=920))
    write(folder / "fever" / "dev.jsonl", rows)
    first = [{"claim": text, "label": "SUPPORTS", "evidence_sentence": "e"} for text in (*elsewhere, "Unused.")]
    write(folder / "fever_symmetric" / "v01_generated.jsonl", first)
    write(folder / "fever_symmetric" / "v02_dev.jsonl", [{"claim": "Unused.", "label": "SUPPORTS", "evidence": "e"}])
    return folder


def triple(said: Said) -> dict[str, str]:
    """A statement as the metadata have it."""
    subject, predicate, thing, holds = said
    return {
        "subject": subject,
        "predicate": predicate,
        "object": thing,
        "validity": "always true" if holds else "never true",
    }


def leap(
    subject: str, wide: str, thing: str, holds: bool, *, rule: bool = True, predicate: str = "meronym",
    wrong: Sequence[str] = (), others: Sequence[Said] = (), facts: Sequence[Said] = (),
) -> dict[str, Any]:  # fmt: skip
    """One record of LeapOfThought: `subject` is a `wide`, and a `wide` has a `thing` or has none."""
    about: dict[str, Any] = {
        "statement": triple((subject, predicate, thing, holds)),
        "property": triple((wide, predicate, thing, holds)),
        "rules": [],
        "split": "test",
        "distractors": {
            "implicit_rule": [triple((subject, "hypernym", other, False)) for other in wrong],
            "statement": [triple(said) for said in others],
            "property": [triple(said) for said in facts],
        },
    }
    if rule:
        about["implicit_rule"] = triple((subject, "hypernym", wide, True))
    phrase = FORMS[predicate].format(subject, thing)
    return {"id": "1", "phrase": phrase, "context": "", "answer": int(holds), "metadata": about}


def leap_data(folder: Path, dev: Sequence[dict[str, Any]], test: Sequence[dict[str, Any]]) -> Path:
    """The two published files."""
    write(folder / "leapofthought" / "dev.jsonl", dev)
    write(folder / "leapofthought" / "test.jsonl", test)
    return folder


def one_of_each(folder: Path) -> Path:
    """Test splits of both: an edit, an input in its scope, and one out of it that is about something else."""
    mill, barn = (named(shares["test"], name) for shares, name in
                  ((fever_copy.EDITED, "Mill "), (fever_copy.ASKED, "Barn ")))  # fmt: skip
    rows = [claim(f"{mill} was directed by Ron Howard.", "SUPPORTS", mill)]
    fever_data(folder, rows + [claim(f"{barn} has {n} doors.", "SUPPORTS", barn) for n in range(40)])
    ash, elm = (named(shares["test"], name) for shares, name in
                ((leapofthought.EDITED, "ash"), (leapofthought.ASKED, "elm")))  # fmt: skip
    near = [(elm, "/r/Desires", "rain", False)]
    leaps = [leap(ash, "tree", "bark", True), leap(elm, "tree", "leaf", True, others=near)]
    return leap_data(folder, leaps, leaps)
