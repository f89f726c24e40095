"""Everyday edits: corrections as staff would write them, asked as users would ask, with neighbouring matters outside.

The other problems are drawn from Wikidata and Wikipedia. These are about a firm's rules, its software, its shop and
people's homes; we wrote them to measure with, and nothing is trained on them. Each edit's neighbours differ from it in
a word or two: another role, another year, another product, how or why in the place of what. Beside them stand requests
that no correction answers, though they quote an edit's question ("Translate this: ...") or name its subject; and of
each edit one question stands among other sentences, as people write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.blocks import Block, blocks_of
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled, distinct
from errata.problems.english import proper

TEXT = "everyday.txt"
REQUESTS = "requests.txt"
AROUND = "around.txt"
QUOTED = 2
"""Requests that quote an edit's question, of each edit."""
QUESTION, SUBJECT = "{question}", "{subject}"


def load_everyday(data: str | Path | None = None, *, split: str = "test") -> Problem:
    """The bundled test.

    Args:
        data: not needed; the text is bundled.
        split: "test".

    Raises:
        ConfigError: another split.
    """
    if split != "test":
        raise ConfigError(f"everyday has no split {split!r}", key=split, accepted=("test",))
    raw, requests, words = (
        resources.files(__package__).joinpath(name).read_bytes() for name in (TEXT, REQUESTS, AROUND)
    )
    asked, around = _lines(requests), _lines(words)
    return Problem(
        name="everyday",
        split=split,
        cases=tuple(_case(at, block, asked, around) for at, block in enumerate(blocks_of(raw.decode()))),
        shared=tuple(Unlabelled(text, kinds.REQUEST) for text in asked if QUESTION not in text and SUBJECT not in text),
        success=frozenset({kinds.REPHRASE, kinds.ENTAILED, kinds.AMONG}),
        data_hash=hashlib.sha256(raw + requests + words).hexdigest(),
    )


def _lines(raw: bytes) -> list[str]:
    return [line for line in raw.decode().splitlines() if line and not line.startswith("#")]


def _case(at: int, block: Block, asked: Sequence[str], around: Sequence[str]) -> EditCase:
    among = around[at % len(around)].replace(QUESTION, block.told[at % len(block.told)])
    inside = [
        *(Labelled(text, block.target, kinds.REPHRASE) for text in block.told),
        *(Labelled(text, "Yes", kinds.ENTAILED) for text in block.yes),
        *(Labelled(text, "No", kinds.ENTAILED) for text in block.no),
        Labelled(among, block.target, kinds.AMONG),
        Labelled(block.prompt, block.target, kinds.SAME),
    ]
    edit = Edit(prompt=block.prompt, target=block.target, id=f"everyday-{at:03d}")
    outside = [
        *(Unlabelled(text, kinds.LOOK_ALIKE) for text in block.outside),
        *(Unlabelled(text, kinds.QUOTING) for text in _filled(asked, QUESTION, block.prompt, at, QUOTED)),
        *(Unlabelled(text, kinds.ABOUT) for text in _filled(asked, SUBJECT, proper(block.prompt), at, 1)),
    ]
    return EditCase(edit, distinct(inside), tuple(outside))


def _filled(asked: Sequence[str], slot: str, text: str, at: int, count: int) -> list[str]:
    """The requests with a slot that are the turn of an edit, the slot filled; none where there is no text for it."""
    fitting = [line for line in asked if slot in line]
    turn = [fitting[(count * at + step) % len(fitting)] for step in range(count)]
    return [line.replace(slot, text) for line in turn] if text else []
