"""The verifier says "True" or "False" under evidence, whatever the pair network's likeliest kind of answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errata.counterfactual.reader import Reader
from errata.counterfactual.verifier import Verifier
from errata.edit import Edit, Match
from errata.errors import EditError, ModelError
from errata.models.echo import EchoModel
from errata.models.network import load_network
from errata.models.pair import KINDS
from errata.models.text import Texts
from tiny_encoder import tiny_backbone, tiny_network

torch = pytest.importorskip("torch")

EVIDENCE = Edit(prompt="the capital of france is paris .")
FACT = Edit(prompt="what is the capital of france ?", target="paris")
TRUE, FALSE = KINDS.index("true"), KINDS.index("false")
CLAIMS = ["paris is the capital", "who", "what is france the capital of ?", "the the", "france", "is paris of paris ."]


def kinds_of(folder: Path, edit: Edit) -> Any:
    """What the network in a folder makes of the claims, (claims, kinds)."""
    tokens, _ = Texts(folder.parent / "backbone").pairs([(claim, edit.prompt, edit.target) for claim in CLAIMS])
    with torch.no_grad():
        parts = (torch.from_numpy(part) for part in (tokens.ids, tokens.mask, tokens.types))
        return load_network(folder)(*parts)[1].numpy()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that would answer every claim with a span, some of whose claims are nearer to true than to false."""
    from safetensors.torch import load_file, save_file

    home = tmp_path_factory.mktemp("verifier")
    folder = tiny_network(home / "pair", tiny_backbone(home / "backbone"), "pair")
    heads = load_file(folder / "heads.safetensors")
    heads["kind.weight"] *= 30
    save_file(heads, folder / "heads.safetensors")
    kind = kinds_of(folder, EVIDENCE)
    heads["kind.bias"][TRUE] -= float(np.median(kind[:, TRUE] - kind[:, FALSE]))
    heads["kind.bias"][KINDS.index("span")] += 100
    save_file(heads, folder / "heads.safetensors")
    return home


@pytest.fixture(scope="module")
def verifier(home: Path) -> Verifier:
    return Verifier(home / "pair", runtime="torch")


@pytest.mark.parametrize("edit", [EVIDENCE, FACT], ids=["evidence", "with a target"])
def test_the_larger_of_the_two_verdicts_is_the_answer(home: Path, verifier: Verifier, edit: Edit) -> None:
    kind = kinds_of(home / "pair", edit)
    assert set(kind.argmax(1)) == {KINDS.index("span")}
    answers = verifier.respond(CLAIMS, [Match(edit, 1.0)] * len(CLAIMS), EchoModel())
    assert answers == [str(bool(more)) for more in kind[:, TRUE] > kind[:, FALSE]]
    readings = verifier.network.read([(claim, edit.prompt, edit.target) for claim in CLAIMS])
    assert [reading.verdict for reading in readings] == pytest.approx(kind[:, TRUE] - kind[:, FALSE], abs=1e-3)
    assert {reading.kind for reading in readings} == {"span"}
    if edit is EVIDENCE:
        assert set(answers) == {"True", "False"}


def test_edits_without_a_target_are_taken(verifier: Verifier, home: Path) -> None:
    verifier.check(EVIDENCE)
    verifier.check(FACT)
    with pytest.raises(EditError):
        Reader(home / "pair", runtime="torch").check(EVIDENCE)


def test_inputs_and_matches_must_pair_up(verifier: Verifier) -> None:
    with pytest.raises(EditError, match="one for each"):
        verifier.respond(["a", "b"], [Match(EVIDENCE, 1.0)], EchoModel())
    assert verifier.respond([], [], EchoModel()) == []


def test_it_saves_and_loads_with_the_same_answers(verifier: Verifier, tmp_path: Path) -> None:
    verifier.save_pretrained(tmp_path)
    matches = [Match(EVIDENCE, 1.0)] * len(CLAIMS)
    again = Verifier.from_pretrained(tmp_path, runtime="torch")
    assert again.respond(CLAIMS, matches, EchoModel()) == verifier.respond(CLAIMS, matches, EchoModel())


def test_no_such_verifier_is_a_named_error() -> None:
    with pytest.raises(ModelError, match="no trained part 'verifer'"):
        Verifier.from_pretrained("verifer")
