"""The files in deploy/, checked as far as can be without an engine: what they name is there, and is accepted."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from errata.cli import main
from errata.service.app import make_service
from errata.service.settings import Settings, load_settings
from errata.service.workers import DRAIN

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """(instruction, what follows) of the Containerfile, continued lines put together."""
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def told(name: str) -> list[str]:
    return [what for instruction, what in instructions() if instruction == name]


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in told("ENV") for pair in shlex.split(line))


def accepted(found: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that the service has in this environment."""
    for name, value in found.items():
        assert name == "PATH" or name.startswith("ERRATA_")
        monkeypatch.setenv(name, value)
    return load_settings()


def runs(words: list[str]) -> None:
    """Whether the command line takes these words."""
    name, *rest = words
    assert Path(name).name == "errata"
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, rest)


def test_the_container_installs_what_the_makefile_installs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [steps] = [line for line in told("RUN") if "pip" in line]
    [extras] = re.findall(r'"\.\[([a-z,]+)\]"', steps)
    assert {"local", "onnx", "service"} <= set(extras.split(",")) <= set(project["optional-dependencies"])
    [backbone] = re.findall(r"^BACKBONE := (\S+)", (ROOT / "Makefile").read_text(), re.M)
    assert backbone in steps and (ROOT / "constraints.txt").exists()
    image = told("FROM")[0].split()[0]
    version = re.search(r"python:(\d+\.\d+)", image)
    assert version and project["requires-python"] == f">={version[1]}"


def test_the_container_serves_where_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = accepted(environment(), monkeypatch)
    assert settings.listen.open and settings.anonymous == "none"
    assert told("EXPOSE") == [str(settings.listen.port)]
    [kept], [home] = told("VOLUME"), told("WORKDIR")[-1:]
    assert kept == home and Path(settings.sheet.memory).is_relative_to(kept)
    assert Path(environment()["ERRATA_CACHE"]).is_relative_to(kept)
    bins = environment()["PATH"].split(":")
    assert json.loads(told("ENTRYPOINT")[0])[0] == f"{bins[0]}/errata"
    runs([*json.loads(told("ENTRYPOINT")[0]), *json.loads(told("CMD")[0])])
    assert told("USER") == ["errata"] and told("STOPSIGNAL") == ["SIGTERM"]


def test_the_containers_health_is_a_route() -> None:
    [check] = told("HEALTHCHECK")
    python, option, code = json.loads(check[check.index("[") :])
    assert python.endswith("/bin/python") and option == "-c"
    compile(code, "health", "exec")
    [path] = re.findall(r"127\.0\.0\.1:8377(/[a-z/]+)", code)
    made = make_service(load_settings(upstream={"url": "http://127.0.0.1:9/v1"}, sheet={"memory": ":memory:"}))
    assert path in made.app.openapi()["paths"]


def test_the_compose_file_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    own = found["services"]["errata"]
    assert (DEPLOY / own["build"]["context"] / own["build"]["dockerfile"]).resolve() == DEPLOY / "Containerfile"
    settings = accepted(environment() | own["environment"], monkeypatch)
    assert settings.upstream.url == "http://base:11434/v1" and set(own["depends_on"]) <= set(found["services"])
    for service in found["services"].values():
        for volume in service["volumes"]:
            assert volume.split(":")[0] in found["volumes"]
    assert own["volumes"][0].split(":")[1] == told("VOLUME")[0]
    [port] = own["ports"]
    assert port == f"127.0.0.1:{settings.listen.port}:{settings.listen.port}"
    assert int(own["stop_grace_period"].removesuffix("s")) > DRAIN


def test_the_unit_starts_what_there_is() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "errata.service")
    service = unit["Service"]
    runs(shlex.split(service["ExecStart"]))
    assert int(service["TimeoutStopSec"]) > DRAIN
    written = {f"/var/lib/{service['StateDirectory']}", f"/var/cache/{service['CacheDirectory']}"}
    for pair in service["Environment"].split():
        assert any(one.startswith(pair.split("=")[1]) for one in written)
