"""Rows of the user's files: JSON lines, CSV, or plain lines. What a row means is the verb's business."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from errata.cli.session import read_lines
from errata.errors import ConfigError

Row = dict[str, Any]


def read_rows(name: str, *, plain: str = "") -> Iterator[tuple[str, Row]]:
    """The rows of a file with where each stands ("file:line").

    Args:
        name: a .csv file, JSON lines otherwise; "-" is the standard input (JSON lines).
        plain: the key that a line gets which is no JSON object, in a .txt file or the standard input; "" refuses it.

    Raises:
        ConfigError: a row cannot be read; says which line.
    """
    lines = read_lines(name)
    if Path(name).suffix.lower() == ".csv":
        yield from _csv_rows(name, lines)
        return
    texts = Path(name).suffix.lower() == ".txt" or name == "-"
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        if plain and texts and not line.lstrip().startswith("{"):
            yield where, {plain: line.strip()}
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"not a JSON object: {line.strip()[:60]!r}", where=where) from error
        if not isinstance(row, dict):
            raise ConfigError(f"not a JSON object: {line.strip()[:60]!r}", where=where)
        yield where, row


def _csv_rows(name: str, lines: list[str]) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO("\n".join(lines), newline=""), restkey="", strict=True)
    try:
        for row in reader:
            where = f"{name}:{reader.line_num}"
            if "" in row or None in row.values():
                raise ConfigError("another number of columns than the first line names", where=where)
            yield where, {key: value for key, value in row.items() if value != ""}
    except csv.Error as error:
        raise ConfigError(f"not CSV: {error}", where=f"{name}:{reader.line_num}") from error


def keys_checked(where: str, row: Row, accepted: tuple[str, ...]) -> None:
    """Refuse a key that means nothing (ConfigError): a misspelt one would be passed over in silence."""
    for key in row:
        if key not in accepted:
            raise ConfigError(f"unknown key {key!r}", where=where, key=key, accepted=accepted)


def text_of(where: str, row: Row, key: str) -> str:
    """A row's text under a key (ConfigError when it is missing, empty or no text)."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{key!r} must be text, not {value!r}", where=where, key=key)
    return value


def truth_of(where: str, row: Row, key: str) -> bool:
    """A row's true or false under a key; "true", "yes", "1" and their opposites count (ConfigError otherwise)."""
    value = row.get(key)
    if isinstance(value, bool):
        return value
    told = str(value).strip().lower()
    if told in ("true", "yes", "1"):
        return True
    if told in ("false", "no", "0"):
        return False
    raise ConfigError(f"{key!r} must be true or false, not {value!r}", where=where, key=key)
