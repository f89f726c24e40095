"""QA-hard: QA's edits asked in ways further off, and out-of-scope inputs nearer by (SERAC, sections 4 and 5).

The edits are those of `qa`. In scope come, beside the question and its rephrase, a question that the edit entails and a
statement to judge as true or false. Out of scope come, beside random questions, the neighbours of each edit by the
embeddings of an encoder that was never trained here, among train questions whose subjects no edit has; those too are
asked as they are, as questions they entail, and as statements to judge. Test files only, and what training leaves out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.cases import DataFolder, EditCase, Labelled, Problem, Record, Unlabelled
from errata.problems.entailed import INVERSE, Entailed, entailed
from errata.problems.held_out import HeldOut, normalise, runs
from errata.problems.qa import (
    EVAL,
    KNOWEDIT,
    NATURAL,
    TRAIN,
    edit_of,
    first_of_each_subject,
    held_out_train_questions,
    relation_or_wording,
    same_subject,
    trained_texts,
)
from errata.problems.statements import statement
from errata.training.texts import TRUE_FALSE

DRAWN = "drawn"
"""The kind of the one input of each edit that edit success counts; among the edit's others it stands by its own."""
OTHER_ENTAILED = "other_entailed"
OTHER_TRUE_FALSE = "other_true_false"
"""Kinds of inputs out of scope: what questions about subjects that no edit has entail, and their statements."""

TOP = 100
"""Nearest neighbours that hard out-of-scope inputs are drawn from, less the very nearest, which may be in scope."""
SKIPPED = {"softmax": 25, "uniform": 50}
"""The very nearest, by how the others are drawn: softmax(cosine / 0.1) as the released code does, or uniformly as the
paper says."""
TEMPERATURE = 0.1
NEIGHBOURS = 5
"""Neighbours of each edit."""

