"""The service's settings: `errata.toml`, overruled by the environment (ERRATA_UPSTREAM__URL=...)."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from errata.errors import ConfigError

FILE = "errata.toml"
LOOPBACK = ("localhost", "")


class Part(BaseModel):
    """A table of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(Part):
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = Field(default=8377, ge=0, le=65535)
    """0 takes a free one."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that serve the address; one that dies is started again."""

    @property
    def open(self) -> bool:
        """Whether other machines can reach it."""
        if self.host in LOOPBACK:
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True


class Upstream(Part):
    """The base model: an OpenAI-compatible server, or a local model. Requests never name another one."""

    url: str = ""
    """Its base URL, /v1 and all; "" for a local model."""
    model: str = "mini"
    """The local model, where there is no URL; as `errata.load_model` takes it."""
    key_env: str = ""
    """Environment variable with the upstream's key; "" hands on the client's own Authorization header."""
    connect_seconds: float = Field(default=5.0, gt=0)
    read_seconds: float = Field(default=600.0, gt=0)
    """For each piece of an answer."""
    connections: int = Field(default=256, ge=1)
    ahead: bool = False
    """Whether a request goes to the upstream before it is known whether an edit covers it: the decision then costs no
    time out of scope, and what is in scope is sent, and paid for, though its answer is dropped."""


class Sheet(Part):
    """The edits, and how inputs are compared with them."""

    memory: str = ""
    """File or URL of the memory; "" for errata.db in the user's data folder."""
    space: str = "default"
    """The space of requests whose key is bound to none."""
    scope: Literal["cascade", "dual", "cross"] = "cascade"
    answers: str = ""
    """The counterfactual model: retell, reader, verbatim, verifier, a folder; "" is retell for a URL, else reader."""
    runtime: str = "auto"
    conversation: bool = True
    """Whether a follow-up ("and its capital?") is read with the turns before it; otherwise it is relayed."""
    on_error: Literal["raise", "base"] = "raise"
    """What a failure of scope or counterfactual model is: an error, or (counted) the base model's answer."""


class Access(Part):
    """Who may do what."""

    anonymous: Literal["", "ask", "none"] = ""
    """What a request without a key may do; "" is "ask" on a loopback address and "none" elsewhere."""
    approval: bool = False
    """Whether a second person must approve an edit before it goes live."""
    bypass: Literal["reader", "editor", "approver", "admin"] = "editor"
    """The least role that may send `x-errata-bypass`."""
    body_bytes: int = Field(default=16_000_000, ge=1_000)
    """Most bytes of a request."""
    waiting: int = Field(default=512, ge=1)
    """Most texts that may wait for a decision; a request that comes then is refused with 503."""
    per_minute: int = Field(default=0, ge=0)
    """Most requests a minute of one key or address; 0 is no limit."""


class Telemetry(Part):
    """What is written down."""

    prompts: bool = False
    """Whether the audit and logs hold texts of inputs; otherwise only what was decided."""
    log_format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(env_prefix="ERRATA_", env_nested_delimiter="__", extra="forbid", frozen=True)

    listen: Listen = Listen()
    upstream: Upstream = Upstream()
    sheet: Sheet = Sheet()
    access: Access = Access()
    telemetry: Telemetry = Telemetry()

    @property
    def anonymous(self) -> Literal["ask", "none"]:
        """What a request without a key may do."""
        return self.access.anonymous or ("none" if self.listen.open else "ask")

    @property
    def answers(self) -> str:
        """The counterfactual model's name."""
        return self.sheet.answers or ("retell" if self.upstream.url else "reader")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrules the file."""
        return env_settings, init_settings


def load_settings(file: str | Path | None = None, **given: Mapping[str, object]) -> Settings:
    """The settings of a file, the environment and what is given; `given` overrules both.

    Args:
        file: a TOML file; None takes `errata.toml` here, if there is one.
        given: tables, such as upstream={"url": "..."}.

    Raises:
        ConfigError: the file cannot be read, or a key or value is not accepted.
    """
    path = Path(file) if file is not None else Path(FILE)
    read: dict[str, object] = {}
    if file is not None or path.is_file():
        try:
            read = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"is no TOML: {error}", where=str(path)) from error
    try:
        settings = Settings(**read)  # type: ignore[arg-type]  # checked by pydantic
        parts = {name: getattr(settings, name) for name in Settings.model_fields}
        for name, values in given.items():
            parts[name] = type(parts[name]).model_validate({**parts[name].model_dump(), **values})
        return Settings.model_construct(**parts)
    except ValidationError as error:
        raise _refused(error, str(path) if read else "settings") from error


def _refused(error: ValidationError, where: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    key = place[-1] if place else ""
    if first["type"] == "extra_forbidden":
        table = Settings.model_fields.get(place[0]) if len(place) > 1 else None
        fields = table.annotation.model_fields if table is not None else Settings.model_fields  # type: ignore[union-attr]
        return ConfigError(f"there is no setting {'.'.join(place)}", where=where, key=key, accepted=tuple(fields))
    return ConfigError(f"{'.'.join(place)}: {first['msg']}", where=where, key=key)
