"""Rows of a run as JSONL: a first line that tells the run, then one line an input; whole or not there at all.

Also which commit the code is. Nothing here scores.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar

from errata.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


class RowFile:
    """Writes rows beside the file, and puts them in its place when all are there.

    Args:
        path: the file; its folder is made.
        head: the first line.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self._head = path, head
        self._partial = path.with_name(f"{path.name}.partial")
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("w", encoding="utf-8")
            self._line(self._head)
        except OSError as error:
            raise ConfigError(f"rows cannot be written to {self.path}: {error.strerror}", key="rows") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if kind is None:
            self._partial.replace(self.path)

    def _line(self, what: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(what, ensure_ascii=False) + "\n")

    def through(self, found: Iterable[R]) -> Iterator[R]:
        """The rows, each written as it passes."""
        for row in found:
            self._line(asdict(row))
            yield row


def read_rows(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and the rows that a file holds.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        head, *rest = path.read_text(encoding="utf-8").splitlines()
        return json.loads(head)["run"], [json.loads(line) for line in rest]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} holds no rows ({error})", key="rows") from error


def commit() -> str | None:
    """The commit of the checkout that this code lies in, "-dirty" behind it if files differ; None outside of one."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        options: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": 20}
        subprocess.run([*git, "ls-files", "--error-unmatch", Path(__file__).name], **options)
        head = subprocess.run([*git, "rev-parse", "HEAD"], **options).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "--", str(here.parent)], **options).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}-dirty" if changed.strip() else head
