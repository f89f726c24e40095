"""CounterFact: false facts as edits, told as beginnings of sentences (Meng et al., 2022), in EasyEdit's form.

Its three figures are efficacy (the prompt itself: kind "same"), paraphrase ("rephrase") and neighbourhood: prompts of
the same relation about other subjects, whose true answer is the one that the edit replaces.

EasyEdit's `rephrase_prompt` is a paraphrase in one record of six only. The others are the beginnings that CounterFact
made to let a model run on ("One can get to Ostankinsky District by navigating"): the edit bears on them, but its target
is rarely what comes next. They are a kind of their own that edit success does not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Record, Unlabelled, distinct, later_splits
from errata.problems.held_out import normalise, runs

FILES = {"dev": "counterfact/val.json", "test": "counterfact/edit.json"}
TRAINED = "counterfact/train.json"
"""What the shipped parts were trained on: none of its subjects is asked."""

Row = Mapping[str, Any]


def load_counterfact(data: str | Path | None = None, *, split: str = "test") -> Problem:
    """CounterFact as an editing problem.

    Edits are the first record of each subject, in file order: records of one subject often contradict one another
    (five twin cities of Tirana), and all edits are in memory at once. Left out, and counted in the notes: records whose
    subject is in `TRAINED`, and neighbours about a subject that an edit has, for they may be in its scope.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "dev" or "test"; subjects that the test has are left out of dev.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    later = later_splits("counterfact", split, tuple(FILES))
    folder = DataFolder(data)
    notes: Counter[str] = Counter()
    rows = _strangers(_read(folder, split), folder, notes)
    templates = {row["prompt"].replace(row["subject"], "{}") for row in rows}
    records = _first_of_each_subject(rows, notes)
    for name in {subject(row) for other in later for row in _read(folder, other)} & set(records):
        notes["records dropped: the subject is in the test"] += 1
        del records[name]
    outside = _neighbours(records, notes)
    return Problem(
        name="counterfact",
        split=split,
        cases=tuple(EditCase(_edit(row), _in_scope(row, templates), outside[name]) for name, row in records.items()),
        data_hash=folder.hash,
        notes=tuple(sorted(notes.items())),
    )


def subject(row: Row) -> str:
    """A record's subject as subjects are compared; one without an ASCII letter is its own name."""
    return normalise(row["subject"]) or str(row["subject"])


def _read(folder: DataFolder, split: str) -> list[Record]:
    """All records of a split, checked."""
    name = FILES[split]
    rows = folder.read_texts(name, "prompt", "target_new", "subject", "rephrase_prompt", "locality_prompt")
    seen: set[int] = set()
    for row in rows:
        case = row.get("case_id")
        if type(case) is not int:  # bool is an int to isinstance
            raise ConfigError(f"{row.place}: 'case_id' must be a whole number", where=name, key="case_id")
        if case in seen:
            raise ConfigError(f"{row.place}: 'case_id' {case} came before", where=name, key="case_id")
        if row["subject"] not in row["prompt"]:
            raise ConfigError(f"{row.place}: 'prompt' does not name the subject", where=name, key="prompt")
        seen.add(case)
    return rows


def _strangers(rows: Sequence[Row], folder: DataFolder, notes: Counter[str]) -> list[Row]:
    """The records about subjects that nothing was trained on.

    Raises:
        ConfigError: there is none.
    """
    trained = {subject(row) for row in folder.read_texts(TRAINED, "subject")}
    found = [row for row in rows if subject(row) not in trained]
    if not found:
        raise ConfigError(f"holds no record whose subject is not in {TRAINED}", where="counterfact")
    if len(found) < len(rows):
        notes["records dropped: the subject is trained on"] += len(rows) - len(found)
    return found


def _first_of_each_subject(rows: Iterable[Row], notes: Counter[str]) -> dict[str, Row]:
    first: dict[str, Row] = {}
    for row in rows:
        if first.setdefault(subject(row), row) is not row:
            notes["records dropped: the subject has an edit"] += 1
    return first


def _edit(row: Row) -> Edit:
    meta = {"subject": row["subject"], "case_id": str(row["case_id"])}
    return Edit(prompt=row["prompt"], target=row["target_new"], id=f"counterfact-{row['case_id']}", meta=meta)


def _in_scope(row: Row, templates: Iterable[str]) -> tuple[Labelled, ...]:
    """The prompt itself, and the published rephrase by what it is."""
    said, target = row["rephrase_prompt"], row["target_new"]
    kind = kinds.REPHRASE if is_paraphrase(said, row["subject"], templates) else kinds.OPEN_ENDED
    return distinct([Labelled(said, target, kind, True), Labelled(row["prompt"], target, kinds.SAME)])


def is_paraphrase(text: str, about: str, templates: Iterable[str]) -> bool:
    """Whether a `rephrase_prompt` is a paraphrase: a prompt's wording after a sentence that has nothing to do with it.

    Args:
        text: the published text.
        about: its subject.
        templates: the prompts of the file, with {} for the subject.

    Example:
        >>> is_paraphrase("He left in May. Rome is a twin city of", "Rome", ["{} is a twin city of"])
        True
        >>> is_paraphrase("Rome's twin city is known for", "Rome", ["{} is a twin city of"])
        False
    """
    for template in templates:
        filled = template.replace("{}", about)
        before = text[: -len(filled)]
        # a letter before the wording belongs to it ("The trademark of" + "... is owned by"), unless a line ends there
        if text.endswith(filled) and before.strip() and ("\n" in before or not before.rstrip()[-1].isalnum()):
            return True
    return False


def _neighbours(records: Mapping[str, Row], notes: Counter[str]) -> dict[str, tuple[Unlabelled, ...]]:
    """The locality prompts by subject, each once."""
    found: dict[str, tuple[Unlabelled, ...]] = {name: () for name in records}
    seen: set[str] = set()
    for name, row in records.items():
        text = normalise(row["locality_prompt"])
        if any(run in records for run in runs(text.split())):
            notes["neighbours dropped: about a subject that an edit has"] += 1
        elif text in seen:
            notes["neighbours dropped: repeated"] += 1
        else:
            note = "the relation of the edit, and the answer that it replaces"
            found[name] = (Unlabelled(row["locality_prompt"], kinds.NEIGHBOURHOOD, True, note),)
        seen.add(text)
    return found
