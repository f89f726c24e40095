"""LeapOfThought as an editing problem: the rule is the edit, what follows from it is in scope (SeProG, section 5.1).

An edit says that a kind belongs to a wider one ("A polka is a music."). In its scope are phrases that follow from it
and from what the base model knows of the wider kind ("A music has a sound.", so "A polka has a sound."): the answer
stands in no edit, and may be "False" while the edit is true (Talmor et al., 2020). Out of scope are other rules of
the edit's own subject that it does not decide ("A polka is a bird."; the records' distracting statements about the
subject will not do, for the data hold a property that decides nearly every one of them), statements about subjects
that no edit has, and facts about the wider kinds.

The publisher's two files share nearly all subjects, so the splits here are by the rule's subject: the test split
reads the test file, the others the dev file, each for its own subjects. A record without its rule leaves out the one
that leads from its statement's subject to its property's, as it does in every record that has one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Record, Unlabelled, distinct, later_splits
from errata.problems.held_out import percentile

SPLITS = ("train", "dev", "test")
FILES = {"train": "leapofthought/dev.jsonl", "dev": "leapofthought/dev.jsonl", "test": "leapofthought/test.jsonl"}
EDITED: Mapping[str, range] = {"test": range(0, 60), "dev": range(68, 78), "train": range(80, 97)}
"""Of a hundred shares of the rules' subjects, those whose rules are a split's edits."""
ASKED: Mapping[str, range] = {"test": range(60, 68), "dev": range(78, 80), "train": range(97, 100)}
"""Those that have no edit: statements about them are easy out-of-scope inputs."""
KNOWN: Mapping[str, range] = {"test": range(0, 50), "dev": range(50, 60), "train": range(60, 100)}
"""The shares of the facts about the wider kinds, all of which the base learns, that a split asks."""

FORMS: Mapping[str, str] = {
    "hypernym": "A {} is a {}.",
    "meronym": "A {} has a {}.",
    "/r/IsA": "A {} is a {}.",
    "/r/CapableOf": "A {} is capable of {}.",
    "/r/PartOf": "A {} is part of {}.",
    "/r/Antonym": "A {} is the opposite of  {}.",
    "/r/Desires": "A {} desires {}.",
}
"""How a triple is said, as the published phrases say it (two spaces and "A ash" included)."""
VALID = {"always true": True, "never true": False}


class Triple(NamedTuple):
    """A statement of the data, without its truth."""

    subject: str
    predicate: str
    object: str

    @property
    def text(self) -> str:
        """The statement in words."""
        return FORMS[self.predicate].format(self.subject, self.object)


class Entailment(NamedTuple):
    """A record: a rule and a property of the wider kind, from which a statement about the subject follows."""

    rule: Triple
    property: Triple
    phrase: str
    answer: bool
    others: tuple[tuple[Triple, bool], ...]
    """The record's distracting statements, about this subject or another."""
    facts: tuple[tuple[Triple, bool], ...]
    """The property and its distractors: what holds of the wider kinds."""
    rules: tuple[Triple, ...]
    """The rule and the distracting ones, which do not hold."""


def load_leapofthought(data: str | Path | None = None, *, split: str = "test") -> Problem:
    """LeapOfThought's rules as edits with the target "True".

    Every input tells its gold label. An edit's `meta` tells the rule's subject and object.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "train", "dev" or "test"; no subject is in two.

    Raises:
        ConfigError: another split, no data folder, or a file that is missing or broken.
    """
    later_splits("leapofthought", split, SPLITS)
    folder = DataFolder(data)
    everything = {name: _read(folder, name) for name in dict.fromkeys(FILES.values())}
    world = _World(one for found in everything.values() for one in found)
    notes: Counter[str] = Counter()
    usable = [one for one in everything[FILES[split]] if world.keeps(one, notes)]
    by_rule: dict[Triple, list[Entailment]] = defaultdict(list)
    for one in usable:
        if percentile(one.rule.subject) in EDITED[split]:
            by_rule[one.rule].append(one)
    said, wrong = _statements(usable), _wrong_rules(usable)
    asked = [subject for subject in said if percentile(subject) in ASKED[split]]
    return Problem(
        name="leapofthought",
        split=split,
        cases=tuple(
            EditCase(
                Edit(prompt=rule.text, target="True", id=f"lot-{rule.subject}-{rule.object}".replace(" ", "_"),
                     meta={"subject": rule.subject, "object": rule.object}),
                distinct([
                    *(Labelled(one.phrase, str(one.answer), kinds.ENTAILED, True) for one in found),
                    Labelled(rule.text, "True", kinds.SAME),
                ]),
                tuple(world.undecided(rule.subject, wrong[rule.subject], notes)),
            )
            for rule, found in sorted(by_rule.items())
        ),
        shared=(
            *_easy((text for subject in sorted(asked) for text in _all_of(subject, usable, world, said)),
                   kinds.OTHER_SUBJECT),
            *_easy((item for item in sorted(world.known()) if percentile(item[0]) in KNOWN[split]), kinds.PROPERTY),
        ),
        success=frozenset({kinds.ENTAILED}),
        data_hash=folder.hash,
        notes=tuple(sorted((what, count) for what, count in notes.items() if count)),
    )  # fmt: skip


