"""The public data sets and our own templates, read once, with everything dropped that a test or dev file holds.

Test files are opened for their questions and subjects only (`held_back`). This module reads; what is drawn from it is
told in groups.py.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errata.problems.facts import Fact, load_facts
from errata.problems.held_out import is_held_out
from errata.training.phrasebook import load_phrasebook, mine_templates, relation_of
from errata.training.texts import held_back, held_back_values, lines, names, normal, read, tail_name

COUNTERFACT_LATER = ("counterfact/val.json", "counterfact/edit.json")
CONVSENT_LATER = ("convsent/dev.json", "convsent/test.json")
CLOZES = ("prompt", "rephrase_prompt", "locality_prompt")


@dataclass(slots=True)
class Item:
    """A subject with one relation of the phrasebook, an answer, and the question it was met in."""

    subject: str
    relation: str
    answer: str
    question: str = ""


class Corpora:
    """Everything the scope classifier and the reader are trained on.

    Args:
        data: the public data's folder.
        seed: orders the records; the last tenth of each source is kept for `dev`.
    """

    def __init__(self, data: Path, *, seed: int = 0) -> None:
        self.data = data
        self.random = random.Random(seed)
        self.questions, self.subjects = held_back(data)
        self.book = load_phrasebook()
        self.ordinary = lines("ordinary.txt")
        self.attributes = lines("attributes.txt")
        self.tasks = lines("tasks.txt")
        self.surroundings = lines("surroundings.txt")
        self.items: list[Item] = []
        self.templates: dict[str, list[str]] = defaultdict(list)
        self.pool: dict[str, list[str]] = defaultdict(list)
        tested = held_back_values(data, COUNTERFACT_LATER, ("subject", *CLOZES))
        self._read_zsre()
        self._read_trex(tested)
        self._index()
        self.mend = [row for row in read(data / "zsre" / "mend_train.json") if self._clean(row["src"], row["subject"])]
        asked = [row["loc"].removeprefix("nq question: ") for row in read(data / "zsre" / "mend_train.json")]
        self.asked = [
            question for question in asked if normal(question) not in self.questions and not self._mentions(question)
        ][:800]
        self._read_pokemqa()
        self._read_squad()
        self.counterfact = [
            row
            for row in read(data / "counterfact" / "train.json")
            if normal(row["subject"]) not in self.subjects
            and tested.isdisjoint(normal(row[key]) for key in ("subject", *CLOZES))
        ]
        self._read_vitaminc()
        later = self.subjects | held_back_values(data, CONVSENT_LATER, ("ent",))
        self.topics = [row["ent"] for row in read(data / "convsent" / "train.json") if normal(row["ent"]) not in later]
        self._index_strangers()
        self.facts = [fact for fact in load_facts() if normal(fact.subject) not in self.subjects]
        self.same_relation: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self.same_relation[fact.relation].append(fact)

    def _clean(self, question: str, subject: str = "") -> bool:
        return normal(question) not in self.questions and (not subject or normal(subject) not in self.subjects)

    def _mentions(self, text: str) -> bool:
        """Whether a held-back subject stands in a text as a run of words."""
        words = normal(text).split()
        runs = (" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, min(len(words), a + 9) + 1))
        return any(run in self.subjects for run in runs)

    # what is read once

    def _read_zsre(self) -> None:
        rows = read(self.data / "zsre" / "train_qa.jsonl")
        self.strangers: list[tuple[str, str]] = []
        for row, found in zip(rows, mine_templates([row["input"] for row in rows]), strict=True):
            if found is None or not self._clean(row["input"], found[1]) or is_held_out(found[1]):
                continue
            template, subject = found
            relation = relation_of(template)
            self.strangers.append((row["input"], normal(subject)))
            if relation is None:
                continue
            if template not in self.templates[relation]:
                self.templates[relation].append(template)
            self.pool[relation].append(row["answer"])
            self.items.append(Item(subject, relation, row["answer"], row["input"]))

    def _read_trex(self, tested: set[str]) -> None:
        held = self.subjects | tested
        by_property: dict[str, list[str]] = defaultdict(list)
        for name, phrase in self.book.items():
            for number in phrase.wikidata:
                by_property[number].append(name)
        for path in sorted((self.data / "pararel" / "data" / "trex_lms_vocab").glob("*.jsonl")):
            names = by_property.get(path.stem)
            if not names:
                continue
            rows = read(path)
            for row in self.random.sample(rows, min(250, len(rows))):
                if normal(row["sub_label"]) in held:
                    continue
                self.pool[names[0]].append(row["obj_label"])
                self.items.append(Item(row["sub_label"], names[0], row["obj_label"]))

    def _index(self) -> None:
        self.by_relation: dict[str, list[Item]] = defaultdict(list)
        words: dict[str, list[Item]] = defaultdict(list)
        for item in self.items:
            self.by_relation[item.relation].append(item)
            for word in set(normal(item.subject).split()):
                words[word].append(item)
        self.words = {word: items for word, items in words.items() if 2 <= len(items) <= 60}
        self.relations = sorted(relation for relation, items in self.by_relation.items() if len(items) >= 3)

    def _index_strangers(self) -> None:
        """Questions of strangers by their rarer words."""
        words: dict[str, list[str]] = defaultdict(list)
        for question in (*self.asked, *self.squad_questions):
            for word in sorted(set(normal(question).split())):
                if len(word) > 3:
                    words[word].append(question)
        self.stranger_words = {word: asked for word, asked in words.items() if len(asked) <= 40}

    def _read_pokemqa(self) -> None:
        self.pokemqa: list[tuple[str, str, list[str]]] = []
        self.asks: dict[str, set[int]] = defaultdict(set)
        for row in read(self.data / "pokemqa" / "edits.json"):
            questions = [question for question in row["questions"] if self._clean(question)]
            if self._mentions(row["edit"]):
                continue
            named = " ".join(tail_name(row["edit"]))
            # questions that name the object ask for the subject: another scope than the rest
            questions = [question for question in questions if not named or named not in question]
            if len(questions) < 2:
                continue
            for question in questions:
                self.asks[normal(question)].add(len(self.pokemqa))
            self.pokemqa.append((row["edit"], named, questions))
        self.poke_words: dict[str, list[int]] = defaultdict(list)
        for at, (_, _, questions) in enumerate(self.pokemqa):
            for word in names(questions[0]):
                self.poke_words[word].append(at)

    def _read_squad(self) -> None:
        rows = read(self.data / "squad_implications" / "train.jsonl")
        rows = [row for row in rows if self._clean(row["question"]) and not self._mentions(row["question"])]
        self.squad_questions = [row["question"] for row in rows]
        self.squad = [row for row in rows if row["implications"]]
        self.squad_words: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            for word in names(row["question"]):
                self.squad_words[word].append(row["question"])

    def _read_vitaminc(self) -> None:
        groups: dict[str, list[Any]] = defaultdict(list)
        for row in read(self.data / "vitaminc" / "train.jsonl"):
            if row["revision_type"] == "real" and len(row["evidence"].split()) > 10:
                groups[row["evidence"]].append(row)
        self.vitaminc = list(groups.values())
        self.claims = [row["claim"] for rows in self.vitaminc[:4000] for row in rows]
