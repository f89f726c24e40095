"""`errata serve` and `errata key`: the service in front of a running model, and the keys that it asks for."""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from errata.cli.output import emit, table
from errata.cli.session import parse_moment, quiet
from errata.errors import MissingExtra, StoreError
from errata.settings import default_memory

if TYPE_CHECKING:
    from socket import socket

    from errata.service.console.sessions import Sessions
    from errata.service.keys import Key, Keys
    from errata.service.settings import Settings

_CONFIG = click.option("--config", default=None, metavar="FILE", envvar="ERRATA_CONFIG", help="errata.toml otherwise.")
_MEMORY = click.option(
    "--memory", default=None, metavar="URL", envvar="ERRATA_MEMORY",
    help="The memory (or ERRATA_MEMORY); overrules the file.",
)  # fmt: skip


@click.command("serve")
@_CONFIG
@_MEMORY
@click.option("--upstream", default=None, metavar="URL", help="The OpenAI-compatible server behind, with /v1.")
@click.option("--model", default=None, metavar="NAME", help="A local base model instead of an upstream.")
@click.option("--host", default=None, help="Address to listen on (127.0.0.1).")
@click.option(
    "--port", default=None, type=click.IntRange(0, 65535), help="Port to listen on (8377); 0 takes a free one."
)
@click.option("--answers", default=None, metavar="NAME", help="The counterfactual model: retell, reader, ...")
@click.option("--workers", default=None, type=click.IntRange(1, 256), help="Processes that serve the address (1).")
def serve_verb(config: str | None, memory: str | None, upstream: str | None, model: str | None, host: str | None,
               port: int | None, answers: str | None, workers: int | None) -> None:  # fmt: skip
    """Serve an OpenAI-compatible API: requests in the scope of an edit are answered under it, others handed on."""
    quiet()
    given = _said({
        "listen": {"host": host, "port": port, "workers": workers},
        "upstream": {"url": "" if model else upstream, "model": model},
        "sheet": {"memory": memory, "answers": answers},
    })  # fmt: skip
    settings = _settings(config, given)
    try:
        from errata.service import workers as processes
        from errata.service.listening import listening
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "service") from error
    processes.logs(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when all has ended in order
    with listening(settings.listen.host, settings.listen.port) as bound:
        if settings.listen.workers == 1:
            from errata.service.app import make_service

            service = make_service(settings)
            _greet(settings, bound, service.editor.memory, service.keys, service.sessions)
            processes.serve(settings, bound, service.app)
        else:
            _greet_for_all(settings, bound)
            processes.serve_many(settings, bound, config, given)


def _greet_for_all(settings: Settings, bound: socket) -> None:
    """Open memory and ledger, and so bring them up to date by one process alone, and greet."""
    from errata.memory.sqlite import open_memory
    from errata.service.console.sessions import Sessions
    from errata.service.keys import Keys
    from errata.service.ledgers import ledger_of

    with open_memory(settings.sheet.memory or default_memory()) as held, closing(ledger_of(held)) as ledger:
        keys = Keys(ledger)
        _greet(settings, bound, held, keys, Sessions(ledger, keys))


def _greet(settings: Settings, bound: socket, memory: Any, keys: Keys, sessions: Sessions) -> None:
    """Tell where the service is, and what it serves."""
    host, port = settings.listen.host, bound.getsockname()[1]
    at = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    behind = settings.upstream.url or f"the local model {settings.upstream.model}"
    click.echo(f"errata serves {at}/v1 in front of {behind}")
    click.echo(f"  edits: {getattr(memory, 'name', '')} at revision {memory.revision}")
    click.echo(f"  console: {at}/console{'' if settings.listen.open else _link(sessions)}")
    if not keys.list():
        click.echo("  no key yet, so nobody may change edits: errata key add NAME --role admin")


def _link(sessions: Sessions) -> str:
    """What makes the console's address one that signs in; a full disk must not keep the service from starting."""
    try:
        return f"/?token={sessions.link()}   (signs in once, within 15 minutes)"
    except StoreError as error:
        return f"   (no link that signs in: {error})"


@click.group("key")
def key_verb() -> None:
    """Make, list and revoke the service's keys."""


@key_verb.command("add")
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(("reader", "editor", "approver", "admin")))
@click.option("--space", "spaces", multiple=True, metavar="NAME", help="A space it is for; all when left out.")
@click.option("--expires", default=None, metavar="MOMENT", help="When it ends.")
@_CONFIG
@_MEMORY
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def key_add(name: str, role: str, spaces: tuple[str, ...], expires: str | None, config: str | None, memory: str | None,
            as_json: bool) -> None:  # fmt: skip
    """A new key NAME; its secret is shown once."""
    keys = _keys(config, memory)
    ends = parse_moment(expires, "expires") if expires else None
    key, secret = keys.make(name, role, spaces or ("*",), expires=ends)
    if as_json:
        emit({"id": key.id, "name": key.name, "role": key.role, "spaces": list(key.spaces), "secret": secret})
        return
    click.echo(secret)
    click.echo(f"key {key.id} ({key.role}) for {', '.join(key.spaces)}; the secret is not shown again", err=True)


@key_verb.command("list")
@_CONFIG
@_MEMORY
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def key_list(config: str | None, memory: str | None, as_json: bool) -> None:
    """All keys, without their secrets."""
    found = _keys(config, memory).list()
    if as_json:
        for key in found:
            emit(_document(key))
        return
    table(
        ("id", "name", "role", "spaces", "made", "expires", "revoked"),
        [(key.id, key.name, key.role, ", ".join(key.spaces), key.made, key.expires, key.revoked) for key in found],
    )


@key_verb.command("revoke")
@click.argument("id")
@_CONFIG
@_MEMORY
def key_revoke(id: str, config: str | None, memory: str | None) -> None:
    """Take the rights of the key ID away, at once and for good."""
    key = _keys(config, memory).revoke(id)
    click.echo(f"key {key.id} ({key.name}) is revoked")


def _said(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What of the options was given, by table."""
    said = {name: {key: value for key, value in values.items() if value is not None} for name, values in given.items()}
    return {name: values for name, values in said.items() if values}


def _settings(config: str | None, given: dict[str, dict[str, Any]]) -> Settings:
    """The settings, with what the options say."""
    try:
        from errata.service.settings import load_settings
    except ImportError as error:
        raise MissingExtra(error.name or "pydantic_settings", "service") from error
    return load_settings(config, **given)


def _keys(config: str | None, memory: str | None) -> Keys:
    settings = _settings(config, _said({"sheet": {"memory": memory}}))
    from errata.service.keys import Keys
    from errata.service.ledgers import open_ledger

    ledger = open_ledger(settings.sheet.memory or default_memory())
    click.get_current_context().call_on_close(ledger.close)
    return Keys(ledger)


def _document(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "role": key.role, "spaces": list(key.spaces), "made": key.made,
        "expires": key.expires, "revoked": key.revoked,
    }  # fmt: skip