def read_properties(data: str | Path | None = None) -> list[tuple[str, bool]]:
    """What a base model must know of the wider kinds, for the rules to entail anything: every fact once, by its text.

    The facts of all splits; among them is no phrase and no rule of any record.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.

    Raises:
        ConfigError: no data folder, or a file is missing or broken.
    """
    folder = DataFolder(data)
    world = _World(one for name in dict.fromkeys(FILES.values()) for one in _read(folder, name))
    return sorted(world.known())


# reading


def _read(folder: DataFolder, name: str) -> list[Entailment]:
    return [_entailment(row, name) for row in folder.read(name, "phrase", "answer", "metadata")]


def _entailment(row: Record, name: str) -> Entailment:
    """A record, checked."""
    about = row["metadata"]
    try:
        distractors = about.get("distractors", {})
        prop, (statement, _) = _said(about["property"]), _said(about["statement"])
        return Entailment(
            rule=Triple(statement.subject, "hypernym", prop[0].subject),
            property=prop[0],
            phrase=str(row["phrase"]),
            answer=bool(row["answer"]),
            others=tuple(map(_said, distractors.get("statement", ()))),
            facts=(prop, *map(_said, distractors.get("property", ()))),
            rules=(
                Triple(statement.subject, "hypernym", prop[0].subject),
                *(_said(item)[0] for item in distractors.get("implicit_rule", ())),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{row.place}: 'metadata' is not as published ({error!r})", where=name) from error


def _said(item: Mapping[str, Any]) -> tuple[Triple, bool]:
    """A triple of a record, and whether it holds."""
    found = Triple(str(item["subject"]), str(item["predicate"]), str(item["object"]))
    return found, VALID[item["validity"]] and bool(found.text)


# what holds in all records


class _World:
    """What the records say between them: facts, phrases and rules, and where they contradict one another."""

    def __init__(self, records: Iterable[Entailment]) -> None:
        self._verdicts: dict[str, set[bool]] = defaultdict(set)
        self._facts: set[Triple] = set()
        self._claims: set[str] = set()
        self._wider: dict[str, set[str]] = defaultdict(set)
        for one in records:
            self._verdicts[one.phrase].add(one.answer)
            for triple, holds in (*one.others, *one.facts):
                self._verdicts[triple.text].add(holds)
            self._facts.update(triple for triple, _ in one.facts)
            self._claims.update([one.phrase, *(rule.text for rule in one.rules)])
            self._wider[one.rule.subject].add(one.rule.object)

    def keeps(self, one: Entailment, notes: Counter[str]) -> bool:
        """Whether a record is used: its phrase has one answer, and its property is a fact that a base may know."""
        if len(self._verdicts[one.phrase]) > 1:
            notes["records dropped: the phrase is true and false"] += 1
        elif not self._plain(one.property.text):
            notes["records dropped: the property is true and false, or another's phrase"] += 1
        else:
            return True
        return False

    def _plain(self, text: str) -> bool:
        """Whether a statement is no phrase and no rule, and not both true and false."""
        return text not in self._claims and len(self._verdicts[text]) == 1

    def known(self) -> Iterator[tuple[str, bool]]:
        """The facts about wider kinds that a base may know."""
        for text in {fact.text for fact in self._facts}:
            if self._plain(text):
                yield text, next(iter(self._verdicts[text]))

    def clean(self, said: Mapping[Triple, bool]) -> Iterator[tuple[str, bool]]:
        """Those of the statements that are no phrase and no rule, and not both true and false."""
        return ((triple.text, holds) for triple, holds in said.items() if self._plain(triple.text))

    def undecided(self, subject: str, said: Iterable[Triple], notes: Counter[str]) -> Iterator[Unlabelled]:
        """The rules that do not hold of a subject, but for those that a rule that holds decides with a known fact."""
        for rule in sorted(set(said)):
            told = {FORMS["hypernym"].format(wide, rule.object) for wide in self._wider[subject]}
            if rule.object in self._wider[subject] or told & {fact.text for fact in self._facts}:
                notes["same_subject dropped: a rule decides it"] += 1
            else:
                yield Unlabelled(rule.text, kinds.SAME_SUBJECT, True, "the rule does not decide it", answer="False")


def _wrong_rules(records: Iterable[Entailment]) -> dict[str, list[Triple]]:
    """The distracting rules by their subject."""
    found: dict[str, list[Triple]] = defaultdict(list)
    for one in records:
        for rule in one.rules[1:]:
            found[rule.subject].append(rule)
    return found


def _statements(records: Iterable[Entailment]) -> dict[str, dict[Triple, bool]]:
    """The distracting statements by their subject."""
    found: dict[str, dict[Triple, bool]] = defaultdict(dict)
    for one in records:
        for triple, holds in one.others:
            found[triple.subject][triple] = holds
    return found


def _all_of(
    subject: str, records: Sequence[Entailment], world: _World, said: Mapping[str, Mapping[Triple, bool]]
) -> Iterator[tuple[str, bool]]:
    """Phrases and statements about a subject, each text once."""
    phrases = {one.phrase: one.answer for one in records if one.rule.subject == subject}
    yield from sorted((phrases | dict(world.clean(said[subject]))).items())


def _easy(claims: Iterable[tuple[str, bool]], kind: str) -> Iterator[Unlabelled]:
    for text, holds in claims:
        yield Unlabelled(text, kind, answer=str(holds))
