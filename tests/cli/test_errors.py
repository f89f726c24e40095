"""Every kind of error: one line on stderr, an exit code, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from errata.cli import EXIT_CODES, VERBS, main
from errata.errors import ErrataError, UpstreamError

Cli = Any


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("get", "nothing-of-this-id"), 2, "no edit has the id"),
        (("add", "", "x"), 2, "prompt is empty"),
        (("add", "x" * 5000, "x"), 2, "at most"),
        (("add", "a", "b", "--expires", "soon"), 2, "--expires must be a moment"),
        (("add", "a", "b", "--meta", "novalue"), 2, "KEY=VALUE"),
        (("add", "a", "b", "--expires", "2020-01-01", "--valid-from", "2021-01-01"), 2, "later than"),
        (("ask", "q", "--model", " "), 2, "a model needs a name"),
        (("ask", "q", "--model", "/no/such/folder"), 4, ""),
        (("ask", "q", "--scope", "nonsense"), 2, "nonsense"),
        (("ask", "q", "--counterfactual", "/no/such/folder"), 4, ""),
        (("ask", "bad\x00input"), 2, "binary"),
        (("undo",), 2, "cannot be undone"),
        (("undo", "-n", "0"), 2, ""),
        (("serch", "x"), 2, "did you mean 'search'"),
        (("list", "--nonsense"), 2, "errata list --help"),
        (("get",), 2, "Missing argument"),
        (("list", "--memory", "redis://x"), 2, "redis"),
        (("list", "--memory", "/dev/null/errata.db"), 3, "/dev/null"),
        (("ask", "--json"), 2, "QUESTION"),
    ],
)
def test_errors_have_a_line_and_a_code(cli: Cli, args: tuple[str, ...], code: int, message: str) -> None:
    told = cli(*args, code=code)
    assert told.stdout == "" and message in told.stderr
    [line] = told.stderr.splitlines()
    assert line.startswith("error: ") or json.loads(line)["exit"] == code


def test_errors_in_json(cli: Cli) -> None:
    error = json.loads(cli("get", "nothing", "--json", code=2).stderr)
    assert error["kind"] == "EditError" and error["exit"] == 2 and "nothing" in error["error"]


def test_a_broken_memory_is_a_store_error(cli: Cli) -> None:
    cli.memory.write_bytes(b"this is no database" * 100)
    assert "error:" in cli("list", code=3).stderr


def test_a_bug_is_named_as_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("errata.cli.look.revision_document", lambda _: 1 / 0)
    cli("add", "a question", "b", "--id", "some-id")
    told = cli("get", "some-id", "--json", code=70).stderr
    assert "ZeroDivisionError" in told and "ERRATA_DEBUG" in told and "Traceback" not in told


def test_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("errata.memory.sqlite.SqliteMemory.list", interrupt)
    assert "interrupted" in cli("list", code=130).stderr


def kinds(kind: type[ErrataError]) -> list[type[ErrataError]]:
    return [kind, *(below for direct in kind.__subclasses__() for below in kinds(direct))]


@pytest.mark.parametrize("kind", kinds(ErrataError))
def test_every_kind_of_error_has_an_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[ErrataError]
) -> None:
    error = kind("x", "y") if kind.__name__ == "MissingExtra" else kind("it failed\non two lines")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("errata.memory.sqlite.SqliteMemory.list", fail)
    expected = next((code for base, code in EXIT_CODES if issubclass(kind, base)), 4)
    assert len(cli("list", code=expected).stderr.splitlines()) == 1
    assert expected in (2, 3, 4)


def test_an_upstream_failure_is_4(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UpstreamError("the server said no", status=500)

    monkeypatch.setattr("errata.models.echo.EchoModel.generate", fail)
    assert "the server said no" in cli("ask", "hello", code=4).stderr


def test_a_closed_pipe_ends_quietly(cli: Cli) -> None:
    for number in range(3):
        cli("add", f"question number {number} {'x' * 400}", "b", "--no-check", "--id", f"edit-{number}")
    code = f"import sys; from errata.cli import main; main(['history', '--json', '--memory', {str(cli.memory)!r}])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writer)
    assert done.returncode == 141 and b"Traceback" not in done.stderr and b"error" not in done.stderr


HEAVY = ("torch", "transformers", "onnxruntime", "numpy", "httpx2", "rich", "usearch")


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from errata.cli import VERBS, main
for args in (["--help"], *([verb, "--help"] for verb in VERBS)):
    try:
        main(args)
    except SystemExit as end:
        assert end.code == 0, end.code
    assert not [name for name in {HEAVY!r} if name in sys.modules], args
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def test_help_names_every_verb(cli: Cli) -> None:
    shown = cli("--help").stdout
    assert all(f"  {verb} " in shown for verb in VERBS)
    assert "Exit codes" in shown and cli().stdout == shown


def test_verbs_that_need_no_model_load_no_network(cli: Cli, tmp_path: Path) -> None:
    cli("add", "a question", "b", "--id", "some-id")
    verbs = [["list"], ["get", "some-id"], ["history"], ["disable", "some-id"], ["enable", "some-id"], ["export"],
             ["retract", "some-id"], ["undo"], ["diff", "0"]]  # fmt: skip
    code = f"""
import sys
from errata.cli import main
for args in {verbs!r}:
    try:
        main([*args, "--memory", {str(cli.memory)!r}])
    except SystemExit as end:
        assert not end.code, (args, end.code)
print("LOADED", [name for name in ("torch", "transformers", "onnxruntime", "tokenizers") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout[-200:]


def test_every_verb_and_option_is_in_the_docs() -> None:
    import click

    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    context = click.Context(main)
    for name in VERBS:
        assert f"\n## errata {name}\n" in text, name
        command = main.get_command(context, name)
        assert command is not None and command.help
        section = text.split(f"\n## errata {name}\n")[1].split("\n## ")[0]
        shared = text.split("\n## Options that verbs share")[1].split("\n## ")[0]
        for option in command.params:
            for word in option.opts if isinstance(option, click.Option) else ():
                assert f"`{word}" in section or f"`{word}" in shared, (name, word)
    for code in ("0", "1", "2", "3", "4", "70", "130", "141"):
        assert f"| {code} |" in text
