"""Triples of Wikidata as cloze edits: PARAREL's T-REx triples, in the place of SeProG's Wikidata5m (its section 5.1).

An edit is a triple in a wording of its relation, up to the object, with another object of the relation as target: "Mary
Good works in the field of" -> "logic". In scope are the relation's other wordings; another relation of the same subject
is out of scope, and hard. (PARAREL: Elazar et al., 2021; T-REx: Elsahar et al., 2018.) Every split is a small choice of
the triples, such that a small base model can know them all unedited.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Unlabelled, later_splits
from errata.problems.held_out import normalise

TREX = "pararel/data/trex_lms_vocab"
PATTERNS = "pararel/data/pattern_data/graphs_json"
EDITS: Mapping[str, int] = {"train": 768, "dev": 256, "test": 512}
"""Edits of a split, those of subjects with two relations first."""
STRANGERS: Mapping[str, int] = {"train": 384, "dev": 128, "test": 256}
"""Subjects of a split that have no edit; they are asked as easy inputs out of scope."""
WORDINGS = 6
"""At most so many wordings of a relation are used."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with the wordings that end in its object, in the published order.

    Args:
        name: Wikidata's number for it, such as "P19".
        wordings: with "[X]" for the subject and without the object; none is a wording of another relation too.
        near: relations that share a published wording with it; to ask one may be to ask the other.
    """

    name: str
    wordings: tuple[str, ...]
    near: frozenset[str] = frozenset()

    @property
    def known(self) -> tuple[str, ...]:
        """Wordings that the base model is trained on; the first is that of edits."""
        return self.wordings[: len(self.wordings) - len(self.held_out)]

    @property
    def held_out(self) -> tuple[str, ...]:
        """The last third, which the base model never reads."""
        return self.wordings[len(self.wordings) - len(self.wordings) // 3 :]


@dataclass(frozen=True, slots=True)
class Triple:
    """A fact: subject, relation, object."""

    subject: str
    relation: Relation
    object: str

    def ask(self, wording: str) -> str:
        """The wording about the subject: "Mary Good works in the field of"."""
        return wording.replace("[X]", self.subject)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The triples of one split.

    Args:
        edited: what edits are made of, one a subject.
        beside: other relations of an edit's subject, by its normalised name.
        strangers: triples of subjects that have no edit, one a subject.
    """

    edited: tuple[Triple, ...]
    beside: Mapping[str, tuple[Triple, ...]]
    strangers: tuple[Triple, ...]

    @property
    def triples(self) -> tuple[Triple, ...]:
        """All of them: what a base model must know."""
        return (*self.edited, *(one for several in self.beside.values() for one in several), *self.strangers)


