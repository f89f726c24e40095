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
    from errata.memory.sqlite import path_of

    url = session.url or str(default_memory())
    if path_of(url) == ":memory:":
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
    from errata.memory.copying import copy_memory
    from errata.memory.sqlite import open_memory, path_of
    from errata.service.ledger import ledger_path

    path = path_of(url)
    memory = Path(path) if path is not None else into / "errata.db"
    ledger = Path(ledger_path(path if path is not None else url))
    files = []
    if ledger.is_file():
        files.append(memory.with_suffix(".service.db").name)
        copy_file(ledger, into / files[-1])
    files.insert(0, memory.name)
    if path is not None:
        copy_file(memory, into / memory.name)
    else:
        with open_memory(url, read_only=True) as source, open_memory(memory) as target:
            copy_memory(source, target)
    return files
