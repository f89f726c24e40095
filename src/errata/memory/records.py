"""What one row of an edit file says, in JSONL or CSV, and how a row is written. Never sees a memory.

A row that cannot be used becomes a `Bad` with its line number; reading goes on behind it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import IO, Any

from errata.edit import Edit, Revision, Terms
from errata.errors import EditError

EDIT_FIELDS = ("prompt", "target", "id", "space", "meta")
TERM_FIELDS = ("author", "source", "note", "tags", "valid_from", "expires", "enabled")
CSV_FIELDS = EDIT_FIELDS + TERM_FIELDS
"""Fields of a row, in the order that exports have them."""
LOG_FIELDS = ("number", "time", "kind")
LONGEST = 1 << 20
"""Bytes that a line may have."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row that can be used; `terms` is None where neither it nor the caller tells any."""

    line: int
    edit: Edit
    terms: Terms | None


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be used, and why."""

    line: int
    message: str


def record_of(line: int, row: Mapping[str, Any], terms: Terms | None, space: str) -> Record:
    """The record that a row's fields tell; fields that are missing or None are left at their defaults.

    Raises:
        EditError: a field is unknown (with the nearest right name) or its value cannot be used.
    """
    for name in row:
        if name in LOG_FIELDS:
            raise EditError(f"field {name!r}: this is a row of a history; export without all revisions to import it")
        if name not in CSV_FIELDS:
            near = get_close_matches(str(name).strip().lower(), CSV_FIELDS, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(CSV_FIELDS)}"
            raise EditError(f"unknown field {name!r}; {advice}")
    told = {name: value for name, value in row.items() if value is not None}
    if "prompt" not in told:
        raise EditError("the prompt is missing")
    edit = Edit(**{"space": space, **{name: told[name] for name in EDIT_FIELDS if name in told}})
    said = {name: _term(name, told[name]) for name in TERM_FIELDS if name in told}
    if not said:
        return Record(line, edit, terms)
    return Record(line, edit, replace(terms or Terms(), **said))


def _term(name: str, value: Any) -> Any:
    """A field of Terms from its value in JSON."""
    if name in ("valid_from", "expires"):
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise EditError(f"{name} must be an ISO 8601 moment (2026-01-31T00:00:00+00:00), not {value!r}") from error
        return moment
    if name == "tags" and not isinstance(value, list):
        raise EditError(f"tags must be a list of texts, not {type(value).__name__}")
    if name == "enabled" and not isinstance(value, bool):
        raise EditError(f"enabled must be true or false, not {value!r}")
    return tuple(value) if name == "tags" else value


def read_jsonl(file: IO[bytes], terms: Terms | None, space: str) -> Iterator[Record | Bad]:
    """Rows of a JSONL file; blank lines are passed over."""
    for line, raw in _lines(file):
        if isinstance(raw, Bad):
            yield raw
            continue
        text = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
        if not text.strip():
            continue
        try:
            row = json.loads(text.decode())
            if not isinstance(row, dict):
                raise EditError(f"a row must be an object with the field prompt, not {type(row).__name__}")
            yield record_of(line, row, terms, space)
        except UnicodeDecodeError:
            yield Bad(line, "is not valid UTF-8")
        except (json.JSONDecodeError, RecursionError) as error:
            yield Bad(line, f"is not valid JSON: {error}")
        except EditError as error:
            yield Bad(line, str(error))


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | Bad]]:
    """Lines with their numbers; one longer than LONGEST is passed over to its end."""
    line = 0
    while raw := file.readline(LONGEST + 1):
        line += 1
        if len(raw) > LONGEST:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LONGEST)
            yield line, Bad(line, f"is longer than {LONGEST:,} bytes")
        else:
            yield line, raw


def read_csv(file: IO[bytes], terms: Terms | None, space: str) -> Iterator[Record | Bad]:
    """Rows of a CSV file with a header, each with the line of the file it begins on."""
    table = csv.reader(_texts(file), strict=True)
    header: list[str] | None = None
    last = 0
    while True:
        line = last + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            last = table.line_num
            yield Bad(line, f"is not valid CSV: {error}")
            continue
        last = table.line_num
        if not cells:
            continue
        if header is None:
            header = [name.strip() for name in cells]
            if wrong := _wrong_header(header):
                yield Bad(line, wrong)
                return
            continue
        try:
            yield record_of(line, _row_of(header, cells), terms, space)
        except EditError as error:
            yield Bad(line, str(error))


def _texts(file: IO[bytes]) -> Iterator[str]:
    """Lines as text; bytes that are no UTF-8 become lone surrogates, which mark the row as bad."""
    for line, raw in _lines(file):
        if isinstance(raw, Bad):
            yield "\udcff\n"
        else:
            yield (raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw).decode("utf-8", "surrogateescape")


def _wrong_header(header: list[str]) -> str:
    """What is wrong with a CSV file's header; "" where nothing is."""
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        return f"the column {twice[0]!r} is there twice"
    try:
        record_of(1, dict.fromkeys(header, None) | {"prompt": "x"}, None, "default")
    except EditError as error:
        return str(error).replace("field", "column")
    return "" if "prompt" in header else "the header names no column prompt"


