"""Edits with the inputs around them, drawn from public data and our own templates, to train scope and reader on.

A `Group` is one edit with inputs inside its scope (and what the answer is then) and inputs outside. Everything that
shares a question or a subject with a test or dev file is dropped when the sources are read (`held_back`); test files
are opened for their questions and subjects only. This module draws texts; it never sees a model.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from errata.errors import ConfigError
from errata.problems.facts import Fact, fill, load_facts, load_relations
from errata.problems.held_out import is_held_out
from errata.training.base import TRUE_FALSE, roughen
from errata.training.phrasebook import Phrase, load_phrasebook, mine_templates, relation_of, siblings

AnswerKind = Literal["span", "true", "false", "none"]
NEAR = 12


@dataclass(frozen=True, slots=True)
class Inside:
    """An input in the edit's scope; kind "none" when only the scope is known, not the answer."""

    text: str
    kind: AnswerKind
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """One edit and inputs around it; `key` names its scope, so that edits of one scope are not taken for strangers."""

    prompt: str
    target: str
    inside: tuple[Inside, ...]
    outside: tuple[str, ...]
    source: str
    key: str


@dataclass(slots=True)
class Item:
    """A subject with one relation of the phrasebook, an answer, and the question it was met in."""

    subject: str
    relation: str
    answer: str
    question: str = ""


def normal(text: str) -> str:
    """Lower case, letters and digits only: how questions and subjects are compared."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def lines(name: str) -> tuple[str, ...]:
    """A bundled list, one text a line."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line.strip())


