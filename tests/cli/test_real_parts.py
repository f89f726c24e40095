"""The same verbs with the shipped parts, in a process of their own: no fake, no patch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from errata import zoo

pytestmark = pytest.mark.skipif(not {"dual", "pair"} <= set(zoo.names()), reason="the trained parts are not there")


def errata(memory: Path, *args: str, code: int = 0) -> Any:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ERRATA_MODEL": "echo"}
    command = [sys.executable, "-m", "errata.cli", *args, "--memory", str(memory), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout or done.stderr)


def test_a_correction_from_beginning_to_end(tmp_path: Path) -> None:
    memory = tmp_path / "errata.db"
    added = errata(memory, "add", "Who is the prime minister of the United Kingdom?", "Keir Starmer", "--id", "uk-pm")
    assert added["changed"] and added["preflight"]["contradictions"] == []
    question = "The United Kingdom's prime minister is who?"
    answer = errata(memory, "ask", question)
    assert (answer["answer"], answer["edit"]["id"]) == ("Keir Starmer", "uk-pm")
    why = errata(memory, "why", "How do I boil an egg?")
    assert not why["edited"] and why["answer"] == why["base_answer"] == "How do I boil an egg?"
    refused = errata(memory, "add", "Who is the prime minister of the United Kingdom?", "Liz Truss", code=2)
    assert refused["kind"] == "ConflictError"
    errata(memory, "retract", "uk-pm")
    assert errata(memory, "ask", question)["answer"] == question
    assert errata(memory, "checkout", "1", "--ask", question)["answer"] == "Keir Starmer"
