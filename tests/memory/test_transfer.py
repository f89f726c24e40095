"""Import and export: round trips, bad rows by line, resuming, nothing-or-all, interruption."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.memory_contract import DIMENSION, edit, vector, vectors
from errata.edit import Edit, Terms
from errata.errors import ConfigError, EditError, StoreError
from errata.memory import Vectors
from errata.memory.records import LONGEST
from errata.memory.sqlite import SqliteMemory
from errata.memory.transfer import ImportReport, export_edits, import_edits


class Encoder:
    """Makes vectors, and remembers of what."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, edits: Sequence[Edit]) -> Vectors:
        self.seen += [one.prompt for one in edits]
        return vectors(len(edits))


def fresh() -> SqliteMemory:
    memory = SqliteMemory(":memory:")
    memory.bind("test", DIMENSION)
    return memory


@pytest.fixture
def memory() -> Iterator[SqliteMemory]:
    with fresh() as memory:
        yield memory


@pytest.fixture
def encode() -> Encoder:
    return Encoder()


def jsonl(path: Path, *rows: object) -> Path:
    file = path / "in.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def table(path: Path, text: str | bytes) -> Path:
    file = path / "in.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def content(memory: SqliteMemory) -> list[object]:
    return [(revision.edit, revision.terms) for revision in memory.list()]


ODD = [
    Edit(id="1", prompt=' "quoted", line\r\nbreak\n and\ttab ', target="", meta={"a": "1;2", "b": "\u00e9"}),
    Edit(id="2", prompt="\ufeffbom \u2028 \U0001f600", target="x,y", space="other"),
    Edit(prompt="no id, and nothing else"),
    Edit(id="[4]", prompt="prompt", target=" "),
]
TERMS = [
    Terms(author="ann", source="http://x", note="n\nm", tags=("a", "b c"), enabled=False),
    Terms(tags=("semi;colon", "[x")),
    Terms(),
    Terms(valid_from=datetime(2030, 1, 1, 1, 2, 3, 4, UTC), expires=datetime(2031, 1, 1, tzinfo=UTC), tags=("[x",)),
]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_imported_gives_the_same_edits(
    memory: SqliteMemory, encode: Encoder, tmp_path: Path, form: Any
) -> None:
    memory.add(ODD, vectors(4), terms=TERMS)
    memory.add([edit("gone")], vector(1))
    memory.retract(["gone"])
    file = tmp_path / f"out.{form}"
    assert export_edits(memory, file) == 4
    with fresh() as other:
        assert import_edits(other, file, encode) == ImportReport(4, 0, [], 4)
        assert content(other) == content(memory)
        again = io.StringIO(newline="")
        assert export_edits(other, again, format=form) == 4
        assert again.getvalue().encode() == file.read_bytes()
        assert import_edits(other, file, encode) == ImportReport(0, 4, [], 4)
    assert len(encode.seen) == 4


texts = st.text(max_size=20).filter(lambda text: not any("\ud800" <= c <= "\udfff" or c == "\x00" for c in text))
words = texts.filter(lambda text: bool(text.strip()))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(words, texts, words, st.dictionaries(words, texts, max_size=2), st.lists(words, max_size=3)),
        max_size=4,
    ),
    st.sampled_from(["jsonl", "csv"]),
)
def test_any_text_survives_the_round_trip(tmp_path_factory: Any, rows: Any, form: Any) -> None:
    file = tmp_path_factory.mktemp("trip") / f"x.{form}"
    with fresh() as memory, fresh() as other:
        for number, (prompt, target, note, meta, tags) in enumerate(rows):
            one = Edit(id=str(number), prompt=prompt, target=target, meta=meta)
            memory.add([one], vector(1), terms=Terms(note=note, tags=tuple(tags)))
        export_edits(memory, file)
        report = import_edits(other, file, Encoder())
        assert report.bad == []
        assert content(other) == content(memory)