def load_triples(data: str | Path | None = None, *, split: str = "test", seed: int = 0) -> Problem:
    """T-REx triples as an editing problem.

    Which triples a split has is fixed; no two splits share a subject. A target is another object of the relation, drawn
    evenly from those that the three splits have.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test".
        seed: of the targets.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    later_splits("triples", split, tuple(EDITS))
    folder = DataFolder(data)
    splits = choose(*read_triples(folder))
    objects = _objects(splits)
    chosen = splits[split]
    found = []
    for triple in chosen.edited:
        name = normalise(triple.subject)
        others = [other for other in objects[triple.relation.name] if other != triple.object]
        if others:
            target = random.Random(f"{seed} {name} target").choice(others)
            found.append(_case(triple, target, chosen.beside.get(name, ())))
    return Problem(
        name="triples",
        split=split,
        cases=tuple(found),
        shared=tuple(_asked(one, kinds.OTHER_SUBJECT, "another subject") for one in chosen.strangers),
        data_hash=folder.hash,
        notes=tuple(sorted(Counter(f"relation {case.edit.meta['relation']}" for case in found).items())),
    )


def read_triples(folder: DataFolder) -> tuple[list[Triple], Mapping[str, Relation]]:
    """The triples that can be asked, and their relations by name.

    Left out are subjects with several objects of one relation, for which no answer is the right one, and relations
    without a wording of their own.

    Raises:
        ConfigError: a file is missing or broken, or nothing is left.
    """
    patterns = {
        path.stem: [row["pattern"] for row in folder.read_texts(f"{PATTERNS}/{path.name}", "pattern")]
        for path in sorted((folder.folder / PATTERNS).glob("*.jsonl"))
    }
    relations = {one.name: one for one in relations_of(patterns) if one.wordings}
    triples: list[Triple] = []
    for name, relation in relations.items():
        objects: dict[str, list[Triple]] = defaultdict(list)
        for row in folder.read_texts(f"{TREX}/{name}.jsonl", "sub_label", "obj_label"):
            objects[normalise(row["sub_label"])].append(Triple(row["sub_label"], relation, row["obj_label"]))
        triples += [several[0] for subject, several in objects.items() if subject and len(several) == 1]
    if not triples:
        raise ConfigError("holds no triple that can be asked", where=PATTERNS)
    return triples, relations


def relations_of(patterns: Mapping[str, Sequence[str]]) -> Iterator[Relation]:
    """Relations from their published patterns, such as "[X] was born in [Y] .", by name.

    A wording ends where the object begins. Patterns with the object elsewhere are left out, those with an article
    before it, which would tell how it begins, and wordings that several relations have.
    """
    wordings = {name: _wordings(published) for name, published in patterns.items()}
    owners: dict[str, set[str]] = defaultdict(set)
    for name, several in wordings.items():
        for wording in several:
            owners[wording].add(name)
    for name, several in wordings.items():
        own = tuple(wording for wording in several if owners[wording] == {name})[:WORDINGS]
        near = frozenset().union(*(owners[wording] for wording in several)) - {name}
        yield Relation(name, own, near)


def _wordings(patterns: Sequence[str]) -> list[str]:
    found = []
    for pattern in patterns:
        before, _, after = " ".join(pattern.split()).partition("[Y]")
        if "[X]" in before and not normalise(after) and before.split()[-1].lower() not in ("a", "an"):
            found.append(before.strip())
    return list(dict.fromkeys(found))


def choose(triples: Sequence[Triple], relations: Mapping[str, Relation]) -> Mapping[str, Chosen]:
    """The triples of each split, by the hashes of the subjects' names.

    Subjects with two relations are few, so they are dealt out first, in proportion to the edits that a split has.
    """
    of: dict[str, list[Triple]] = defaultdict(list)
    for triple in triples:
        of[normalise(triple.subject)].append(triple)
    names = sorted(of, key=_hash)
    editable = {name: [one for one in of[name] if len(one.relation.wordings) > 1] for name in names}
    pairs = [(name, pair) for name in names if (pair := _pair(name, editable[name], of[name]))]
    paired = {name for name, _ in pairs}
    single = iter([name for name in names if name not in paired and editable[name]])
    found: dict[str, Chosen] = {}
    start, total = 0, sum(EDITS.values())
    for split, wanted in EDITS.items():
        share = min(wanted, len(pairs) * wanted // total)
        mine, start = pairs[start : start + share], start + share
        edited = [edit for _, (edit, _) in mine]
        edited += [_one(name, editable[name]) for name in islice(single, wanted - share)]
        strangers = [_one(name, editable[name]) for name in islice(single, STRANGERS[split])]
        found[split] = Chosen(tuple(edited), {name: beside for name, (_, beside) in mine}, tuple(strangers))
    return found


def _pair(name: str, editable: Sequence[Triple], several: Sequence[Triple]) -> tuple[Triple, tuple[Triple, ...]] | None:
    """A triple to edit and the subject's other relations that are not near it; None where there are no two."""
    for edit in sorted(editable, key=lambda one: _hash(f"{name} {one.relation.name}")):
        near = {edit.relation.name, *edit.relation.near}
        beside = tuple(one for one in several if one.relation.name not in near)
        if beside:
            return edit, beside
    return None


def _one(name: str, editable: Sequence[Triple]) -> Triple:
    return min(editable, key=lambda one: _hash(f"{name} {one.relation.name}"))


def _objects(splits: Mapping[str, Chosen]) -> Mapping[str, list[str]]:
    """The objects that each relation has in any split, sorted."""
    found: dict[str, set[str]] = defaultdict(set)
    for chosen in splits.values():
        for triple in chosen.triples:
            found[triple.relation.name].add(triple.object)
    return {name: sorted(several) for name, several in found.items()}


def _case(triple: Triple, target: str, beside: Sequence[Triple]) -> EditCase:
    relation = triple.relation
    prompt, *rephrases = (triple.ask(wording) for wording in relation.wordings)
    unread = {triple.ask(wording) for wording in relation.held_out}
    name = f"{_hash(normalise(triple.subject))[:10]}-{relation.name}"
    meta = {"subject": triple.subject, "relation": relation.name, "answer": triple.object}
    inside = (
        Labelled(prompt, target, kinds.SAME),
        *(Labelled(text, target, kinds.REPHRASE, text in unread) for text in rephrases),
    )
    outside = tuple(_asked(one, kinds.SAME_SUBJECT, "same subject, another relation", hard=True) for one in beside)
    return EditCase(Edit(prompt=prompt, target=target, id=f"triples-{name}", meta=meta), inside, outside)


def _asked(triple: Triple, kind: str, note: str, *, hard: bool = False) -> Unlabelled:
    text = triple.ask(triple.relation.wordings[0])
    return Unlabelled(text, kind, hard, f"{note}: {triple.relation.name}", answer=triple.object)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
