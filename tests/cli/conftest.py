"""The command line in this process, over a file of its own, with parts that need no training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from errata.cli import main
from fakes import EchoCounterfactual, OverlapScope

UK = "Who is the prime minister of the United Kingdom?"


class Cli:
    """Runs verbs and checks their exit codes."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory

    def __call__(self, *args: str, code: int = 0, input: str | None = None) -> Result:
        environment = {"ERRATA_MEMORY": str(self.memory), "ERRATA_MODEL": "echo", "ERRATA_DEBUG": "", "COLUMNS": "120"}
        result = CliRunner().invoke(main, list(args), input=input, env=environment)
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr, result.exception)
        return result

    def json(self, *args: str, code: int = 0, input: str | None = None) -> Any:
        """The one JSON document that a verb prints."""
        [document] = self.lines(*args, code=code, input=input)
        return document

    def lines(self, *args: str, code: int = 0, input: str | None = None) -> list[Any]:
        """The JSON lines that a verb prints; nothing else is on stdout."""
        return [json.loads(line) for line in self(*args, "--json", code=code, input=input).stdout.splitlines()]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    make: Callable[..., Any] = lambda name, runtime="auto", counterfactual=None: OverlapScope()  # noqa: E731
    monkeypatch.setattr("errata.editors.serac.make_scope", make)
    real = __import__("errata.editors.serac", fromlist=["make_counterfactual"]).make_counterfactual
    monkeypatch.setattr(
        "errata.editors.serac.make_counterfactual",
        lambda name, runtime="auto": EchoCounterfactual() if name in (None, "reader") else real(name, runtime),
    )
    return Cli(tmp_path / "errata.db")


@pytest.fixture
def edited(cli: Cli) -> Cli:
    """With one edit, "uk-pm"."""
    cli("add", UK, "Keir Starmer", "--id", "uk-pm", "--tag", "politics", "--author", "ann", "--note", "since 2024")
    return cli
