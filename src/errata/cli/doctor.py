"""`errata doctor` and `errata version`: is all well with the memory, the trained parts and this installation?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click

from errata import zoo
from errata._version import __version__
from errata.cli.output import emit, table
from errata.cli.session import Session, shared
from errata.errors import ErrataError
from errata.settings import default_memory

PARTS = ("mini", "dual", "gate", "pair")
LIBRARIES = (
    "numpy", "click", "usearch", "tokenizers", "safetensors", "httpx2", "torch", "transformers", "onnxruntime",
)  # fmt: skip

Finding = tuple[str, bool, str]
"""What was checked, whether all is well, and what was found."""


@click.command("doctor")
@click.option("--repair", is_flag=True, help="Rebuild what can be rebuilt: current state, text search, index.")
@shared()
def doctor_verb(session: Session, repair: bool) -> None:
    """Check the memory, the trained parts and this installation; exit code 1 when something is wrong."""
    found = [*_memory(session, repair), *_parts(), *_installation()]
    ok = all(well for _, well, _ in found)
    if session.json:
        emit({"ok": ok, "findings": [{"check": name, "ok": well, "detail": detail} for name, well, detail in found]})
    else:
        table(("", "check", "found"), [("ok" if well else "BAD", name, detail) for name, well, detail in found])
        click.echo("all is well" if ok else "something is wrong; see BAD")
    sys.exit(0 if ok else 1)


def _memory(session: Session, repair: bool) -> Iterator[Finding]:
    url = session.url or str(default_memory())
    if "://" not in url and url != ":memory:" and not Path(url).exists():
        yield "memory", True, f"none yet at {url}"
        return
    try:
        memory = session.memory()
        yield "memory", True, f"{memory.name}, revision {memory.revision}"
        from errata.memory.doctor import diagnose

        for finding in diagnose(memory, repair=repair):
            yield f"memory: {finding.check}", finding.ok, finding.detail
        with memory.as_last_bound() as last:
            bound = last.fingerprint
    except ErrataError as error:
        yield "memory", False, str(error)
        return
    if bound and "dual" in zoo.names():
        from errata.models.network import fingerprint

        same = bound == fingerprint(zoo.path("dual"), precision="fp32")
        yield "memory: scope model", True, "the shipped one" if same else "another one; vectors are made when needed"


def _parts() -> Iterator[Finding]:
    size = 0
    for name in PARTS:
        try:
            folder = zoo.path(name)
            size += sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            yield f"part: {name}", True, str(folder)
        except (ErrataError, OSError) as error:
            yield f"part: {name}", False, str(error)
    yield "parts: size", size <= 30_000_000, f"{size / 1e6:.1f} MB"
    try:
        from errata.models.backbone import MINILM, find_backbone, weights_hash

        folder = find_backbone(MINILM)
        yield "backbone", True, f"{folder} (sha256 {weights_hash(folder)[:12]}…)"
    except ErrataError as error:
        yield "backbone", False, str(error)


def _installation() -> Iterator[Finding]:
    from errata.models.runtime import available

    yield "runtime", True, available()
    known = versions()
    yield "versions", True, ", ".join(f"{name} {version or 'missing'}" for name, version in known.items())


def versions() -> dict[str, str | None]:
    """Versions of errata, Python and the libraries it uses; None for one that is not installed."""
    found: dict[str, str | None] = {"errata": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


@click.command("version")
@shared(memory=False)
def version_verb(session: Session) -> None:
    """Show the version of errata and of the libraries it uses."""
    found = versions()
    if session.json:
        emit(found)
        return
    for name, version in found.items():
        click.echo(f"{name:<14} {version or 'not installed'}")
