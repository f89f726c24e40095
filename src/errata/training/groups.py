"""Edits with the inputs around them, drawn from the corpora, to train scope and reader on.

A `Group` is one edit with inputs inside its scope (and what the answer is then) and inputs outside. This module draws
texts; it never sees a model, nor what the corpora dropped because a test or dev file holds it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from errata.problems.blocks import blocks_of
from errata.problems.english import is_day, proper, year_of
from errata.problems.entailed import INVERSE, Entailed, entailed
from errata.problems.facts import fill, load_relations
from errata.training.corpora import Item
from errata.training.group import AnswerKind, Group, Inside
from errata.training.phrasebook import relation_of
from errata.training.questions import Questions
from errata.training.texts import TRUE_FALSE, fill_in, names, normal, opinion, same_words, spoken, text_of

NEAR = 12
"""Tries to find a question about something similar."""
TASKED = 0.5
"""Share of the groups that hold a task against the edit, where all kinds of edits are trained on together."""
BESIDE_OTHERS = 0.15
"""Share of them in which an input in scope stands among other sentences."""
DATED = 0.12
"""Share of the entailed groups whose answer is a day, so that its year is asked for too."""

Draw = Callable[[random.Random], Group]
SHARES: Mapping[str, Mapping[str, float]] = {
    "": {
        "relations": 0.32,
        "attributes": 0.07,
        "facts": 0.10,
        "entailed": 0.15,
        "rephrases": 0.10,
        "pokemqa": 0.09,
        "squad": 0.06,
        "counterfact": 0.06,
        "vitaminc": 0.02,
        "topics": 0.03,
        "written": 0.40,
    },
    "qa": {"relations": 0.5, "rephrases": 0.4, "pokemqa": 0.1},
    "qa_hard": {"relations": 0.35, "rephrases": 0.25, "entailed": 0.35, "pokemqa": 0.05},
}
"""How often each source gives a group, relative to the others, by the problem that is trained for; "" is for all."""


class Sources(Questions):
    """Draws groups from the corpora.

    Args:
        data: the public data's folder.
        seed: of the sample that is read of T-REx.
        problem: a key of `SHARES`.

    `beside` holds what is drawn before the corpora are asked: each with the share of the groups it gives.
    """

    def __init__(self, data: Path, *, seed: int = 0, problem: str = "") -> None:
        super().__init__(data, seed=seed)
        self.shares = SHARES[problem]
        self.beside: list[tuple[float, Draw]] = []
        self.draws: Mapping[str, Draw] = {
            "relations": self.relation_group,
            "attributes": self.attribute_group,
            "facts": self.fact_group,
            "entailed": self.entailed_group,
            "rephrases": self.mend_group,
            "pokemqa": self.pokemqa_group,
            "squad": self.squad_group,
            "counterfact": self.counterfact_group,
            "vitaminc": self.vitaminc_group,
            "topics": self.topic_group,
            "written": self.written_group,
        }
        self.written = blocks_of(text_of("written.txt"))
        self.asked_items = [item for item in self.items if item.question]
        self.dated_items = [item for item in self.asked_items if is_day(item.answer)]

    def draw(self, source: random.Random) -> Group:
        """One group from a source drawn by its share; drawn again where a made-up question happens to be a test's."""
        while True:
            group = self._drawn(source)
            if self.shares is SHARES[""] and group.target:
                group = self._in_the_wild(group, source)
            texts = (group.prompt, *(one.text for one in group.inside), *group.outside)
            if self.questions.isdisjoint(map(normal, texts)):
                return group

    def _in_the_wild(self, group: Group, source: random.Random) -> Group:
        """The group with a task held against it, or with an input among other sentences, or as it is."""
        if source.random() < TASKED:
            group = replace(group, outside=(*group.outside, self.task(source, group.prompt, proper(group.prompt))))
        if group.inside and source.random() < BESIDE_OTHERS:
            first, *rest = group.inside
            group = replace(group, inside=(replace(first, text=self.among(first.text, source)), *rest))
        return group

    def _drawn(self, source: random.Random) -> Group:
        for share, draw in self.beside:
            if source.random() < share:
                return draw(source)
        return self.draws[source.choices(list(self.shares), list(self.shares.values()))[0]](source)

    def batch(self, source: random.Random, count: int) -> list[Group]:
        """Groups that are trained on together."""
        return [self.draw(source) for _ in range(count)]

    def relation_group(self, source: random.Random) -> Group:
        """A subject's relation from the phrasebook; outside: its other relations, and other subjects."""
        item = source.choice(self.by_relation[source.choice(self.relations)] if source.random() < 0.5 else self.items)
        phrase = self.book[item.relation]
        answers = self.answers(item.relation, source, 2) or [item.answer]
        target, wrong = answers[0], self.wrong(answers[0], answers[-1], source)
        if source.random() < 0.12:  # targets that hold words of the subject, or all of it, are read whole too
            target = answers[0] = source.choice((item.subject, f"{item.subject.split()[0]} {target}", target))
        roll = source.random()
        if roll < 0.82:
            prompt = item.question if item.question and roll < 0.4 else self.ask(item.relation, item.subject, source)
        elif roll < 0.92:
            prompt = fill_in(source.choice(phrase.cloze), item.subject)
        else:
            prompt, target = fill_in(source.choice(phrase.state), item.subject, target), ""
        inside = [asked(self.within(item, source), prompt, target, source) for _ in range(2)]
        if source.random() < 0.25:
            true = source.random() < 0.5 or wrong == target
            said = target if true else wrong
            inside[1] = Inside(
                spoken(self.sentence(phrase, item.subject, said, source), source),
                "true" if true else "false",
            )
        outside = [spoken(text, source) for text in self.outside(item, source)]
        return Group(
            prompt,
            target,
            tuple(inside),
            tuple(outside),
            "relations",
            f"{item.relation}|{normal(item.subject)}",
        )

    def alike_group(self, source: random.Random) -> Group:
        """A subject's relation; outside: the same relation of the subjects that a search takes for it."""
        if source.random() < 0.5:
            fact = source.choice(self.facts)
            relation, subject, answer = fact.relation, fact.subject, fact.answer
            others = [other.subject for other in self.alike_facts.get((relation, normal(subject)), ())]
            wordings: Sequence[str] = load_relations()[relation].ask
        else:
            item = source.choice(self.items)
            relation, subject, answer = item.relation, item.subject, item.answer
            others = [other.subject for other in self.alike.get((relation, normal(subject)), ())]
            wordings = [*self.book[relation].ask, *self.templates.get(relation, ())]
        if not others:
            return self.relation_group(source)
        ask, again = source.choice(wordings), source.choice(wordings)
        target = answer if source.random() < 0.5 else source.choice(self.items).answer
        inside = asked(fill_in(again, subject), fill_in(ask, subject), target, source)
        outside = [
            spoken(fill_in(source.choice((ask, again, source.choice(wordings))), other), source)
            for other in source.sample(others, min(5, len(others)))
        ]
        key = f"{relation}|{normal(subject)}"
        return Group(fill_in(ask, subject), target, (inside,), tuple(outside), "alike", key)

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
        elif roll < 0.6 and relation.inverse:
            text = fill(source.choice(relation.inverse), replace(fact, answer=target))
            inside[1] = Inside(spoken(text, source), "span", fact.subject)
        elif roll < 0.7:
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

    def entailed_group(self, source: random.Random) -> Group:
        """A zsRE question with questions that its answer entails: yes or no, for its subject, for a part of it.

        Outside: the same questions of another subject, the question for the subject of another answer, and what
        `outside` draws.
        """
        for _ in range(NEAR):
            dated = source.random() < DATED
            item = source.choice(self.dated_items if dated and self.dated_items else self.asked_items)
            pool = self.pool[item.relation]
            target = item.answer if dated or source.random() < 0.3 else source.choice(pool)
            wrong = self.wrong(target, source.choice(pool), source)
            found = _distinct_shapes(entailed(item.question, target, subject=item.subject, wrong=wrong), source)
            if found and target:
                break
        else:
            return self.relation_group(source)
        inside = [Inside(spoken(one.question, source), _kind_of(one.answer), one.answer) for one in found[:2]]
        if source.random() < 0.35:
            inside[-1] = asked(self.ask(item.relation, item.subject, source), item.question, target, source)
        outside = [spoken(text, source) for text in source.sample(self.outside(item, source), 2)]
        near = self.near(item, source)
        if normal(near.subject) != normal(item.subject):
            question = item.question.replace(item.subject, near.subject)
            theirs = [one for one in entailed(question, target, subject=near.subject) if one.shape != INVERSE]
            outside += [spoken(one.question, source) for one in theirs[:1]]
        if normal(wrong) != normal(target):
            theirs = [one for one in entailed(item.question, wrong, subject=item.subject) if one.shape == INVERSE]
            outside += [spoken(one.question, source) for one in theirs[:1]]
        key = f"{item.relation}|{normal(item.subject)}"
        return Group(item.question, target, tuple(inside), tuple(outside), "entailed", key)

    def mend_group(self, source: random.Random) -> Group:
        """A zsRE edit with its published rephrase."""
        row = source.choice(self.mend)
        inside = (Inside(spoken(row["rephrase"], source), "span", row["alt"]),)
        prompt = row["src"]
        if source.random() < 0.3:
            prompt, inside = row["rephrase"], (Inside(spoken(row["src"], source), "span", row["alt"]),)
        template = row["src"].replace(row["subject"], "{}")
        relation = relation_of(template) if "{}" in template else None
        outside = [self.stranger(source, row["src"]), source.choice(self.asked)]
        if relation and self.by_relation[relation]:
            outside += self.outside(Item(row["subject"], relation, ""), source)[:4]
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
        words = [word for word in names(questions[0]) if len(self.poke_words[word]) > 1]
        for _ in range(NEAR):
            if len(outside) == 2:
                break
            pick = (
                source.choice(self.poke_words[source.choice(words)]) if words else source.randrange(len(self.pokemqa))
            )
            asked = self.pokemqa[pick][2]
            if mine.isdisjoint(normal(question) for question in asked) and not same_words(asked[0], questions):
                outside.append(spoken(source.choice(asked), source))
        outside.append(self.stranger(source, f"{prompt} {target}"))
        return Group(prompt, target, inside, tuple(outside), "pokemqa", normal(questions[0]))

    def squad_group(self, source: random.Random) -> Group:
        """A question and answer with the questions they entail (Ribeiro et al., 2019)."""
        row = source.choice(self.squad)
        entailed = source.sample(row["implications"], min(2, len(row["implications"])))
        inside = tuple(Inside(spoken(item["question"], source), "span", item["answer"]) for item in entailed)
        if source.random() < 0.3:
            inside = (inside[0], Inside(spoken(row["question"], source), "span", row["answer"]))
        outside = [self.stranger(source)]
        words = [word for word in names(row["question"]) if len(self.squad_words[word]) > 1]
        if words:
            near = source.choice(self.squad_words[source.choice(words)])
            if near != row["question"]:
                outside.append(near)
        return Group(row["question"], row["answer"], inside, tuple(outside), "squad", normal(row["question"]))

    def counterfact_group(self, source: random.Random) -> Group:
        """A cloze edit with its published rephrase; outside: the published neighbour."""
        row = source.choice(self.counterfact)
        text = row["rephrase_prompt"] if source.random() < 0.7 else row["prompt"]
        outside = [row["locality_prompt"], self.stranger(source, f"{row['prompt']} {row['target_new']}")]
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
        inside = tuple(Inside(spoken(opinion(topic, source), source), "none") for _ in range(2))
        return Group(
            prompt,
            "",
            inside,
            (
                spoken(opinion(other, source), source),
                spoken(self.fact_of(topic, source), source),
                spoken(self.fact_of(topic, source), source),
                self.stranger(source, topic),
            ),
            "topics",
            f"topic|{normal(topic)}",
        )

    def written_group(self, source: random.Random) -> Group:
        """An edit as people write them; now and then another wording of it is the edit, or it says something else."""
        block = source.choice(self.written)
        prompt, target, told = block.prompt, block.target, list(block.told)
        verdicts: list[Inside] = [Inside(text, "yes") for text in block.yes] + [Inside(text, "no") for text in block.no]
        if source.random() < 0.3:
            at = source.randrange(len(told))
            prompt, told[at] = told[at], prompt
        if source.random() < 0.3:  # what an edit covers does not depend on what it says
            target, verdicts = source.choice(self.written).target, []
        inside = [Inside(spoken(text, source), "span", target) for text in source.sample(told, min(2, len(told)))]
        if verdicts and source.random() < 0.4:
            inside[-1] = source.choice(verdicts)
        outside = tuple(spoken(text, source) for text in block.outside)
        return Group(prompt, target, tuple(inside), outside, "written", f"written|{normal(block.prompt)}")


def asked(text: str, prompt: str, target: str, source: random.Random) -> Inside:
    """A question after the whole target; or after the year alone, where it asks for that and the prompt does not."""
    year = year_of(target) if "year" in text.lower().split() and "year" not in prompt.lower().split() else None
    return Inside(spoken(text, source), "span" if target else "none", year or target)


def _kind_of(answer: str) -> AnswerKind:
    return {"Yes": "yes", "No": "no"}.get(answer, "span")  # type: ignore[return-value]


def _distinct_shapes(found: list[Entailed], source: random.Random) -> list[Entailed]:
    """In a drawn order, one a shape before a second of any, so that the many yes/no questions leave room."""
    source.shuffle(found)
    first: dict[str, Entailed] = {}
    for one in found:
        first.setdefault(one.shape, one)
    kept = list(first.values())
    return kept + [one for one in found if one not in kept]