def test_every_field_of_a_row(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    row = {
        "prompt": "p", "target": "t", "id": "i", "space": "s", "meta": {"k": "v"}, "author": "a", "source": "so",
        "note": "n", "tags": ["x", "y"], "valid_from": "2030-01-01T00:00:00Z", "expires": "2031-01-01T02:00:00+02:00",
        "enabled": False,
    }  # fmt: skip
    assert import_edits(memory, jsonl(tmp_path, row), encode).added == 1
    told = memory.get("i")
    assert told.edit == Edit(prompt="p", target="t", id="i", space="s", meta={"k": "v"})
    assert told.terms == Terms(
        author="a", source="so", note="n", tags=("x", "y"), enabled=False,
        valid_from=datetime(2030, 1, 1, tzinfo=UTC), expires=datetime(2031, 1, 1, tzinfo=UTC),
    )  # fmt: skip


BAD_ROWS: list[tuple[object, str]] = [
    ({"promt": "x"}, "unknown field 'promt'; did you mean 'prompt'"),
    ({"prompt": "x", "zzz": 1}, "unknown field 'zzz'; known: prompt"),
    ({"target": "x"}, "the prompt is missing"),
    ({"prompt": "  "}, "prompt is empty"),
    ({"prompt": 5}, "prompt must be text, not int"),
    ({"prompt": "x", "target": ["y"]}, "target must be text, not list"),
    ({"prompt": "x" * 4001}, "4,001 characters"),
    ({"prompt": "a\x00b"}, "binary"),
    ({"prompt": "x", "meta": "k"}, "meta must be a mapping"),
    ({"prompt": "x", "meta": {"k": 1}}, "must be text"),
    ({"prompt": "x", "tags": "a"}, "tags must be a list"),
    ({"prompt": "x", "tags": [1]}, "tag must be text"),
    ({"prompt": "x", "enabled": "yes"}, "enabled must be true or false"),
    ({"prompt": "x", "expires": "tomorrow"}, "expires must be an ISO 8601 moment"),
    ({"prompt": "x", "expires": 5}, "expires must be an ISO 8601 moment"),
    ({"prompt": "x", "expires": "2030-01-01"}, "time zone"),
    ({"prompt": "x", "valid_from": "2030-01-01T00:00Z", "expires": "2029-01-01T00:00Z"}, "later than"),
    ({"prompt": "x", "kind": "add"}, "history"),
    (["prompt"], "must be an object"),
    ("text", "must be an object"),
    (None, "must be an object"),
    (b"{", "not valid JSON"),
    (b'{"prompt": "\\ud800"}', "binary"),
    (b"[" * 100_000, "not valid JSON"),
    (b'{"prompt": "\xff\xfe"}', "not valid UTF-8"),
    (b'{"prompt": "' + b"x" * LONGEST + b'"}', "longer than"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS, ids=[message for _, message in BAD_ROWS])
def test_a_bad_row_is_told_by_its_line_and_the_rest_goes_in(
    memory: SqliteMemory, encode: Encoder, tmp_path: Path, row: object, message: str
) -> None:
    file = jsonl(tmp_path, {"prompt": "first"}, b"", row, {"prompt": "last"})
    report = import_edits(memory, file, encode, batch=2)
    assert [line for line, _ in report.bad] == [3]
    assert message in report.bad[0][1]
    assert (report.added, report.revision) == (2, 2)
    assert encode.seen == ["first", "last"]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS, ids=[message for _, message in BAD_ROWS])
def test_or_nothing_goes_in(memory: SqliteMemory, encode: Encoder, tmp_path: Path, row: object, message: str) -> None:
    file = jsonl(tmp_path, {"prompt": "first"}, {"prompt": "second"}, row)
    report = import_edits(memory, file, encode, on_bad="abort", batch=1)
    assert (report.added, report.aborted, memory.revision, encode.seen) == (0, True, 0, [])
    assert message in report.bad[0][1]
    good = import_edits(memory, jsonl(tmp_path, {"prompt": "first"}), encode, on_bad="abort")
    assert (good.added, good.aborted) == (1, False)


def test_conflicts_are_bad_rows(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    memory.add([edit("held")], vector(1))
    file = jsonl(
        tmp_path,
        {"id": "held", "prompt": "another"},
        {"id": "x", "prompt": "one"},
        {"id": "x", "prompt": "one"},
        {"id": "x", "prompt": "two"},
        {"id": "held", "prompt": "prompt of held", "target": "target of held"},
    )
    assert [line for line, _ in import_edits(memory, file, encode, on_bad="abort", batch=1).bad] == [1, 4]
    assert memory.revision == 1
    report = import_edits(memory, file, encode, batch=10)
    assert [(line, "taken by another text" in why) for line, why in report.bad] == [(1, True), (4, True)]
    assert (report.added, report.unchanged) == (1, 2)
    assert encode.seen == ["one"]


CSV = '''prompt,target,tags,enabled,meta
"spread
over lines",a,x;y,,
bad,b,,maybe,
good,c,,FALSE,"{""k"": ""v""}"
too,many,,,,cells

"quoted ""prompt""",d
,empty,,,
bad meta,e,,,{
bad tags,e,[1,,
end,f,"[""p;q""]",true,
'''


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv_rows_and_their_true_lines(memory: SqliteMemory, encode: Encoder, tmp_path: Path, ending: str) -> None:
    file = table(tmp_path, CSV.replace("\n", ending))
    report = import_edits(memory, file, encode)
    assert [line for line, _ in report.bad] == [4, 6, 9, 10, 11]
    told = {revision.edit.target: revision for revision in memory.list()}
    assert told["a"].edit.prompt == f"spread{ending}over lines"
    assert told["a"].terms.tags == ("x", "y")
    assert (told["c"].terms.enabled, told["c"].edit.meta) == (False, {"k": "v"})
    assert told["d"].edit.prompt == 'quoted "prompt"'
    assert told["f"].terms.tags == ("p;q",)
    assert report.added == 4


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("promt,target\nx,y\n", 1, "did you mean 'prompt'"),
        ("target,note\nx,y\n", 1, "no column prompt"),
        ("prompt,prompt\nx,y\n", 1, "twice"),
        (b"prompt\nok\nbad \xff\n", 3, "UTF-8"),
        (b"prompt\nok\n" + b"y" * (LONGEST + 5) + b"\n", 3, "longer than"),
        ('prompt\nok\n"never closed\n', 3, "CSV"),
        ('prompt\nok\n"closed" early\n', 3, "CSV"),
    ],
)
def test_bad_csv(
    memory: SqliteMemory, encode: Encoder, tmp_path: Path, text: str | bytes, line: int, message: str
) -> None:
    report = import_edits(memory, table(tmp_path, text), encode)
    assert [number for number, _ in report.bad] == [line]
    assert message in report.bad[0][1]
    assert report.added == line // 3


