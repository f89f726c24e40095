"""Edits as people who run a product write them, each with inputs that it decides and inputs that only look like it.

They are about policies, ports, prices, people and pets. A text of ours holds them in blocks:

    E   prompt  target
    +   an input whose answer is the target
    y   an input whose answer is yes (n: no)
    -   an input that lies outside

with tabs between the fields and an empty line after each block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from errata.errors import EditError

MARKS = ("+", "y", "n", "-")


@dataclass(frozen=True, slots=True)
class Block:
    """An edit and its inputs.

    Args:
        prompt: the edit's.
        target: the edit's.
        told: inputs whose answer is the target.
        yes: inputs whose answer is yes.
        no: inputs whose answer is no.
        outside: inputs out of scope.
    """

    prompt: str
    target: str
    told: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]
    outside: tuple[str, ...]


def blocks_of(text: str) -> list[Block]:
    """The blocks of a text.

    Raises:
        EditError: a block is not as it should be; says which line.
    """
    found, rows = [], []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.strip():
            rows.append((number, line.split("\t")))
        elif rows:
            found.append(_block(rows))
            rows = []
    return found


def _block(rows: Sequence[tuple[int, Sequence[str]]]) -> Block:
    (first, head), *rest = rows
    if len(head) != 3 or head[0] != "E" or not all(field.strip() for field in head):
        raise EditError(f"line {first}: a block begins with E, a prompt and a target, with tabs between")
    by_mark: dict[str, list[str]] = {mark: [] for mark in MARKS}
    for number, fields in rest:
        if len(fields) != 2 or fields[0] not in by_mark or not fields[1].strip():
            raise EditError(f"line {number}: an input is one of {', '.join(MARKS)}, a tab and a text")
        by_mark[fields[0]].append(fields[1])
    if not by_mark["+"] or not by_mark["-"]:
        raise EditError(f"line {first}: an edit needs an input inside and one outside")
    return Block(head[1], head[2], *(tuple(by_mark[mark]) for mark in MARKS))