Row = Mapping[str, Any]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts as vectors, one a row, of any length but zero."""


def load_qa_hard(
    data: str | Path | None = None,
    *,
    split: str = "test",
    seed: int = 0,
    draw: str = "softmax",
    encode: Encode | None = None,
) -> Problem:
    """The zsRE test with hard inputs on either side.

    Each edit has one input in scope of every kind that there is for it, and one of these, drawn uniformly, once more as
    the kind "drawn": that one counts as edit success. Entailed questions and statements are hard.

    Args:
        data: folder of the public data; None takes ERRATA_DATA.
        split: "test"; there is no other.
        seed: of everything drawn.
        draw: how neighbours are drawn, "softmax" or "uniform", see `SKIPPED`.
        encode: gives the embeddings; None takes the untrained backbone (all-MiniLM-L6-v2), which needs errata[local].

    Raises:
        ConfigError: another split or draw, no data folder, or a file that is missing or broken.
        ModelError: the backbone is not to be found.
    """
    if split != "test":
        raise ConfigError(f"qa_hard has no split {split!r}", key=split, accepted=("test",))
    if draw not in SKIPPED:
        raise ConfigError(f"neighbours cannot be drawn by {draw!r}", key=draw, accepted=tuple(SKIPPED))
    folder = DataFolder(data)
    rows = _texts(folder.read(EVAL, "subject", "src", "rephrase", "alt", "pred", "answers"), EVAL,
                  "subject", "src", "rephrase", "alt", "pred", lists=("answers",))  # fmt: skip
    records = first_of_each_subject(rows)
    knowedit = folder.read(KNOWEDIT, "subject", "prompt", "locality")
    train = _texts(folder.read(TRAIN, "input", "answer"), TRAIN, "input", "answer")
    natural = _texts(folder.read(NATURAL, "question"), NATURAL, "question")
    notes: Counter[str] = Counter()
    follows = _follows(records, seed, notes)
    held = held_out_train_questions(train, others=[*records, *trained_texts(folder)])
    pool = _pool(held, records, follows, seed)
    notes["pool questions"], notes["pool inputs"] = len(held), len(pool)
    near = _neighbours(records, pool, encode or _backbone(), draw, seed)
    others = same_subject(records, knowedit, notes)
    return Problem(
        name="qa_hard",
        split=split,
        cases=tuple(
            EditCase(
                edit_of(at, row),
                tuple(_in_scope(row, follows[subject], f"{seed} {subject}", notes)),
                (*near[subject], *_of_same_subject(others.get(subject, ()))),
            )
            for at, (subject, row) in enumerate(records.items())
        ),
        shared=(
            *(Unlabelled(row["question"], kinds.NQ, note="random") for row in natural),
            *_strangers(pool, records, seed),
        ),
        success=frozenset({DRAWN}),
        data_hash=folder.hash,
        notes=tuple(sorted(notes.items())),
    )


def _texts(rows: Sequence[Record], name: str, *fields: str, lists: Sequence[str] = ()) -> Sequence[Row]:
    """The rows, if these fields hold texts and lists of texts."""
    for row in rows:
        for field in fields:
            if not isinstance(row[field], str):
                raise ConfigError(f"{row.place}: {field!r} must be a text", where=name, key=field)
        for field in lists:
            if not isinstance(row[field], list) or not all(isinstance(one, str) for one in row[field]):
                raise ConfigError(f"{row.place}: {field!r} must be a list of texts", where=name, key=field)
    return rows


# in scope


def _wrong(row: Row, source: random.Random) -> str:
    """An alternative of the record that is not its target; empty where there is none."""
    taken = normalise(row["alt"])
    found = [text for text in (row["pred"], *row["answers"]) if text.strip() and normalise(text) != taken]
    return source.choice(found) if found else ""


def _follows(records: Mapping[str, Row], seed: int, notes: Counter[str]) -> dict[str, list[Entailed]]:
    """What each edit entails, without what another edit answers otherwise: all of them are in memory at once."""
    found = {}
    for subject, row in records.items():
        source = random.Random(f"{seed} {subject} wrong")
        found[subject] = entailed(row["src"], row["alt"], subject=subject, wrong=_wrong(row, source))
    asked: dict[str, set[str]] = {}
    for subject, row in records.items():
        for text, answer in (
            *((one.question, one.answer) for one in found[subject]),
            *((text, row["alt"]) for text in (row["src"], row["rephrase"])),
        ):
            asked.setdefault(normalise(text), set()).add(normalise(answer))
    for subject, several in found.items():
        sure = [one for one in several if len(asked[normalise(one.question)]) == 1]
        notes["entailed dropped: another edit answers otherwise"] += len(several) - len(sure)
        found[subject] = sure
    return found


def _in_scope(row: Row, follows: Sequence[Entailed], seed: str, notes: Counter[str]) -> Iterator[Labelled]:
    """One input of each kind that there is for the edit, and one of them once more as the drawn one."""
    source = random.Random(seed)
    made = [Labelled(row["src"], row["alt"], kinds.SAME)]
    if row["rephrase"].strip():
        made.append(Labelled(row["rephrase"], row["alt"], kinds.REPHRASE))
    if follows:
        shape = source.choice(sorted({one.shape for one in follows}))
        one = source.choice([one for one in follows if one.shape == shape])
        made.append(Labelled(one.question, one.answer, kinds.ENTAILED, True))
        notes[f"entailed: {one.shape}"] += 1
    else:
        notes["entailed: none"] += 1
    wrong = _wrong(row, source)
    true = not wrong or source.random() < 0.5
    text = statement(row["src"], row["alt"] if true else wrong)
    if text is None:
        notes["true or false: no statement"] += 1
    else:
        made.append(Labelled(_to_judge(text, source), "True" if true else "False", kinds.TRUE_FALSE, True))
    yield from made
    yield replace(source.choice(made), kind=DRAWN)


def _to_judge(text: str, source: random.Random) -> str:
    """A statement behind one of the authors' prefixes, half of which are lower-cased."""
    prefix = source.choice(TRUE_FALSE)
    return f"{prefix if source.random() < 0.5 else prefix.lower()}{text}"


# out of scope


@dataclass(frozen=True, slots=True)
class _Other:
    """An input about a subject that no edit has: a held-out question, what it entails, or its statement."""

    text: str
    subject: str
    template: str
    kind: str

    @property
    def form(self) -> str:
        """For the notes."""
        return {OTHER_ENTAILED: ", entailed", OTHER_TRUE_FALSE: ", true/false"}.get(self.kind, "")


