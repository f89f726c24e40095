"""Single texts drawn from the corpora: questions after a relation, statements, look-alikes, strangers.

What stands together in a group, and which side of a scope a text is on, is told in groups.py.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from errata.problems.facts import Fact, fill, load_relations
from errata.training.alike import Embed, nearest_others
from errata.training.corpora import Corpora, Item
from errata.training.phrasebook import Phrase, further, named, rivals, siblings, spelled
from errata.training.texts import TRUE_FALSE, fill_in, near_value, normal, renamed

NEUTRAL = (
    "What is the origin of {}?",
    "Tell me something about {}.",
    "What does {} mean?",
    "When did you first hear of {}?",
    "Can you define {}?",
    "Who would know more about {}?",
    "How is {} pronounced?",
    "Where would I find {}?",
    "Who came up with {}?",
    "How old is {}?",
)
"""Questions that fit any topic and ask for no opinion."""


TASKS = {"{question}": 0.6, "{subject}": 0.15, "{passage}": 0.1, "": 0.15}
"""How often a task has which slot, or none."""


class Questions(Corpora):
    """Draws questions and statements about the corpora's subjects; see Corpora for its arguments."""

    alike: Mapping[tuple[str, str], Sequence[Item]] = {}
    alike_facts: Mapping[tuple[str, str], Sequence[Fact]] = {}

    def ask(self, relation: str, subject: str, source: random.Random) -> str:
        """A question about a subject's relation, in our words or in zsRE's."""
        mined = self.templates.get(relation)
        template = source.choice(mined if mined and source.random() < 0.45 else self.book[relation].ask)
        return fill_in(template, subject)

    def sentence(self, phrase: Phrase, subject: str, answer: str, source: random.Random) -> str:
        """A statement to be called true or false."""
        return source.choice(TRUE_FALSE) + fill_in(source.choice(phrase.state), subject, answer)

    def learn_alike(self, embed: Embed) -> None:
        """Find the subjects that a search takes for one another (see `nearest_others`)."""
        asked = {
            relation: [(item.subject, fill_in(self.book[relation].ask[0], item.subject), item) for item in items]
            for relation, items in self.by_relation.items()
        }
        told = {
            relation: [(fact.subject, fill(load_relations()[relation].ask[0], fact), fact) for fact in facts]
            for relation, facts in self.same_relation.items()
        }
        self.alike, self.alike_facts = nearest_others(asked, embed), nearest_others(told, embed)

    def near(self, item: Item, source: random.Random) -> Item:
        """Another subject of the same relation: a name one word or digit away, or one that shares a word, or any."""
        if source.random() < 0.3 and (name := renamed(item.subject, source.choice(self.items).subject, source)):
            return Item(name, item.relation, "")
        words = [word for word in normal(item.subject).split() if word in self.words]
        if words and source.random() < 0.7:
            return source.choice(self.words[source.choice(words)])
        return source.choice(self.by_relation[item.relation])

    def answers(self, relation: str, source: random.Random, count: int) -> list[str]:
        """So many different answers that the relation has, or as many as it has."""
        pool = self.pool[relation]
        found = {source.choice(pool) for _ in range(count * 4)} - {""}
        return source.sample(sorted(found), min(count, len(found)))

    def wrong(self, target: str, other: str, source: random.Random) -> str:
        """What a wrong statement says in the target's place: something like it where it has digits, or another."""
        return (near_value(target, source) if source.random() < 0.5 else "") or other

    def within(self, item: Item, source: random.Random) -> str:
        """The item's own question in another wording, now and then a cloze prompt."""
        roll = source.random()
        if roll < 0.1:
            return fill_in(source.choice(self.book[item.relation].cloze), item.subject)
        if roll < 0.16:
            return self.ask_attribute(spelled(item.relation), item.subject, source)
        return self.ask(item.relation, item.subject, source)

    def outside(self, item: Item, source: random.Random) -> list[str]:
        """Inputs outside an item's scope: two on its subject, two on others of its relation, now and then a stranger.

        The first two ask another relation of the subject, the next two ask the relation (mostly) of another subject.
        """
        out = [self.other_relation(item, source), self.other_relation(item, source)]
        for _ in range(2):
            other = self.near(item, source)
            if normal(other.subject) == normal(item.subject):
                continue
            roll = source.random()
            if roll < 0.12 and self.pool[item.relation]:
                said = source.choice(self.pool[item.relation])
                out.append(self.sentence(self.book[item.relation], other.subject, said, source))
            elif roll < 0.8:
                out.append(self.ask(item.relation, other.subject, source))
            else:
                out.append(other.question or self.ask(other.relation, other.subject, source))
        if source.random() < 0.5:
            out.append(self.stranger(source, item.subject))
        return out

    def other_relation(self, item: Item, source: random.Random) -> str:
        """A question after another relation of the subject, often one that is easily taken for the item's own."""
        others, roll = siblings(item.relation), source.random()
        if roll < 0.22 and named(item.relation):
            return self.two_steps(item, source)
        if not others or roll < 0.42:
            return self.ask_attribute(self.attribute(item.relation, source), item.subject, source)
        if roll < 0.71:
            others = rivals(item.relation) or others
        relation = source.choice(others)
        phrase, roll = self.book[relation], source.random()
        answers = self.answers(relation, source, 1) if self.pool.get(relation) else []
        if roll < 0.1 and answers:
            return self.sentence(phrase, item.subject, answers[0], source)
        if roll < 0.2:
            return fill_in(source.choice(phrase.cloze), item.subject)
        if roll < 0.35:
            return self.ask_attribute(spelled(relation), item.subject, source)
        return self.ask(relation, item.subject, source)

    def attribute(self, relation: str, source: random.Random) -> str:
        """An attribute that shares no word with the relation's own questions."""
        known = set(normal(" ".join(self.book[relation].ask)).split()) | set(relation.split("_"))
        attribute = source.choice(self.attributes)
        for _ in range(8):
            if known.isdisjoint(attribute.split()):
                break
            attribute = source.choice(self.attributes)
        return attribute

    def two_steps(self, item: Item, source: random.Random) -> str:
        """A question about the item's answer, not after it: "Where was the director of ... born?"."""
        name = fill_in(source.choice(named(item.relation)), item.subject)
        relations = further(item.relation)
        if not relations or source.random() < 0.15:
            return self.ask_attribute(self.attribute(item.relation, source), name, source)
        return self.ask(source.choice(relations), name, source)

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
                "The {a} of {s} is",
            )
        ).format(a=attribute, s=subject)

    def fact_of(self, topic: str, source: random.Random) -> str:
        """A question about a topic that asks for no opinion."""
        if source.random() < 0.5:
            return self.ask_attribute(source.choice(self.attributes), topic, source)
        if source.random() < 0.4:
            return source.choice(NEUTRAL).format(topic)
        return self.ask(source.choice(self.relations), topic, source)

    def task(self, source: random.Random, question: str = "", subject: str = "") -> str:
        """What assistants are asked to do: with a quoted question, about a subject, on a text, or none of it."""
        slots = {"{question}": question, "{subject}": subject, "{passage}": source.choice(self.claims), "": "-"}
        known = [slot for slot, filling in slots.items() if filling]
        slot = source.choices(known, [TASKS[slot] for slot in known])[0]
        fitting = [text for text in self.tasks if (slot in text if slot else "{" not in text)]
        return source.choice(fitting).replace(slot or "{", slots[slot])

    def among(self, text: str, source: random.Random) -> str:
        """An input among other sentences: what people write around a question, or statements of another matter."""
        if source.random() < 0.6:
            return source.choice(self.surroundings).replace("{question}", text)
        said = [text, *source.sample(self.claims, source.choice((1, 1, 2)))]
        return " ".join(said if source.random() < 0.3 else reversed(said))

    def stranger(self, source: random.Random, about: str = "") -> str:
        """A question that has nothing to do with any edit: asked of a search engine, about a text, or in a chat.

        Half of those that are to be held against an edit `about` something share a word with it, where there are such.
        """
        words = [word for word in normal(about).split() if word in self.stranger_words]
        if words and source.random() < 0.5:
            return source.choice(self.stranger_words[source.choice(words)])
        roll = source.random()
        if roll < 0.35:
            return str(source.choice(self.asked))
        if roll < 0.6:
            return str(source.choice(self.squad_questions))
        return source.choice(self.ordinary) if roll < 0.8 else source.choice(self.strangers)[0]
