"""The promises of errata, put to the test with real parts: what `errata demo` ends with.

Each check does the thing and counts; none knows its outcome beforehand. This module prints nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from errata.edit import Answer, Edit
from errata.errors import EncoderMismatch, ErrataError

if TYPE_CHECKING:
    from errata.counterfactual import Counterfactual
    from errata.editors.serac import OnError, Serac
    from errata.memory import Memory
    from errata.memory.sqlite import SqliteMemory
    from errata.models import Model
    from errata.scope import Scope

TOLERANCE = 1e-5
"""Greatest difference of a vector's numbers, encoded alone and in a batch."""
KILLED = """
import os, sys, numpy
from errata.edit import Edit
from errata.memory.sqlite import SqliteMemory
memory = SqliteMemory(sys.argv[1])
memory.bind(sys.argv[2], 4)
memory.add([Edit(prompt="written before the kill", target="kept", id="kept")], numpy.ones((1, 4), numpy.float32))
os.kill(os.getpid(), 9)
"""
"""Adds an edit and dies the moment that `add` has returned."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise put to the test: how often it should have held, and how often it did."""

    promise: int
    claim: str
    expected: int
    got: int
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the promise held."""
        return self.expected == self.got > 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the checks work with."""

    model: Model
    scope: Scope
    counterfactual: Counterfactual
    edits: Sequence[Edit]
    inputs: Sequence[str]
    base: Sequence[str]

    def editor(self, memory: Memory | None = None, **options: Any) -> Serac:
        """A fresh editor of these parts, or with others in their place."""
        from errata.editors.serac import Serac

        parts = {"scope": self.scope, "counterfactual": self.counterfactual, **options}
        return Serac(parts.pop("model", self.model), memory=memory, **parts)


def all_checks(parts: Parts) -> Iterator[Check]:
    """Every promise, one after another."""
    checks: tuple[Callable[[Parts], Iterator[Check]], ...] = (
        _empty, _retracted, _orders, _rebuilt, _foreign, _text_only, _overlay, _durable, _alone, _failures,
    )  # fmt: skip
    for check in checks:
        yield from check(parts)


def same(a: Sequence[Answer], b: Sequence[Answer]) -> int:
    """How many answers agree in text and in the edit that answered."""
    return sum(_key(one) == _key(other) for one, other in zip(a, b, strict=True))


def _key(answer: Answer) -> tuple[str, str]:
    return answer.text, answer.decision.match.edit.id if answer.decision.match else ""


def _like_base(parts: Parts, answers: Sequence[Answer]) -> int:
    return sum(one.text == own and not one.edited for one, own in zip(answers, parts.base, strict=True))


def _empty(parts: Parts) -> Iterator[Check]:
    with _closing(parts.editor()) as editor:
        got = _like_base(parts, editor.generate(parts.inputs))
    yield Check(1, "with no edits, every answer is the base's, identical", len(parts.inputs), got)


def _retracted(parts: Parts) -> Iterator[Check]:
    with _closing(parts.editor()) as editor:
        editor.add(*parts.edits)
        fired = sum(one.edited for one in editor.generate(parts.inputs))
        editor.memory.retract([edit.id for edit in parts.edits])
        got = _like_base(parts, editor.generate(parts.inputs))
    claim = "added and retracted again, the base's answers are back"
    yield Check(2, claim, len(parts.inputs), got if fired else 0, f"{fired} were edited in between")


def _orders(parts: Parts) -> Iterator[Check]:
    said = []
    for order in (parts.edits, parts.edits[::-1], [*parts.edits[2:], *parts.edits[:2]]):
        with _closing(parts.editor()) as editor:
            for part in [order] if order is parts.edits else [[edit] for edit in order]:
                editor.add(*part)
            said.append(editor.generate(parts.inputs))
    both = sum(same([a], [b]) + same([a], [c]) == 2 for a, b, c in zip(*said, strict=True))
    yield Check(2, "one by one, in any order, the edits answer as in one batch", len(parts.inputs), both)


def _rebuilt(parts: Parts) -> Iterator[Check]:
    with TemporaryDirectory() as folder:
        with _file(folder) as memory:
            editor = parts.editor(memory)
            editor.add(*parts.edits)
            before = editor.generate(parts.inputs)
            memory.rebuild()
            for file in memory.index_files():
                file.unlink()
        with _file(folder) as memory:
            got = same(before, parts.editor(memory).generate(parts.inputs))
    yield Check(3, "index and state thrown away, rebuilt from the log: the same answers", len(parts.inputs), got)


def _foreign(parts: Parts) -> Iterator[Check]:
    from errata.memory.sqlite import SqliteMemory

    with SqliteMemory(":memory:") as memory:
        editor = parts.editor(memory)
        editor.add(*parts.edits)
        vectors = editor.scope.encode_inputs([parts.edits[0].prompt])
        missing = memory.bind("another scope model", editor.scope.dimension)
        refused = int(len(missing) == len(parts.edits)) + int(not memory.search(vectors, 5)[0])
        try:
            memory.bind(editor.scope.fingerprint, editor.scope.dimension + 1)
        except EncoderMismatch:
            refused += 1
    yield Check(3, "vectors of another scope model are refused by fingerprint", 3, refused)