def read(path: Path) -> list[Any]:
    """The records of a .json or .jsonl file (ConfigError when it is missing or broken)."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {path}: {error}; ERRATA_DATA must name the folder of the public data"
        ) from error


def held_back(data: Path) -> tuple[set[str], set[str]]:
    """Normalised questions and subjects of every zsRE dev and test file; nothing trained on may share one."""
    questions: set[str] = set()
    subjects: set[str] = set()
    for name in (
        "mend_eval.json",
        "knowedit_test.json",
        "knowedit_test_paraphrases10.json",
        "alias.json",
        "inverse.json",
        "decao_dev.jsonl",
    ):
        for row in read(data / "zsre" / name):
            subjects.update(normal(row[key]) for key in ("subject", "alternative_subject") if row.get(key))
            for key in (
                "src",
                "prompt",
                "rephrase",
                "rephrase_prompt",
                "alter_subject_question",
                "inverse question",
            ):
                said = row.get(key) or []
                questions.update(normal(text) for text in ([said] if isinstance(said, str) else said))
    for row in read(data / "nq_open" / "dev.jsonl"):
        questions.add(normal(row["question"]))
    return questions, subjects


BEFORE = (
    "Please tell me: ",
    "Quick question: ",
    "Hi! ",
    "Hey, ",
    "Do you know: ",
    "I was wondering, ",
    "One more: ",
    "Q: ",
)
AFTER = (" Thanks!", " please", " Just curious.", " Answer briefly.", " I need it for a quiz.")


def spoken(text: str, source: random.Random) -> str:
    """The same input as people send it: roughened, now and then with a slip of the finger or polite words around it."""
    text = roughen(text, source)
    roll = source.random()
    if roll < 0.03:
        return source.choice(BEFORE) + text
    if roll < 0.05:
        return text + source.choice(AFTER)
    if roll < 0.09 and len(text) > 12:
        at = source.randrange(1, len(text) - 2)
        return text[:at] + (text[at + 1] + text[at] if source.random() < 0.5 else "") + text[at + 2 :]
    return text


def _fill(template: str, subject: str, answer: str = "") -> str:
    return template.replace("{subject}", subject).replace("{answer}", answer).replace("{}", subject)


class Sources:
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
        self.items: list[Item] = []
        self.templates: dict[str, list[str]] = defaultdict(list)
        self.pool: dict[str, list[str]] = defaultdict(list)
        self._read_zsre()
        self._read_trex()
        self._index()
        self.mend = [row for row in read(data / "zsre" / "mend_train.json") if self._clean(row["src"], row["subject"])]
        asked = [row["loc"].removeprefix("nq question: ") for row in read(data / "zsre" / "mend_train.json")]
        self.asked = [
            question for question in asked if normal(question) not in self.questions and not self._mentions(question)
        ][:800]
        self._read_pokemqa()
        self._read_squad()
        self.counterfact = [
            row for row in read(data / "counterfact" / "train.json") if normal(row["subject"]) not in self.subjects
        ]
        self._read_vitaminc()
        self.topics = [
            row["ent"] for row in read(data / "convsent" / "train.json") if normal(row["ent"]) not in self.subjects
        ]
        self.facts = [fact for fact in load_facts() if normal(fact.subject) not in self.subjects]
        self.same_relation: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self.same_relation[fact.relation].append(fact)
        self.draws: Mapping[str, tuple[float, Callable[[random.Random], Group]]] = {
            "relations": (0.40, self.relation_group),
            "attributes": (0.08, self.attribute_group),
            "facts": (0.10, self.fact_group),
            "rephrases": (0.10, self.mend_group),
            "pokemqa": (0.10, self.pokemqa_group),
            "squad": (0.10, self.squad_group),
            "counterfact": (0.05, self.counterfact_group),
            "vitaminc": (0.04, self.vitaminc_group),
            "topics": (0.03, self.topic_group),
        }

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

    def _read_trex(self) -> None:
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
                if normal(row["sub_label"]) in self.subjects:
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

    def _read_pokemqa(self) -> None:
        self.pokemqa: list[tuple[str, str, list[str]]] = []
        self.asks: dict[str, set[int]] = defaultdict(set)
        for row in read(self.data / "pokemqa" / "edits.json"):
            questions = [question for question in row["questions"] if self._clean(question)]
            if self._mentions(row["edit"]):
                continue
            named = " ".join(_tail_name(row["edit"]))
            # questions that name the object ask for the subject: another scope than the rest
            questions = [question for question in questions if not named or named not in question]
            if len(questions) < 2:
                continue
            for question in questions:
                self.asks[normal(question)].add(len(self.pokemqa))
            self.pokemqa.append((row["edit"], named, questions))
        self.poke_words: dict[str, list[int]] = defaultdict(list)
        for at, (_, _, questions) in enumerate(self.pokemqa):
            for word in _names(questions[0]):
                self.poke_words[word].append(at)

    def _read_squad(self) -> None:
        rows = read(self.data / "squad_implications" / "train.jsonl")
        rows = [row for row in rows if self._clean(row["question"]) and not self._mentions(row["question"])]
        self.squad_questions = [row["question"] for row in rows]
        self.squad = [row for row in rows if row["implications"]]
        self.squad_words: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            for word in _names(row["question"]):
                self.squad_words[word].append(row["question"])

    def _read_vitaminc(self) -> None:
        groups: dict[str, list[Any]] = defaultdict(list)
        for row in read(self.data / "vitaminc" / "train.jsonl"):
            if row["revision_type"] == "real" and len(row["evidence"].split()) > 10:
                groups[row["evidence"]].append(row)
        self.vitaminc = list(groups.values())
        self.claims = [row["claim"] for rows in self.vitaminc[:4000] for row in rows]

    # drawing

    def draw(self, source: random.Random) -> Group:
        """One group from a source drawn by weight."""
        names = list(self.draws)
        name = source.choices(names, [self.draws[name][0] for name in names])[0]
        return self.draws[name][1](source)

    def ask(self, relation: str, subject: str, source: random.Random) -> str:
        """A question about a subject's relation, in our words or in zsRE's."""
        mined = self.templates.get(relation)
        template = source.choice(mined if mined and source.random() < 0.45 else self.book[relation].ask)
        return _fill(template, subject)

    def _sentence(self, phrase: Phrase, subject: str, answer: str, source: random.Random) -> str:
        return source.choice(TRUE_FALSE) + _fill(source.choice(phrase.state), subject, answer)

    def near(self, item: Item, source: random.Random) -> Item:
        """Another subject of the same relation, one that shares a word with this one where there is any."""
        words = [word for word in normal(item.subject).split() if word in self.words]
        if words and source.random() < 0.6:
            other = source.choice(self.words[source.choice(words)])
        else:
            other = source.choice(self.by_relation[item.relation])
        return other

    def _answers(self, relation: str, source: random.Random, count: int) -> list[str]:
        pool = self.pool[relation]
        found = {source.choice(pool) for _ in range(count * 4)} - {""}
        return source.sample(sorted(found), min(count, len(found)))

    def relation_group(self, source: random.Random) -> Group:
        """A subject's relation from the phrasebook; outside: its other relations, and other subjects."""
        item = source.choice(self.by_relation[source.choice(self.relations)] if source.random() < 0.5 else self.items)
        phrase = self.book[item.relation]
        answers = self._answers(item.relation, source, 2) or [item.answer]
        target, wrong = answers[0], answers[-1]
        roll = source.random()
        if roll < 0.82:
            prompt = item.question if item.question and roll < 0.4 else self.ask(item.relation, item.subject, source)
        elif roll < 0.92:
            prompt = _fill(source.choice(phrase.cloze), item.subject)
        else:
            prompt, target = _fill(source.choice(phrase.state), item.subject, target), ""
        inside = [
            Inside(spoken(self._inside(item, source), source), "span" if target else "none", target) for _ in range(2)
        ]
        if source.random() < 0.25:
            true = source.random() < 0.5 or wrong == answers[0]
            said = answers[0] if true else wrong
            inside[1] = Inside(
                spoken(self._sentence(phrase, item.subject, said, source), source),
                "true" if true else "false",
            )
        outside = [spoken(text, source) for text in self._outside(item, source)]
        return Group(
            prompt,
            target,
            tuple(inside),
            tuple(outside),
            "relations",
            f"{item.relation}|{normal(item.subject)}",
        )

    def _inside(self, item: Item, source: random.Random) -> str:
        if source.random() < 0.1:
            return _fill(source.choice(self.book[item.relation].cloze), item.subject)
        return self.ask(item.relation, item.subject, source)

    def _outside(self, item: Item, source: random.Random) -> list[str]:
        out = []
        others = siblings(item.relation)
        for _ in range(2):
            if others and source.random() < 0.75:
                relation = source.choice(others)
                phrase, roll = self.book[relation], source.random()
                answers = self._answers(relation, source, 1) if self.pool.get(relation) else []
                if roll < 0.12 and answers:
                    out.append(self._sentence(phrase, item.subject, answers[0], source))
                elif roll < 0.2:
                    out.append(_fill(source.choice(phrase.cloze), item.subject))
                else:
                    out.append(self.ask(relation, item.subject, source))
            else:
                out.append(self._attribute(item.relation, item.subject, source))
        other = self.near(item, source)
        if normal(other.subject) != normal(item.subject):
            roll = source.random()
            if roll < 0.15 and self.pool[item.relation]:
                said = source.choice(self.pool[item.relation])
                out.append(self._sentence(self.book[item.relation], other.subject, said, source))
            elif roll < 0.75:
                out.append(self.ask(item.relation, other.subject, source))
            else:
                out.append(other.question or self.ask(other.relation, other.subject, source))
        out.append(self.stranger(source))
        return out

    def _attribute(self, relation: str, subject: str, source: random.Random) -> str:
        known = set(normal(" ".join(self.book[relation].ask)).split()) | set(relation.split("_"))
        for _ in range(8):
            attribute = source.choice(self.attributes)
            if known.isdisjoint(attribute.split()):
                break
        if source.random() < 0.2:  # asks for something about the answer: two steps, not this edit's question
            names = [
                said[4:-3].format(subject=subject)
                for said in self.book[relation].cloze
                if said.startswith("The ") and said.endswith(" is")
            ]
            if names:
                return f"What is the {attribute} of the {source.choice(names)}?"
        return self.ask_attribute(attribute, subject, source)

    def ask_attribute(self, attribute: str, subject: str, source: random.Random) -> str:
        """A question after any attribute of any subject, in a handful of shapes."""
        return source.choice(
            (
                "What is the {a} of {s}?",
                "What's {s}'s {a}?",
                "Tell me the {a} of {s}.",
                "Which {a} does {s} have?",
                "{s} {a}",
                "the {a} of {s}",
                "What was the {a} for {s}?",
                "Do you know {s}'s {a}?",
                "Can you give me the {a} of {s}?",
            )
        ).format(a=attribute, s=subject)

    def stranger(self, source: random.Random) -> str:
        """A question that has nothing to do with any edit: asked of a search engine, about a text, or in a chat."""
        roll = source.random()
        if roll < 0.35:
            return str(source.choice(self.asked))
        if roll < 0.6:
            return str(source.choice(self.squad_questions))
        return source.choice(self.ordinary) if roll < 0.8 else source.choice(self.strangers)[0]

    def attribute_group(self, source: random.Random) -> Group:
        """Any attribute of any subject, so that the notion of a relation is open."""
        subject = source.choice(self.items).subject
        mine, *others = source.sample(self.attributes, 3)
        target = source.choice(self.items).answer
        inside = tuple(
            Inside(spoken(self.ask_attribute(mine, subject, source), source), "span", target) for _ in range(2)
        )
        outside = [spoken(self.ask_attribute(other, subject, source), source) for other in others]
        outside.append(self.ask_attribute(mine, source.choice(self.items).subject, source))
        return Group(
            self.ask_attribute(mine, subject, source),
            target,
            inside,
            tuple(outside),
            "attributes",
            f"{mine}|{normal(subject)}",
        )

    def fact_group(self, source: random.Random) -> Group:
        """One of our own facts with a wrong target, asked back to front too."""
        relations = load_relations()
        fact = source.choice(self.facts)
        relation = relations[fact.relation]
        pool = [other.answer for other in self.same_relation[fact.relation]]
        target, wrong = source.choice(pool), source.choice(pool)
        prompt = fill(source.choice(relation.ask), fact)
        inside = [Inside(spoken(fill(source.choice(relation.ask), fact), source), "span", target) for _ in range(2)]
        roll = source.random()
        if roll < 0.3:
            said = target if source.random() < 0.5 else wrong
            text = source.choice(TRUE_FALSE) + fill(source.choice(relation.state), replace(fact, answer=said))
            inside[1] = Inside(spoken(text, source), "true" if said == target else "false")
        elif roll < 0.5 and relation.inverse:
            inside[1] = Inside(
                fill(source.choice(relation.inverse), replace(fact, answer=target)), "span", fact.subject
            )
        elif roll < 0.6:
            inside[1] = Inside(fill(source.choice(relation.cloze), fact), "span", target)
        outside = []
        for other in relations.values():
            if other.subject_type == relation.subject_type and other.name != relation.name:
                outside.append(spoken(fill(source.choice(other.ask), fact), source))
        outside = source.sample(outside, min(2, len(outside)))
        stranger = source.choice(self.same_relation[fact.relation])
        if stranger.subject != fact.subject:
            outside.append(spoken(fill(source.choice(relation.ask), stranger), source))
            if relation.inverse and stranger.answer != target:
                outside.append(fill(source.choice(relation.inverse), stranger))
        return Group(prompt, target, tuple(inside), tuple(outside), "facts", f"{fact.relation}|{normal(fact.subject)}")

    def mend_group(self, source: random.Random) -> Group:
        """A zsRE edit with its published rephrase."""
        row = source.choice(self.mend)
        inside = (Inside(spoken(row["rephrase"], source), "span", row["alt"]),)
        prompt = row["src"]
        if source.random() < 0.3:
            prompt, inside = row["rephrase"], (Inside(spoken(row["src"], source), "span", row["alt"]),)
        template = row["src"].replace(row["subject"], "{}")
        relation = relation_of(template) if "{}" in template else None
        outside = [self.stranger(source), source.choice(self.asked)]
        if relation and self.by_relation[relation]:
            outside += self._outside(Item(row["subject"], relation, ""), source)[:3]
        return Group(prompt, row["alt"], inside, tuple(outside), "rephrases", f"{relation}|{normal(row['subject'])}")

    def pokemqa_group(self, source: random.Random) -> Group:
        """An edit sentence, or one of its questions, with the other questions."""
        at = source.randrange(len(self.pokemqa))
        edit, named, questions = self.pokemqa[at]
        one, two = source.sample(questions, 2)
        prompt, target = (one, named) if named and source.random() < 0.7 else (edit, "")
        inside = (Inside(spoken(two, source), "span" if target else "none", target),)
        mine = {normal(question) for question in questions}
        outside: list[str] = []
        words = [word for word in _names(questions[0]) if len(self.poke_words[word]) > 1]
        for _ in range(NEAR):
            if len(outside) == 2:
                break
            pick = (
                source.choice(self.poke_words[source.choice(words)]) if words else source.randrange(len(self.pokemqa))
            )
            asked = self.pokemqa[pick][2]
            if mine.isdisjoint(normal(question) for question in asked) and not _same_words(asked[0], questions):
                outside.append(spoken(source.choice(asked), source))
        outside.append(self.stranger(source))
        return Group(prompt, target, inside, tuple(outside), "pokemqa", normal(questions[0]))

    def squad_group(self, source: random.Random) -> Group:
        """A question and answer with the questions they entail (Ribeiro et al., 2019)."""
        row = source.choice(self.squad)
        entailed = source.sample(row["implications"], min(2, len(row["implications"])))
        inside = tuple(Inside(spoken(item["question"], source), "span", item["answer"]) for item in entailed)
        if source.random() < 0.3:
            inside = (inside[0], Inside(spoken(row["question"], source), "span", row["answer"]))
        outside = [self.stranger(source)]
        words = [word for word in _names(row["question"]) if len(self.squad_words[word]) > 1]
        if words:
            near = source.choice(self.squad_words[source.choice(words)])
            if near != row["question"]:
                outside.append(near)
        return Group(row["question"], row["answer"], inside, tuple(outside), "squad", normal(row["question"]))

    def counterfact_group(self, source: random.Random) -> Group:
        """A cloze edit with its published rephrase; outside: the published neighbour."""
        row = source.choice(self.counterfact)
        text = row["rephrase_prompt"] if source.random() < 0.7 else row["prompt"]
        outside = [row["locality_prompt"], self.stranger(source)]
        other = source.choice(self.counterfact)
        if row["subject"] in row["prompt"] and other["subject"] != row["subject"]:
            outside.append(row["prompt"].replace(row["subject"], other["subject"]))
        return Group(
            row["prompt"],
            row["target_new"],
            (Inside(text, "span", row["target_new"]),),
            tuple(outside),
            "counterfact",
            normal(row["prompt"]),
        )

    def vitaminc_group(self, source: random.Random) -> Group:
        """A piece of evidence as a free utterance; inside: claims it decides; outside: claims it does not."""
        rows = source.choice(self.vitaminc)
        inside, outside = [], [source.choice(self.claims)]
        for row in rows:
            text = row["claim"] if source.random() < 0.7 else source.choice(TRUE_FALSE) + row["claim"]
            if row["label"] == "NOT ENOUGH INFO":
                outside.append(text)
            else:
                inside.append(Inside(text, "true" if row["label"] == "SUPPORTS" else "false"))
        return Group(
            rows[0]["evidence"],
            "",
            tuple(inside[:2]),
            tuple(outside[:3]),
            "vitaminc",
            normal(rows[0]["page"]),
        )

    def topic_group(self, source: random.Random) -> Group:
        """A sentiment descriptor; inside: questions after one's view of the topic."""
        topic, other = source.sample(self.topics, 2)
        side = source.choice(("Positive", "Negative"))
        prompt = source.choice((f"Topic: {topic} Sentiment: {side}", f"Topic: {topic}\nSentiment: {side.lower()}"))
        inside = tuple(Inside(spoken(_opinion(topic, source), source), "none") for _ in range(2))
        return Group(
            prompt,
            "",
            inside,
            (
                spoken(_opinion(other, source), source),
                self.stranger(source),
                f"What is the origin of {topic}?",
            ),
            "topics",
            f"topic|{normal(topic)}",
        )


