"""A verifier in the editor: named, it brings its network to the scope classifier, and both are saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from errata import zoo
from errata.counterfactual.verifier import Verifier
from errata.edit import Edit
from errata.editors.saving import load
from errata.editors.serac import CLAIMS, Serac, make_counterfactual, make_scope, wrap
from errata.errors import ModelError
from errata.scope.cascade import CascadeScope
from errata.scope.cross import CrossScope
from tiny_encoder import tiny_backbone, tiny_network

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft under transformers
needs_parts = pytest.mark.skipif(not {"dual", "pair"} <= set(zoo.names()), reason="the trained parts are not there")

EVIDENCE = Edit(prompt="the capital of france is paris .", id="paris")
CLAIMS_ASKED = ["paris is the capital", "who", "is paris of paris ."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("verifier")
    return tiny_network(home / "claims", tiny_backbone(home / "backbone"), "pair")


@pytest.fixture
def editor(folder: Path) -> Iterator[Serac]:
    made = wrap("echo", scope="cross", counterfactual=f"verifier:{folder}", runtime="torch", threshold=0.0)
    yield made
    made.memory.close()


def test_evidence_is_added_and_claims_get_a_verdict(editor: Serac, folder: Path) -> None:
    editor.add(EVIDENCE)
    answers = editor.generate(CLAIMS_ASKED)
    readings = Verifier(folder, runtime="torch").network.read([(text, EVIDENCE.prompt, "") for text in CLAIMS_ASKED])
    assert [answer.text for answer in answers] == [str(reading.verdict > 0) for reading in readings]
    scores = [answer.decision.match.score for answer in answers if answer.decision.match]
    assert scores == [reading.probability for reading in readings]


def test_one_network_judges_and_answers(editor: Serac) -> None:
    assert isinstance(editor.scope, CrossScope) and isinstance(editor.counterfactual, Verifier)
    assert editor.scope.network is editor.counterfactual.network


@needs_parts
def test_the_cascade_reads_with_the_verifiers_network_and_keeps_more(folder: Path) -> None:
    verifier = make_counterfactual(f"verifier:{folder}", "torch")
    scope = make_scope("cascade", "torch", verifier)
    assert isinstance(scope, CascadeScope) and isinstance(verifier, Verifier)
    assert scope.cross.network is verifier.network
    assert {"k": scope.k, "floor": scope.floor, "after": scope.after} == CLAIMS
    plain = make_scope("cascade", "torch", make_counterfactual("reader", "torch"))
    assert isinstance(plain, CascadeScope)
    assert (plain.cross.folder, plain.k, plain.floor) == (zoo.path("pair"), 6, 0.02)


@needs_parts
@pytest.mark.parametrize("scope", ["cross", "cascade"])
def test_it_is_saved_and_loaded(folder: Path, tmp_path: Path, scope: str) -> None:
    editor = wrap("echo", scope=scope, counterfactual=f"verifier:{folder}", runtime="torch", threshold=0.0)
    editor.add(EVIDENCE)
    editor.save(tmp_path / "editor")
    again = load(tmp_path / "editor", runtime="torch")
    assert isinstance(again.counterfactual, Verifier)
    assert (type(again.scope), again.scope.k) == (type(editor.scope), editor.scope.k)
    assert getattr(again.scope, "floor", None) == getattr(editor.scope, "floor", None)
    assert again.generate(CLAIMS_ASKED) == editor.generate(CLAIMS_ASKED)
    again.memory.close()
    editor.memory.close()


def test_a_shipped_verifier_is_saved_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a zoo whose parts are tiny, named "dual", "pair" and "verifier"."""
    import shutil

    home = tmp_path / "zoo"
    backbone = folder.parent / "backbone"
    tiny_network(home / "dual", backbone, "dual")
    tiny_network(home / "pair", backbone, "pair")
    shutil.copytree(folder, home / "verifier")
    monkeypatch.setattr(zoo, "_HERE", home)
    for scope in ("cascade", "cross"):
        editor = wrap("echo", scope=scope, counterfactual="verifier", runtime="torch", threshold=0.0)
        editor.add(EVIDENCE)
        editor.save(tmp_path / scope)
        assert sorted(path.name for path in (tmp_path / scope).iterdir()) == ["edits.db", "errata.json"]
        again = load(tmp_path / scope, runtime="torch")
        cross = getattr(again.scope, "cross", again.scope)
        assert cross.folder == again.counterfactual.folder == home / "verifier"  # type: ignore[attr-defined]
        assert getattr(again.scope, "options", None) == getattr(editor.scope, "options", None)
        assert again.generate(CLAIMS_ASKED) == editor.generate(CLAIMS_ASKED)
        again.memory.close()
        editor.memory.close()


def test_no_such_verifier_says_so() -> None:
    with pytest.raises(ModelError, match="no trained part 'nowhere'"):
        make_counterfactual("verifier:nowhere")
