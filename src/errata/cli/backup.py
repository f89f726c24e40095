"""`errata backup`: a memory and its service's ledger, copied while both are in use."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from errata.cli.output import emit
from errata.cli.session import Session, shared
from errata.errors import ConfigError
from errata.settings import default_memory


@click.command("backup")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@shared()
def backup_verb(session: Session, folder: Path) -> None:
    """Copy the memory, and the service's ledger beside it, into the new FOLDER, while a service may be using both.

    FOLDER appears whole or not at all. A memory in PostgreSQL becomes a file there.
    """
    from errata.memory.sqlite import placed

    url = session.url or str(default_memory())
    if placed(url)[1] == ":memory:":
        raise ConfigError("a memory in RAM cannot be backed up; name a file or a URL", key="memory")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name a new folder for each backup", key="folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        files = _copied(url, making)
        making.replace(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    if session.json:
        emit({"folder": str(folder), "files": files})
    else:
        click.echo(f"{' and '.join(files)} copied to {folder}")


def _copied(url: str, into: Path) -> list[str]:
    """Copy the ledger, then the memory: so whatever the ledger says was done is in the memory.

    Returns the files' names.
    """
    from errata.memory.backup import copy_file
    from errata.memory.postgres import PostgresMemory
    from errata.memory.sqlite import SqliteMemory, placed
    from errata.service.ledgercopy import copy_all
    from errata.service.ledgers import beside

    kind, place = placed(url)
    if kind == "postgresql":
        with PostgresMemory(place, read_only=True) as source, SqliteMemory(into / "errata.db") as target:
            copy_all(source, target)
        return sorted(file.name for file in into.iterdir() if file.suffix == ".db")
    memory, ledger = Path(place), Path(beside(place))
    files = [memory.name]
    if ledger.is_file():
        copy_file(ledger, into / ledger.name)
        files.append(ledger.name)
    copy_file(memory, into / memory.name)
    return files
