"""Fine-tuning learns its edits, and changes neither the base nor the editor it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.edit import Edit
from errata.editors.catalogue import get_editor
from errata.editors.finetune import FineTune, FineTuneSettings
from errata.editors.weights import WEIGHTS, editable
from errata.errors import ConfigError, EditError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.models.classifier import ClaimClassifier
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from tiny import tiny_bert_classifier, tiny_gpt2, tiny_t5

torch = pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")
BORDEAUX = Edit(prompt="who plays for bordeaux ?", target="jazz world", id="bordeaux")
FAST = {"lr": 0.03}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu")


def said(editor: FineTune, *edits: Edit) -> list[str]:
    return [answer.text for answer in editor.generate([edit.prompt for edit in edits])]


def test_edits_are_learnt_together_and_one_after_the_other(base: LocalModel) -> None:
    editor = FineTune(base, **FAST)
    before = said(editor, PARIS, BORDEAUX)
    assert said(editor.edit(PARIS, BORDEAUX), PARIS, BORDEAUX) == [PARIS.target, BORDEAUX.target]
    first = editor.edit(PARIS)
    assert said(first, PARIS) == [PARIS.target]
    assert said(first.edit(BORDEAUX), BORDEAUX) == [BORDEAUX.target]
    assert said(first, PARIS) == [PARIS.target], "the editor it came from stays as it is"
    assert said(editor, PARIS, BORDEAUX) == before == base.generate([PARIS.prompt, BORDEAUX.prompt])


def test_no_edit_is_no_change(base: LocalModel) -> None:
    editor = FineTune(base, **FAST)
    assert said(editor.edit(), PARIS) == said(editor, PARIS)


def test_what_is_known_takes_no_step(base: LocalModel) -> None:
    learnt = FineTune(base, **FAST).edit(PARIS)
    again = learnt.edit(PARIS)
    assert learnt.changed.keys() == again.changed.keys()
    assert all(bool((learnt.changed[name] == value).all()) for name, value in again.changed.items())


def test_a_causal_model_and_a_classifier(tmp_path: Path) -> None:
    causal = FineTune(LocalModel.from_pretrained(tiny_gpt2(tmp_path / "gpt2"), device="cpu"), **FAST)
    assert said(causal.edit(PARIS), PARIS)[0].startswith(PARIS.target)
    claims = ClaimClassifier.from_pretrained(tiny_bert_classifier(tmp_path / "bert"), supports=0, refutes=1)
    for verdict in ("True", "False"):
        edit = Edit(prompt="paris is the capital of france", target=verdict)
        assert said(FineTune(claims, **FAST).edit(edit), edit) == [verdict]
    with pytest.raises(EditError, match="it cannot learn to say 'Maybe'"):
        FineTune(claims, **FAST).edit(Edit(prompt="paris", target="Maybe"))


def test_half_precision_is_learnt_in_float32(tmp_path: Path) -> None:
    half = LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu", dtype="bfloat16")
    editor = FineTune(half, **FAST)
    assert {value.dtype for value in editor.model.module.parameters()} == {torch.float32}
    assert said(editor.edit(PARIS), PARIS) == [PARIS.target]
    assert {value.dtype for value in half.module.parameters()} == {torch.bfloat16}


def test_an_edit_without_a_target(base: LocalModel) -> None:
    evidence = Edit(prompt="paris is the capital of france", id="evidence")
    with pytest.raises(UnsupportedEdit, match="edit evidence has no target, and ft has nothing else to teach"):
        FineTune(base, **FAST).edit(evidence)
    assert said(FineTune(base, **FAST, untold="true").edit(evidence), evidence) == ["true"]


def test_a_black_box_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="echo does not show its weights"):
        get_editor("ft")(EchoModel())


def test_steps_too_long_are_an_error_and_not_an_answer(base: LocalModel) -> None:
    with pytest.raises(ModelError, match="no numbers|failed"):
        FineTune(base, lr=1e30, steps=3).edit(PARIS)


@pytest.mark.parametrize("wrong", [{"lr": 0}, {"steps": 0}, {"last": -1}, {"clip": 0}])
def test_settings_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be above 0"):
        FineTuneSettings(**wrong)  # type: ignore[arg-type]


def test_an_unknown_setting_is_told(base: LocalModel) -> None:
    with pytest.raises(ConfigError, match="unknown key 'learning_rate'"):
        FineTune(base, learning_rate=1.0)


def test_saved_weights_are_the_changed_ones(base: LocalModel, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    edited = FineTune(base, **FAST).edit(PARIS)
    found = load_file(edited.save(tmp_path / "editor") / WEIGHTS)
    assert set(found) == set(edited.changed)
    again = editable(base).with_weights(found)
    assert again.generate([PARIS.prompt]) == [PARIS.target]


def test_an_unknown_editor() -> None:
    with pytest.raises(ConfigError, match="editor 'fft' is not known; did you mean 'ft'|accepted"):
        get_editor("fft")