def _row_of(header: list[str], cells: list[str]) -> dict[str, Any]:
    """A CSV row as the fields JSON would give; empty cells tell nothing.

    Raises:
        EditError: more cells than columns, no valid UTF-8, or meta, tags or enabled that cannot be read.
    """
    if any("\ud800" <= character <= "\udfff" for cell in cells for character in cell):
        raise EditError(f"is not valid UTF-8, or longer than {LONGEST:,} bytes")
    if len(cells) > len(header):
        raise EditError(f"has {len(cells)} cells for {len(header)} columns; put texts with commas in quotes")
    row: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=False) if cell != ""}
    if "meta" in row:
        try:
            row["meta"] = json.loads(row["meta"])
        except ValueError as error:
            raise EditError(f"meta must be a JSON object of texts: {error}") from error
    if "tags" in row:
        row["tags"] = _tags(row["tags"])
    if "enabled" in row:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        row["enabled"] = known.get(row["enabled"].strip().lower(), row["enabled"])
    return row


def _tags(cell: str) -> list[str]:
    """Tags of a CSV cell: separated by semicolons, or a JSON list."""
    if cell.startswith("["):
        try:
            tags = json.loads(cell)
        except ValueError as error:
            raise EditError(f"tags beginning with [ must be a JSON list: {error}") from error
        return list(tags)
    return [tag.strip() for tag in cell.split(";") if tag.strip()]


def as_row(revision: Revision, *, log: bool = False) -> dict[str, Any]:
    """A revision as the fields of a row; empty ones are left out, except prompt, target and id.

    Args:
        revision: what to tell.
        log: tell number, time and kind too.
    """
    edit, terms = revision.edit, revision.terms
    row: dict[str, Any] = {}
    if log:
        row |= {"number": revision.number, "time": revision.time.isoformat(), "kind": revision.kind}
    row |= {"prompt": edit.prompt, "target": edit.target, "id": edit.id, "space": edit.space}
    optional = {
        "meta": dict(edit.meta),
        "author": terms.author,
        "source": terms.source,
        "note": terms.note,
        "tags": list(terms.tags),
        "valid_from": terms.valid_from and terms.valid_from.isoformat(),
        "expires": terms.expires and terms.expires.isoformat(),
    }
    row |= {name: value for name, value in optional.items() if value}
    return row if terms.enabled and not log else {**row, "enabled": terms.enabled}


def cells_of(row: Mapping[str, Any]) -> dict[str, str]:
    """The cells of a CSV row from the fields of `as_row`."""
    cells = {name: str(value) for name, value in row.items()}
    if "meta" in row:
        cells["meta"] = json.dumps(row["meta"], ensure_ascii=False)
    if "tags" in row:
        tags = row["tags"]
        plain = all(";" not in tag and tag == tag.strip() and tag for tag in tags) and not tags[0].startswith("[")
        cells["tags"] = ";".join(tags) if plain else json.dumps(tags, ensure_ascii=False)
    if "enabled" in row:
        cells["enabled"] = "true" if row["enabled"] else "false"
    return cells
