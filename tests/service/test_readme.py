"""What the README says to do with the service is done, in its words, with the command that it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from errata import zoo

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PART = README.partition("## In front of a running model")[2].partition("\n## ")[0]
pytestmark = pytest.mark.skipif(
    not {"dual", "mini", "pair"} <= set(zoo.names()) or not shutil.which("curl"), reason="needs the shipped parts, curl"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    bin = Path(sys.executable).parent
    shim = tmp_path / "bin" / "errata"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m errata.cli "$@"\n')
    shim.chmod(0o755)
    source = str(Path(__file__).parents[2] / "src")
    return os.environ | {
        "PATH": f"{shim.parent}:{bin}:{os.environ['PATH']}",
        "PYTHONPATH": source,
        "ERRATA_MEMORY": str(tmp_path / "errata.db"),
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(host and port, what `errata serve` prints)."""
    program = [sys.executable, "-u", "-m", "errata.cli", "serve", "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "no key yet" in line:  # the last line, where the memory is new
                break
        found = re.search(r"serves http://(\S+)/v1", said)
        assert found and str(tmp_path) in said, said
        yield found[1], said
        process.terminate()


def blocks(kind: str, at: str) -> list[str]:
    found = re.findall(rf"^```{kind}\n(.*?)^```", PART, re.M | re.S)
    return [block.replace("127.0.0.1:8377", at) for block in found]


def test_an_edit_added_with_curl_answers_curl_and_the_openai_client(
    served: tuple[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    at, said = served
    [shell] = blocks("bash", at)
    done = subprocess.run(
        ["bash", "-ec", shell], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    decoder, answers, rest = json.JSONDecoder(), [], done.stdout
    while rest.strip():
        answer, end = decoder.raw_decode(rest.strip())
        answers.append(answer)
        rest = rest.strip()[end:]
    assert (answers[0]["target"], answers[0]["state"]) == ("Almaty", "in force")
    assert answers[1]["choices"][0]["message"]["content"] == "Almaty"
    [program] = blocks("python", at)
    asked = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert asked.stdout == "Almaty", asked.stderr
    link = re.search(r"console: (\S+)", said)
    assert link
    with httpx2.Client(follow_redirects=True) as browser:
        assert "Signed in" in browser.get(link[1]).text
        assert "Kazakhstan" in browser.get(f"http://{at}/console/edits").text


def test_the_picture_and_the_pages_that_it_names_are_there() -> None:
    named = re.findall(r"\]\(([^)#]+)", PART)
    assert "docs/images/console.png" in named
    assert all((Path(__file__).parents[2] / name).is_file() for name in named)
