"""What an editing problem is made of: edits, inputs in their scope with answers, inputs out of every scope.

Here are the shapes that every problem yields, and how their files are read: by path below the folder that
ERRATA_DATA names, hashed, and refused by name when missing or broken. No model is seen here.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from errata.edit import Edit, check_text
from errata.errors import ConfigError, EditError, MissingExtra

DATA = "ERRATA_DATA"
HUB = "hub:"
"""Before the name of a data set of the Hugging Face hub."""

REPHRASE = "rephrase"
SAME = "same"
ENTAILED = "entailed"
TRUE_FALSE = "true_false"
PARAPHRASE10 = "paraphrase10"
ALIAS = "alias"
MULTI_HOP = "multi_hop"
SUPPORTED = "supported"
REFUTED = "refuted"
OPINION = "opinion"
OPINION_HELD_OUT = "opinion_held_out"
OPEN_ENDED = "open_ended"
AMONG = "among"
"""Kinds of inputs in scope: another wording, the question itself, a question the edit entails, a statement to judge;
KnowEdit's ten generated paraphrases, the subject by another name, and questions whose answer takes a second fact;
claims that an edit's evidence supports or refutes; a topic's opinion asked in a wording that training may use, and in
one that it may not; beginnings of a sentence that the edit bears on, though its target rarely comes next; another
wording among sentences that ask nothing."""

NQ = "nq"
OTHER_SUBJECT = "other_subject"
TRAIN_OTHER_SUBJECT = "train_other_subject"
NEIGHBOUR = "neighbour"
SAME_RELATION = "same_relation"
SAME_SUBJECT = "same_subject"
SAME_SUBJECT_CLOZE = "same_subject_cloze"
UNDECIDED = "undecided"
OTHER_PAGE = "other_page"
OTHER_TOPIC = "other_topic"
SAME_TOPIC = "same_topic"
NEIGHBOURHOOD = "neighbourhood"
SAME_PAGE = "same_page"
PROPERTY = "property"
OTHER_PASSAGE = "other_passage"
LOOK_ALIKE = "look_alike"
QUOTING = "quoting"
ABOUT = "about"
REQUEST = "request"
"""Kinds of inputs out of scope: ordinary questions; questions of a test file, and of the train file, about subjects
that no edit has; embedding neighbours; the relation of an edit asked of another subject; another relation asked of an
edit's subject, as a question and as the published cloze prompt; claims near an edit's evidence that it does not decide,
and claims of pages that no edit has; opinions asked of topics that no edit has, and facts asked of an edit's topic;
CounterFact's prompts of the edit's relation about subjects whose answer the edit's was; claims of an edit's own page
about something else; facts about the wider kinds that rules put their subjects in; beginnings of passages that have no
edit; questions after a neighbouring matter, as users ask them; requests to do something with an edit's own question
(translate it, count its words), something about its subject that asks for no fact, and something else altogether."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An input in an edit's scope.

    Args:
        text: the input.
        answer: what the edit demands; empty where many answers would do, told by the case's `replies`.
        kind: how it came to be, see the names above.
        hard: whether it is counted as hard.
    """

    text: str
    answer: str
    kind: str
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """An input out of scope; the base model's own answer, whatever it is, must stay.

    Args:
        text: the input.
        kind: how it came to be, see the names above.
        hard: whether it is counted as hard.
        note: why it is hard or easy, for the rows.
        replies: reference replies, over whose tokens the drawdown of a problem scored by likelihoods is averaged.
        answer: the gold label where the data have one, for SeProG's drawdown, which counts against it; "" where not.
    """

    text: str
    kind: str
    hard: bool = False
    note: str = ""
    replies: tuple[str, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies to any input in an edit's scope, for edits that demand a manner and no exact answer.

    Args:
        right: of the sentiment that the edit demands.
        wrong: of the other.
    """

    right: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditCase:
    """One edit with inputs in its scope, and out-of-scope inputs that were made for this edit.

    Args:
        edit: the edit.
        in_scope: inputs whose answer it changes.
        out_of_scope: inputs that look as if it did.
        replies: good and bad answers to the inputs in scope; None where each input has one exact answer. They stay out
            of the edit, which a memory would show to the parts.
    """

    edit: Edit
    in_scope: tuple[Labelled, ...]
    out_of_scope: tuple[Unlabelled, ...] = ()
    replies: Replies | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A test: cases, out-of-scope inputs that belong to no edit, and how kinds are counted.

    Args:
        name: as `errata evaluate` calls it.
        split: which part of the data.
        cases: one an edit.
        shared: out-of-scope inputs asked whatever edits are in memory.
        success: in-scope kinds that edit success counts; the others are reported by kind only.
        apart: out-of-scope kinds that drawdown does not count; reported by kind only.
        data_hash: SHA-256 over the files it was read from.
        notes: counts worth telling (what was dropped and why).
    """

    name: str
    split: str
    cases: tuple[EditCase, ...]
    shared: tuple[Unlabelled, ...] = ()
    success: frozenset[str] = frozenset({REPHRASE})
    apart: frozenset[str] = frozenset()
    data_hash: str = ""
    notes: tuple[tuple[str, int], ...] = ()

    def sample(self, edits: int | None, seed: int) -> Self:
        """The problem with a seeded sample of its edits; None (or as many as there are) keeps all, in order.

        Raises:
            ConfigError: fewer than one edit asked for, or more than there are.
        """
        if edits is None:
            return self
        if not 1 <= edits <= len(self.cases):
            raise ConfigError(f"{self.name} has {len(self.cases)} edits, not {edits}", key="edits")
        chosen = sorted(random.Random(seed).sample(range(len(self.cases)), edits))
        return replace(self, cases=tuple(self.cases[at] for at in chosen))

    def limited(self, limit: int | None, seed: int) -> Self:
        """The problem with at most `limit` inputs of each kind, a seeded sample; the edits all stay.

        Raises:
            ConfigError: the limit is below 1.
        """
        if limit is None:
            return self
        if limit < 1:
            raise ConfigError(f"limit must be 1 or more, not {limit}", key="limit")
        places: dict[str, list[tuple[str, int, int]]] = {}
        for side, at, place, kind in self._places():
            places.setdefault(f"{side[0]} {kind}", []).append((side, at, place))
        kept = set()
        for name, found in sorted(places.items()):
            kept.update(random.Random(f"{seed} {name}").sample(found, min(limit, len(found))))
        cases = tuple(
            replace(
                case,
                in_scope=tuple(one for i, one in enumerate(case.in_scope) if ("in", at, i) in kept),
                out_of_scope=tuple(one for i, one in enumerate(case.out_of_scope) if ("out", at, i) in kept),
            )
            for at, case in enumerate(self.cases)
        )
        shared = tuple(one for i, one in enumerate(self.shared) if ("out", -1, i) in kept)
        return replace(self, cases=cases, shared=shared)

    def _places(self) -> Iterator[tuple[str, int, int, str]]:
        for at, case in enumerate(self.cases):
            yield from (("in", at, i, one.kind) for i, one in enumerate(case.in_scope))
            yield from (("out", at, i, one.kind) for i, one in enumerate(case.out_of_scope))
        yield from (("out", -1, i, one.kind) for i, one in enumerate(self.shared))


class Record(dict[str, Any]):
    """A record of a data file.

    Args:
        fields: what it holds.
        place: where it stands in its file, as an error tells it: "line 7", or "record 7, line 31" in a list.
    """

    __slots__ = ("place",)

    def __init__(self, fields: Mapping[str, Any], place: str) -> None:
        super().__init__(fields)
        self.place = place


class DataFolder:
    """The folder of the public data; remembers what was read, for the hash.

    A data set of the hub is read as it was published, by "hub:owner/name" or "hub:owner/name@revision"; of a file
    "vitaminc/test.jsonl" that it does not have, the name alone will do.

    Args:
        folder: where it is, or the data set's name; None takes the environment variable ERRATA_DATA.

    Raises:
        ConfigError: neither is given, or there is no such folder or data set.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        named = folder if folder is not None else os.environ.get(DATA, "")
        if not str(named):
            raise ConfigError(
                f"{DATA} is not set; let it name the folder that holds the public data (zsre, nq_open and so on)",
                key=DATA,
            )
        self._flat = str(named).startswith(HUB)
        self.folder = _from_hub(str(named)) if self._flat else Path(named)
        if not self.folder.is_dir():
            raise ConfigError(f"{DATA} names {self.folder}, which is no folder", key=DATA)
        self._hashes: dict[str, str] = {}

    def read(self, name: str, *fields: str) -> list[Record]:
        """The records of a .json or .jsonl file.

        Args:
            name: the file, below the folder, with forward slashes.
            fields: what each record must have.

        Raises:
            ConfigError: the file is missing, broken or empty, or a record lacks a field; says which.
        """
        rows = _records(self._blob(name), name)
        if not rows:
            raise ConfigError("holds no records", where=name)
        for row in rows:
            missing = [field for field in fields if field not in row]
            if missing:
                raise ConfigError(f"{row.place}: there is no field {missing[0]!r}", where=name, key=missing[0])
        return rows

    def read_texts(self, name: str, *fields: str) -> list[Record]:
        """The records of a file, each of whose fields named here is a text that an edit or an input may be.

        Raises:
            ConfigError: as `read`, or a field is not text, blank, over-long or binary; says which of which record.
        """
        rows = self.read(name, *fields)
        for row in rows:
            for field in fields:
                checked(row[field], name, row.place, field)
        return rows

    def read_text(self, name: str) -> str:
        """A plain text file whole.

        Raises:
            ConfigError: the file is missing, not UTF-8 or empty; says which.
        """
        text = _decoded(self._blob(name), name)
        if not text.strip():
            raise ConfigError("holds no text", where=name)
        return text

    def _blob(self, name: str) -> bytes:
        """A file's bytes, remembered for the hash."""
        path = self.folder / name
        if self._flat and not path.exists():
            path = self.folder / Path(name).name
        try:
            blob = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read {name} ({error.strerror}); {DATA} must name the folder of the public data", key=name
            ) from error
        self._hashes[name] = hashlib.sha256(blob).hexdigest()
        return blob

    @property
    def hash(self) -> str:
        """SHA-256 over the names and contents of the files read so far."""
        lines = (f"{name} {digest}\n" for name, digest in sorted(self._hashes.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files read so far, sorted."""
        return tuple(sorted(self._hashes))


def _from_hub(name: str) -> Path:
    """Where the hub's client keeps a data set, fetched where it is not there yet."""
    owner, _, revision = name.removeprefix(HUB).partition("@")
    if owner.count("/") != 1:
        raise ConfigError(f"{name!r} names no data set; say {HUB}owner/name", key=DATA)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra("huggingface_hub", "local") from error
    try:
        return Path(snapshot_download(owner, repo_type="dataset", revision=revision or None))
    except Exception as error:  # the hub's client raises a score of kinds
        raise ConfigError(f"the hub did not give {owner} ({type(error).__name__}); name a folder", key=DATA) from error


def _records(blob: bytes, name: str) -> list[Record]:
    """The records in a file's bytes."""
    text = _decoded(blob, name)
    found = list(_lines(text, name) if name.endswith(".jsonl") else _listed(text, name))
    for value, place in found:
        if not isinstance(value, dict):
            raise ConfigError(f"{place}: a record must be an object, not {type(value).__name__}", where=name)
    return [Record(value, place) for value, place in found]


def _decoded(blob: bytes, name: str) -> str:
    try:
        return blob.decode("utf-8")
    except UnicodeDecodeError as error:
        line = blob.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line} is not UTF-8 (byte {error.start} of the file)", where=name) from error


def _lines(text: str, name: str) -> Iterator[tuple[Any, str]]:
    """One JSON value a line, and which line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line), f"line {number}"
            except ValueError as error:
                raise ConfigError(f"line {number} is no JSON ({error})", where=name) from error


def _listed(text: str, name: str) -> Iterator[tuple[Any, str]]:
    """The items of a JSON list, and where each begins."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"is no JSON ({error})", where=name) from error
    if not isinstance(values, list):
        raise ConfigError("must hold a list of records", where=name)
    decoder, end, line = json.JSONDecoder(), text.index("[") + 1, 1
    before = 0
    for number, value in enumerate(values, 1):
        while text[end] in " \t\r\n,":
            end += 1
        line += text.count("\n", before, end)
        before = end
        yield value, f"record {number}, line {line}"
        end = decoder.raw_decode(text, end)[1]


def later_splits(problem: str, split: str, splits: Sequence[str]) -> tuple[str, ...]:
    """The splits after `split`: what they hold is left out of it, so that nothing trained or tuned on is tested on.

    Args:
        problem: how a message names it.
        split: the one asked for.
        splits: those there are, the one to report on last.

    Raises:
        ConfigError: there is no such split.
    """
    if split not in splits:
        raise ConfigError(f"{problem} has no split {split!r}", key=split, accepted=splits)
    return tuple(splits[list(splits).index(split) + 1 :])


def checked(text: object, name: str, place: str, field: str) -> str:
    """The text of a record's field if it is usable text.

    Raises:
        ConfigError: it is not; names the file, the place in it and the field.
    """
    try:
        return check_text(text, f"{place}: {field!r}")
    except EditError as error:
        raise ConfigError(str(error), where=name, key=field) from error


def distinct(inputs: Sequence[Labelled]) -> tuple[Labelled, ...]:
    """The inputs without those whose text and kind came before."""
    first: dict[tuple[str, str], Labelled] = {}
    for one in inputs:
        first.setdefault((one.text.strip(), one.kind), one)
    return tuple(first.values())