def _text_only(parts: Parts) -> Iterator[Check]:
    from errata.models.echo import EchoModel

    with _closing(parts.editor()) as one, _closing(parts.editor(model=EchoModel(name="another"))) as other:
        for editor in (one, other):
            editor.add(*parts.edits)
        mine, theirs = one.generate(parts.inputs), other.generate(parts.inputs)
    inside = [(a, b) for a, b in zip(mine, theirs, strict=True) if a.edited]
    got = sum(same([a], [b]) for a, b in inside)
    yield Check(4, "text is the interface: in front of another base the edits answer alike", len(inside), got)


def _overlay(parts: Parts) -> Iterator[Check]:
    with _closing(parts.editor()) as editor:
        editor.add(parts.edits[0])
        before, revision = editor.generate(parts.inputs), editor.memory.revision
        edited = editor.edit(*parts.edits[1:])
        changed = len(parts.inputs) - same(before, edited.generate(parts.inputs))
        got = same(before, editor.generate(parts.inputs)) if editor.memory.revision == revision and changed else 0
    claim = "edit() gives a new editor and leaves the old one as it was"
    yield Check(5, claim, len(parts.inputs), got, f"the new one answers {changed} otherwise")


def _durable(parts: Parts) -> Iterator[Check]:
    with TemporaryDirectory() as folder:
        with _file(folder) as memory:
            editor = parts.editor(memory)
            editor.add(*parts.edits)
            before = editor.generate(parts.inputs)
        with _file(folder) as memory:
            got = same(before, parts.editor(memory).generate(parts.inputs))
        yield Check(5, "a memory that is closed and opened again answers as before", len(parts.inputs), got)
        path = Path(folder) / "killed.db"
        command = [sys.executable, "-c", KILLED, str(path), "a scope model"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        died = subprocess.run(command, env=environment, capture_output=True, check=False).returncode == -9
        from errata.memory.sqlite import SqliteMemory

        with SqliteMemory(path) as memory:
            kept = [one.edit.id for one in memory.list()] == ["kept"]
    yield Check(5, "what add() acknowledged survives kill -9", 1, int(died and kept))


def _alone(parts: Parts) -> Iterator[Check]:
    import numpy as np

    long = "and so on " * 60
    texts = [*parts.inputs[:12], long]
    edits = [*parts.edits, Edit(prompt=long, target="long", id="long")]
    got, worst = 0, 0.0
    for together, one_by_one in (
        (parts.scope.encode_inputs(texts), [parts.scope.encode_inputs([text])[0] for text in texts]),
        (parts.scope.encode_edits(edits), [parts.scope.encode_edits([edit])[0] for edit in edits]),
    ):
        apart = np.abs(together - np.stack(one_by_one)).max(axis=1)
        got, worst = got + int((apart <= TOLERANCE).sum()), max(worst, float(apart.max()))
    claim = "a vector does not depend on what else is in the batch"
    yield Check(6, claim, len(texts) + len(edits), got, f"greatest difference {worst:.1e}")


class _Broken:
    """A trained part that fails in one of its methods and is itself otherwise."""

    def __init__(self, part: object, method: str) -> None:
        self._part, self._method = part, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise RuntimeError(f"{name} is broken")
        return getattr(self._part, name)


def _failures(parts: Parts) -> Iterator[Check]:
    whole: dict[str, Any] = {"scope": parts.scope, "counterfactual": parts.counterfactual}
    question = parts.edits[0].prompt
    own = parts.model.generate([question])[0]
    got = 0
    for name, method in (("scope", "judge"), ("counterfactual", "respond")):
        broken = {name: _Broken(whole[name], method)}
        got += _raises(parts, broken, question)
        got += _falls_through(parts, broken, question, own, name)
    yield Check(7, "a part that fails is a named error, or a counted answer of the base", 4, got)


def _raises(parts: Parts, broken: dict[str, Any], question: str) -> bool:
    with _failing(parts, broken, "raise") as editor:
        try:
            editor.generate([question])
        except ErrataError:
            return True
    return False


def _falls_through(parts: Parts, broken: dict[str, Any], question: str, own: str, name: str) -> bool:
    import logging

    logging.getLogger("errata.editors.serac").setLevel(logging.ERROR)  # the warning is what is asked for here
    try:
        with _failing(parts, broken, "base") as editor:
            answer = editor.generate([question])[0]
            return answer.text == own and not answer.edited and editor.failures[name] == 1
    finally:
        logging.getLogger("errata.editors.serac").setLevel(logging.NOTSET)


@contextmanager
def _failing(parts: Parts, broken: dict[str, Any], on_error: OnError) -> Iterator[Serac]:
    with _closing(parts.editor(on_error=on_error, **broken)) as editor:
        editor.add(parts.edits[0])
        yield editor


@contextmanager
def _closing(editor: Serac) -> Iterator[Serac]:
    try:
        yield editor
    finally:
        editor.memory.close()


@contextmanager
def _file(folder: str) -> Iterator[SqliteMemory]:
    from errata.memory.sqlite import SqliteMemory

    with SqliteMemory(Path(folder) / "errata.db") as memory:
        yield memory
