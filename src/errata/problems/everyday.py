"""Everyday edits: corrections as staff would write them, asked as users would ask, with neighbouring matters outside.

The other problems are drawn from Wikidata and Wikipedia. These are about a firm's rules, its software, its shop and
people's homes; we wrote them to measure with, and nothing is trained on them. Each edit's neighbours differ from it in
a word or two: another role, another year, another product, how or why in the place of what.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from errata.edit import Edit
from errata.errors import ConfigError
from errata.problems import cases as kinds
from errata.problems.blocks import Block, blocks_of
from errata.problems.cases import EditCase, Labelled, Problem, Unlabelled, distinct

TEXT = "everyday.txt"


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
    raw = resources.files(__package__).joinpath(TEXT).read_bytes()
    return Problem(
        name="everyday",
        split=split,
        cases=tuple(_case(at, block) for at, block in enumerate(blocks_of(raw.decode()))),
        success=frozenset({kinds.REPHRASE, kinds.ENTAILED}),
        data_hash=hashlib.sha256(raw).hexdigest(),
    )


def _case(at: int, block: Block) -> EditCase:
    inside = [
        *(Labelled(text, block.target, kinds.REPHRASE) for text in block.told),
        *(Labelled(text, "Yes", kinds.ENTAILED) for text in block.yes),
        *(Labelled(text, "No", kinds.ENTAILED) for text in block.no),
        Labelled(block.prompt, block.target, kinds.SAME),
    ]
    edit = Edit(prompt=block.prompt, target=block.target, id=f"everyday-{at:03d}")
    return EditCase(edit, distinct(inside), tuple(Unlabelled(text, kinds.LOOK_ALIKE) for text in block.outside))
