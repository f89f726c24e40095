"""errata puts an errata sheet in front of a frozen language model.

This module is the public surface: `__all__` is the list that a user may rely on. Values and errors are here
at once; what needs numpy, torch or a database is imported when it is first asked for, so `import errata` is
cheap and needs no extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from errata._version import __version__
from errata.edit import Answer, Candidate, Decision, Edit, Match, Revision, Terms
from errata.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    EditError,
    EncoderMismatch,
    ErrataError,
    MissingExtra,
    ModelError,
    OutdatedError,
    StoreError,
    UnsupportedEdit,
    UnsupportedModel,
    UpstreamError,
)

if TYPE_CHECKING:
    from errata.editors.catalogue import get_editor
    from errata.editors.saving import load
    from errata.editors.serac import Serac, wrap
    from errata.memory.postgres import PostgresMemory
    from errata.memory.sqlite import SqliteMemory, open_memory
    from errata.models.echo import EchoModel
    from errata.models.load import load_model
    from errata.models.local import LocalModel
    from errata.models.remote import RemoteModel

__all__ = [
    "AccessError",
    "Answer",
    "Candidate",
    "ConfigError",
    "ConflictError",
    "Decision",
    "EchoModel",
    "Edit",
    "EditError",
    "EncoderMismatch",
    "ErrataError",
    "LocalModel",
    "Match",
    "MissingExtra",
    "ModelError",
    "OutdatedError",
    "PostgresMemory",
    "RemoteModel",
    "Revision",
    "Serac",
    "SqliteMemory",
    "StoreError",
    "Terms",
    "UnsupportedEdit",
    "UnsupportedModel",
    "UpstreamError",
    "__version__",
    "get_editor",
    "load",
    "load_model",
    "open_memory",
    "wrap",
]

_LATE = {
    "EchoModel": "errata.models.echo",
    "LocalModel": "errata.models.local",
    "PostgresMemory": "errata.memory.postgres",
    "RemoteModel": "errata.models.remote",
    "Serac": "errata.editors.serac",
    "SqliteMemory": "errata.memory.sqlite",
    "get_editor": "errata.editors.catalogue",
    "load": "errata.editors.saving",
    "load_model": "errata.models.load",
    "open_memory": "errata.memory.sqlite",
    "wrap": "errata.editors.serac",
}
"""Where each name imported late comes from."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'errata' has no attribute {name!r}")
    value = getattr(import_module(_LATE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
