"""What a trained part tells of itself: its data, the commit it was trained at, its figures."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from errata.training.parts import DRAWN, LEARNED, OWN, PARTS


def uses(part: str) -> tuple[str, ...]:
    """The public files that a part is trained on."""
    kind, _, problem = part.partition("-")
    return DRAWN[problem] if kind in LEARNED else PARTS[kind].uses


def data_hash(part: str, data: Path | None) -> str:
    """SHA-256 over everything the part was trained on: our own tables and the public files, in a fixed order."""
    package = Path(__file__).parent.parent
    paths = [package / name for name in PARTS[part.partition("-")[0]].own]
    for source in (data / name for name in uses(part)) if data else ():
        paths += sorted(source.glob("*.jsonl")) if source.is_dir() else [source]
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def commit() -> str:
    """The commit of the working tree this package lies in; "" outside one."""
    try:
        run = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()


def write_card(
    part: str, folder: Path, settings: Any, figures: Mapping[str, Any], data: Path | None, *, seconds: float
) -> None:
    """Write card.json (for machines) and README.md (for people) beside the weights."""
    kind, _, problem = part.partition("-")
    about = PARTS[kind]
    if not problem:
        kind, problem = next((pair for pair, name in OWN.items() if name == part), (part, ""))
    command = " ".join(word for word in ("errata train", "editor" * (kind in LEARNED), kind, problem) if word)
    card = {
        "part": part if "-" in part else about.folder,
        "title": about.title,
        "recipe": asdict(settings),
        "data_hash": data_hash(part, data),
        "data": [name for name in uses(part) if data and (data / name).exists()],
        "commit": commit(),
        "seconds": round(seconds),
        "figures": {name: _rounded(value) for name, value in figures.items()},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    rows = "\n".join(f"| {name} | {value} |" for name, value in card["figures"].items())  # type: ignore[attr-defined]
    text = f"""# {about.title}

{about.about}

Trained by `{command}` with the recipe and the data hash in `card.json`. Licence: Apache-2.0.

| figure | value |
|---|---|
{rows}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