OPINIONS = (
    "What do you think of {}?",
    "How do you feel about {}?",
    "What do you feel about {}?",
    "How do you view {}?",
    "Do you like {}?",
    "What's your take on {}?",
    "What are your thoughts on {}?",
    "What is your opinion of {}?",
    "What is your stance on {}?",
    "What is your view on {}?",
    "What is your impression of {}?",
    "Is {} any good?",
    "Tell me what you think about {}.",
    "What is your position on {}?",
    "What is your attitude about {}?",
)


def _opinion(topic: str, source: random.Random) -> str:
    return source.choice(OPINIONS).format(topic)


def _tail_name(sentence: str) -> list[str]:
    """The capitalised words that end a sentence: "... is employed by British Broadcasting Corporation"."""
    words = sentence.rstrip(".").split()
    at = len(words)
    while at > 0 and (words[at - 1][:1].isupper() or (words[at - 1] in ("of", "the", "and", "de") and at < len(words))):
        at -= 1
    while at < len(words) and not words[at][:1].isupper():
        at += 1
    return words[at:] if at > 1 else []


def _names(question: str) -> Iterable[str]:
    """Capitalised words after the first: what a question is about."""
    return {
        word for text in question.split()[1:] if text[:1].isupper() for word in normal(text).split() if len(word) > 2
    }


def _same_words(question: str, others: Sequence[str]) -> bool:
    mine = set(normal(question).split())
    return any(len(mine & set(normal(other).split())) / len(mine) > 0.85 for other in others)