def _pool(
    held: Sequence[HeldOut], records: Mapping[str, Row], follows: Mapping[str, Sequence[Entailed]], seed: int
) -> list[_Other]:
    """Each held-out question, one question it entails and one statement, as far as there are any.

    Left out is what an edit's own inputs say, and what asks for the subject of a fact whose answer is an edit's target:
    an edit may answer that.
    """
    mine = {normalise(one.question) for several in follows.values() for one in several}
    mine |= {normalise(text) for row in records.values() for text in (row["src"], row["rephrase"])}
    targets = {normalise(row["alt"]) for row in records.values()}
    alike: dict[str, list[str]] = {}
    for one in held:
        alike.setdefault(one.template, []).append(one.answer)
    found = []
    for one in held:
        source = random.Random(f"{seed} {one.question}")
        wrong = source.choice(alike[one.template])
        forms = [(one.question, kinds.TRAIN_OTHER_SUBJECT)]
        asked = [
            other
            for other in entailed(one.question, one.answer, subject=one.subject, wrong=wrong)
            if other.shape != INVERSE or normalise(one.answer) not in targets
        ]
        if asked:
            forms.append((source.choice(asked).question, OTHER_ENTAILED))
        text = statement(one.question, source.choice((one.answer, wrong)))
        if text is not None:
            forms.append((_to_judge(text, source), OTHER_TRUE_FALSE))
        found += [_Other(text, one.subject, one.template, kind) for text, kind in forms if normalise(text) not in mine]
    return list({normalise(one.text): one for one in reversed(found)}.values())[::-1]


def _strangers(pool: Sequence[_Other], records: Mapping[str, Row], seed: int) -> Iterator[Unlabelled]:
    """One input of every held-out question, its form drawn; hard where an edit asks the same relation."""
    asked = {relation_or_wording(row["src"], subject) for subject, row in records.items()}
    forms: dict[tuple[str, str], list[_Other]] = {}
    for one in pool:
        forms.setdefault((one.subject, one.template), []).append(one)
    for (subject, template), several in forms.items():
        one = random.Random(f"{seed} {subject} {template} form").choice(several)
        hard = relation_or_wording(template, "{}") in asked
        yield Unlabelled(one.text, one.kind, hard, f"{'same relation' if hard else 'random'}{one.form}")


def _of_same_subject(found: Sequence[Unlabelled]) -> Iterator[Unlabelled]:
    """The published prompts are left to `qa`: as cloze texts they give themselves away."""
    yield from (replace(one, note="same subject") for one in found if one.kind == kinds.SAME_SUBJECT)


def _neighbours(
    records: Mapping[str, Row], pool: Sequence[_Other], encode: Encode, draw: str, seed: int
) -> dict[str, list[Unlabelled]]:
    """A few of each edit's nearest inputs in the pool, but none about its subject."""
    if not pool:
        return {subject: [] for subject in records}
    theirs = _unit(encode([one.text for one in pool]))
    near = _unit(encode([row["src"] for row in records.values()])) @ theirs.T
    names = [normalise(one.subject) for one in pool]
    found = {}
    for at, (subject, row) in enumerate(records.items()):
        mine = set(runs(normalise(row["src"]).split())) | {normalise(subject)}
        cosines = np.where([name in mine for name in names], -np.inf, near[at])
        chosen = _draw(cosines, draw, np.random.default_rng([seed, at]))
        found[subject] = [
            Unlabelled(pool[place].text, kinds.NEIGHBOUR, True, f"neighbour{pool[place].form}") for place in chosen
        ]
    return found


def _draw(cosines: NDArray[np.float32], draw: str, source: np.random.Generator) -> list[int]:
    """Places of a few of the nearest, less the very nearest; what has no cosine (-inf) is never drawn."""
    order = np.argsort(-cosines, kind="stable")[:TOP]
    order = order[np.isfinite(cosines[order])][SKIPPED[draw] :]
    if not len(order):
        return []
    weights = np.exp(cosines[order].astype(np.float64) / TEMPERATURE) if draw == "softmax" else np.ones(len(order))
    count = min(NEIGHBOURS, len(order))
    return [int(place) for place in source.choice(order, count, replace=False, p=weights / weights.sum())]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors with length 1."""
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def _backbone() -> Encode:
    """The pretrained encoder as it comes, its tokens' mean; as fixed as the data, whatever is trained here."""
    from errata.models.backbone import find_backbone
    from errata.models.network import NetworkConfig, new_network, save_network
    from errata.models.runtime import open_runtime, run_sorted
    from errata.models.text import Texts

    config = NetworkConfig(shape="dual", rank=0)
    with TemporaryDirectory() as folder:
        save_network(new_network(config), config, Path(folder))
        runtime = open_runtime(Path(folder), "torch")
    texts = Texts(find_backbone(config.backbone), max_length=config.max_length)

    def encode(inputs: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([out[0] for out in run_sorted(runtime, texts.singles, list(inputs))])

    return encode
