"""The command line: `errata VERB`. Thin verbs over the library, one module for a few that belong together.

This module names the verbs, loads a verb's module when it is called or helped with, and turns every error into one
line on stderr and an exit code. It answers nothing itself and imports neither numpy nor torch.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from errata._version import __version__
from errata.errors import ConfigError, EditError, ErrataError, MissingExtra, ModelError, StoreError

VERBS = {
    "demo": "demo",
    "ask": "ask",
    "add": "change",
    "get": "look",
    "replace": "change",
    "retract": "change",
    "enable": "change",
    "disable": "change",
    "undo": "change",
    "list": "look",
    "search": "look",
    "why": "why",
    "history": "past",
    "checkout": "past",
    "diff": "past",
    "import": "transfer",
    "export": "transfer",
    "migrate": "transfer",
    "backup": "backup",
    "check": "check",
    "test": "trial",
    "tune": "tune",
    "purge": "change",
    "train": "train",
    "evaluate": "train",
    "bench": "train",
    "experiment": "experiment",
    "serve": "serve",
    "key": "serve",
    "doctor": "doctor",
    "version": "doctor",
}
"""The module each verb is in, in the order that help lists them."""

EXIT_CODES = (
    (StoreError, 3),
    (ModelError, 4),
    (MissingExtra, 4),
    (EditError, 2),
    (ConfigError, 2),
)
"""Exit code of each kind of error; a check that failed is 1, Ctrl-C 130, a bug of errata 70."""

BUG = 70


class Verbs(click.Group):
    """The group of all verbs; a verb's module is imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of `VERBS`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of a name."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"errata.cli.{VERBS[cmd_name]}")
        command = getattr(module, f"{cmd_name}_verb")
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb named when there is none of this name."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise ConfigError(f"there is no verb {args[0]!r}", key=args[0], accepted=VERBS)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; but a reader that goes away (`errata list | head`) ends it quietly with 141."""
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has nowhere to go
            raise click.exceptions.Exit(141) from error
        return value

    def main(  # type: ignore[override]  # click tells what it returns by the literal value of standalone_mode
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        standalone_mode: bool = True,
        **options: Any,
    ) -> Any:
        """Run a verb; ends the process with the exit code unless standalone_mode is False."""
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(given, prog_name or "errata", standalone_mode=False, **options)
        try:
            code = super().main(given, prog_name or "errata", standalone_mode=False, **options)
        except (KeyboardInterrupt, click.Abort):
            _end(130, "interrupted", "Interrupted", given)
        except click.ClickException as error:
            _end(2, _usage(error), type(error).__name__, given)
        except ErrataError as error:
            if os.environ.get("ERRATA_DEBUG"):
                raise
            code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 4)
            _end(code, str(error), type(error).__name__, given)
        except UnicodeDecodeError as error:
            _end(2, f"the input is not UTF-8 text ({error.reason})", type(error).__name__, given)
        except OSError as error:
            name = f": {error.filename}" if error.filename else ""
            _end(2, f"{error.strerror or error}{name}", type(error).__name__, given)
        except Exception as error:
            if os.environ.get("ERRATA_DEBUG"):
                raise
            told = f"{type(error).__name__}: {error} (a bug of errata; with ERRATA_DEBUG=1 you see where)"
            _end(BUG, told, type(error).__name__, given)
        sys.exit(code if isinstance(code, int) else 0)


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context is not None else ""
    return error.format_message().replace("\n", " ") + hint


def _end(code: int, message: str, kind: str, args: Sequence[str]) -> NoReturn:
    line = " ".join(message.split())
    if "--json" in args:
        click.echo(json.dumps({"error": line, "kind": kind, "exit": code}, ensure_ascii=False), err=True)
    else:
        click.echo(f"error: {line}", err=True)
    sys.exit(code)


@click.group(
    "errata",
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 a check failed, 2 usage, 3 memory, 4 model, 130 interrupted.",
)
@click.version_option(__version__, "--version", prog_name="errata", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Put an errata sheet in front of a frozen language model: correct it, explain it, undo it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
