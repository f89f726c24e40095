"""Every example runs, and every Python block of the README and the docs does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from errata import zoo
from errata.problems.cases import DATA

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
needs_data = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
SERVED = "127.0.0.1:8377"
"""Where the service of a page's example listens; `tests/service/test_readme.py` runs those."""
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}", marks=needs_data if "evaluate_problem(" in block else ())
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
    if SERVED not in block
]
needs_parts = pytest.mark.skipif(
    not {"dual", "mini", "pair"} <= set(zoo.names()), reason="needs the shipped parts (errata train …)"
)


def run(program: list[str], folder: Path) -> str:
    environment = os.environ | {"ERRATA_MEMORY": str(folder / "errata.db"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_parts
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_example_runs_and_says_something(path: Path, tmp_path: Path) -> None:
    assert run([sys.executable, str(path)], tmp_path).strip()


@needs_parts
@pytest.mark.parametrize("block", BLOCKS)
def test_the_block_runs(block: str, tmp_path: Path) -> None:
    run([sys.executable, "-c", block], tmp_path)


@needs_parts
def test_the_durable_memory_example_takes_the_edit_back(tmp_path: Path) -> None:
    said = dict(line.split(":", 1) for line in run([sys.executable, str(ROOT / "examples/durable_memory.py")], tmp_path)
                .splitlines() if ":" in line[:12])  # fmt: skip
    assert said["edited"].strip() == said["as it was"].strip() == "Nusantara"
    assert said["retracted"].strip() != "Nusantara"


def test_every_example_is_in_the_list() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"({path.name})" in listed for path in (ROOT / "examples").glob("*.py"))


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS) >= 2
