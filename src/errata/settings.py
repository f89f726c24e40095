"""Recipes: TOML files read into the frozen settings dataclasses, every key checked.

This module knows dataclasses and files; it never trains.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from errata.errors import ConfigError

Settings = TypeVar("Settings")


def read_recipe(path: Path, default: Settings) -> Settings:
    """Settings of a recipe file, on top of the defaults.

    Args:
        path: a TOML file; its tables are the settings' nested dataclasses.
        default: an instance that gives the kind of settings and the values of keys left out.

    Raises:
        ConfigError: the file cannot be read, or a key or value is not accepted; names the nearest right key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from error
    return apply(table, default, str(path))


def apply(table: Mapping[str, Any], default: Settings, where: str) -> Settings:
    """A copy of `default` with the table's values (ConfigError as for `read_recipe`)."""
    if not dataclasses.is_dataclass(default) or isinstance(default, type):
        raise ConfigError(f"{default!r} holds no settings", where=where)
    hints = typing.get_type_hints(type(default))
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"unknown key {key!r}", where=where, key=key, accepted=tuple(hints))
        now = getattr(default, key)
        if dataclasses.is_dataclass(now) and isinstance(value, Mapping):
            changes[key] = apply(value, now, f"{where}: {key}")
        else:
            changes[key] = _checked(value, hints[key], f"{where}: {key}", key)
    return dataclasses.replace(default, **changes)


def _checked(value: Any, hint: Any, where: str, key: str) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = tuple(typing.get_origin(kind) or kind for kind in kinds)
    if float in plain and type(value) is int:
        return float(value)
    if type(value) not in plain:
        names = " or ".join(kind.__name__ for kind in plain)
        raise ConfigError(f"{value!r} is a {type(value).__name__}, not a {names}", where=where, key=key)
    return value


def default_memory() -> Path:
    """`errata.db` in the user's data folder."""
    from platformdirs import user_data_dir

    return Path(user_data_dir("errata")) / "errata.db"