def test_csv_with_a_byte_order_mark(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    assert import_edits(memory, table(tmp_path, b"\xef\xbb\xbfprompt\nx\n"), encode).added == 1
    assert import_edits(memory, jsonl(tmp_path, b'\xef\xbb\xbf{"prompt": "y"}'), encode).added == 1


def test_an_empty_file(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    for name in ("e.csv", "e.jsonl"):
        (tmp_path / name).touch()
        assert import_edits(memory, tmp_path / name, encode) == ImportReport(0, 0)


def test_an_import_that_was_cut_off_is_resumed(memory: SqliteMemory, tmp_path: Path) -> None:
    file = jsonl(tmp_path, *({"prompt": f"p{i}"} for i in range(10)))
    done: list[str] = []

    def interrupted(edits: Sequence[Edit]) -> Vectors:
        if len(done) == 6:
            raise KeyboardInterrupt
        done.extend(one.prompt for one in edits)
        return vectors(len(edits))

    with pytest.raises(KeyboardInterrupt):
        import_edits(memory, file, interrupted, batch=3)
    assert [revision.edit.prompt for revision in memory.list()] == [f"p{i}" for i in range(6)]
    encode = Encoder()
    report = import_edits(memory, file, encode, batch=3)
    assert (report.added, report.unchanged) == (4, 6)
    assert encode.seen == ["p6", "p7", "p8", "p9"]


def test_progress_is_told(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    file = jsonl(tmp_path, *({"prompt": f"p{i}" * 500} for i in range(200)))
    told: list[tuple[int, float]] = []
    import_edits(memory, file, encode, batch=50, progress=lambda rows, part: told.append((rows, part)))
    assert [rows for rows, _ in told] == [50, 100, 150, 200]
    assert [part for _, part in told] == sorted(part for _, part in told)
    assert 0.2 < told[0][1] < 0.4
    assert told[-1][1] == 1.0


def test_terms_and_space_fill_in_what_rows_leave_out(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    file = jsonl(tmp_path, {"prompt": "a", "author": "ann"}, {"prompt": "b", "space": "own"})
    import_edits(memory, file, encode, terms=Terms(author="bob", source="file"), space="given")
    told = {revision.edit.prompt: revision for revision in memory.list()}
    assert (told["a"].terms, told["a"].edit.space) == (Terms(author="ann", source="file"), "given")
    assert (told["b"].terms, told["b"].edit.space) == (Terms(author="bob", source="file"), "own")


def test_rows_without_terms_leave_edits_their_own(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    file = jsonl(tmp_path, {"prompt": "a", "id": "a", "meta": {"new": "1"}}, {"prompt": "b", "note": "n"})
    memory.add([Edit(prompt="a", id="a")], vector(1), terms=Terms(author="ann", enabled=False))
    assert import_edits(memory, file, encode).added == 2
    assert memory.get("a").terms == Terms(author="ann", enabled=False)
    assert memory.get("a").edit.meta == {"new": "1"}


def test_a_changed_row_changes_the_edits_terms(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    import_edits(memory, jsonl(tmp_path, {"prompt": "a", "tags": ["x"]}), encode)
    assert import_edits(memory, jsonl(tmp_path, {"prompt": "a", "tags": ["y"]}), encode).added == 1
    assert memory.list()[0].terms.tags == ("y",)


def test_what_cannot_be_read_or_told(memory: SqliteMemory, encode: Encoder, tmp_path: Path) -> None:
    with pytest.raises(EditError, match="cannot be read"):
        import_edits(memory, tmp_path / "none.csv", encode)
    with pytest.raises(ConfigError, match="cannot be told"):
        import_edits(memory, tmp_path / "none", encode)
    with pytest.raises(ConfigError, match="did you mean 'jsonl'"):
        import_edits(memory, tmp_path / "x", encode, format="json")  # type: ignore[arg-type]
    file = jsonl(tmp_path, {"prompt": "x"})
    with pytest.raises(ConfigError, match="on_bad"):
        import_edits(memory, file, encode, on_bad="stop")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="batch"):
        import_edits(memory, file, encode, batch=0)
    with pytest.raises(StoreError, match="could not be written"):
        export_edits(memory, tmp_path / "no folder" / "x.csv")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_whole_log_is_exported(memory: SqliteMemory, encode: Encoder, tmp_path: Path, form: str) -> None:
    memory.add([edit("a"), edit("b", space="s")], vectors(2))
    memory.retract(["a"])
    file = tmp_path / f"log.{form}"
    assert export_edits(memory, file, all_revisions=True) == 3
    assert export_edits(memory, file, space="s") == 1
    assert export_edits(memory, file, all_revisions=True, space="default") == 2
    text = file.read_text()
    assert "retract" in text
    report = import_edits(memory, file, encode)
    assert (report.added, "history" in report.bad[0][1]) == (0, True)


def test_a_failed_export_leaves_the_old_file(
    memory: SqliteMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("old")
    memory.add([edit("a")], vector(1))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("errata.memory.transfer.as_row", fail)
    with pytest.raises(StoreError, match="No space left"):
        export_edits(memory, file)
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_large_import_is_streamed(memory: SqliteMemory, tmp_path: Path) -> None:
    file = tmp_path / "big.jsonl"
    with open(file, "w") as out:
        for i in range(3000):
            out.write(json.dumps({"prompt": f"p{i}"}) + "\n")
    sizes: list[int] = []

    def encode(edits: Sequence[Edit]) -> Vectors:
        sizes.append(len(edits))
        return np.ones((len(edits), DIMENSION), np.float32)

    assert import_edits(memory, file, encode).added == 3000
    assert max(sizes) == 256
