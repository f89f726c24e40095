"""How likely answers are to an editor: who answers an input is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from errata.counterfactual.retell import Retell
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.edit import Edit
from errata.editors.finetune import FineTune
from errata.editors.retrieve_prompt import PLAIN
from errata.editors.serac import Serac
from errata.errors import EditError, UnsupportedModel
from errata.models.classifier import ClaimClassifier
from errata.models.echo import EchoModel
from errata.models.local import LocalModel
from overlap import OverlapScope, SaysTarget
from tiny import tiny_bert_classifier, tiny_gpt2, tiny_t5

pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")
ASKED = [PARIS.prompt, "who plays for bordeaux"]
TARGETS = ["astana", "jazz world"]
"""The first input is in scope, the second is not."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel.from_pretrained(tiny_t5(tmp_path_factory.mktemp("t5")), device="cpu", name="base")


def serac(model: Any, counterfactual: Any) -> Serac:
    return Serac(model, scope=OverlapScope(), counterfactual=counterfactual).edit(PARIS)


def test_in_scope_the_counterfactual_models_and_else_the_bases(base: LocalModel) -> None:
    under = Seq2SeqCounterfactual(base.module, base.tokenizer)
    editor = serac(base, under)
    first, second = editor.token_log_probs(ASKED, TARGETS)
    assert first.shape[0] == 2 and second.shape[0] == 3, "the end of a target is a token"
    np.testing.assert_allclose(first, under.token_log_probs(ASKED[:1], [PARIS], TARGETS[:1])[0], atol=1e-5)
    np.testing.assert_allclose(second, base.token_log_probs(ASKED[1:], TARGETS[1:])[0], atol=1e-5)
    assert np.abs(first - base.token_log_probs(ASKED[:1], TARGETS[:1])[0]).max() > 0.1
    own = editor.target_log_probs(ASKED, TARGETS)
    ids = base.target_ids(ASKED, TARGETS)
    for row, whole, tokens in zip(own, (first, second), ids, strict=True):
        np.testing.assert_allclose(row, whole[range(len(tokens)), tokens], atol=1e-5)


def test_a_base_that_is_told_the_edit(base: LocalModel) -> None:
    editor = serac(base, PLAIN)
    told = base.target_log_probs([PLAIN.prompt(ASKED[0], PARIS), ASKED[1]], TARGETS)
    for row, due in zip(editor.target_log_probs(ASKED, TARGETS), told, strict=True):
        np.testing.assert_allclose(row, due, atol=1e-5)
    with pytest.raises(UnsupportedModel, match="Retell does not tell how likely"):
        serac(base, Retell(system="Be brief.")).target_log_probs(ASKED, TARGETS)


def test_an_editor_of_weights_asks_the_edited_model(base: LocalModel) -> None:
    edited = FineTune(base, lr=0.03).edit(PARIS)
    for method in ("token_log_probs", "target_log_probs"):
        ours, model = getattr(edited, method)(ASKED, TARGETS), getattr(edited.model, method)(ASKED, TARGETS)
        assert all((a == b).all() for a, b in zip(ours, model, strict=True))
    assert edited.target_log_probs(ASKED, TARGETS)[0].sum() > base.target_log_probs(ASKED, TARGETS)[0].sum() + 1


def test_what_cannot_be_told_is_refused(base: LocalModel, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="SaysTarget does not tell how likely a reply is"):
        serac(base, SaysTarget()).token_log_probs(ASKED, TARGETS)
    with pytest.raises(UnsupportedModel, match="echo does not tell how likely a reply is"):
        serac(EchoModel(), SaysTarget()).token_log_probs(ASKED, TARGETS)
    gpt2 = LocalModel.from_pretrained(tiny_gpt2(tmp_path / "gpt2"), device="cpu", name="gpt2")
    gpt2.tokenizer.add_tokens(["zebra"])
    with pytest.raises(UnsupportedModel, match="gpt2 and its counterfactual model have different vocabularies"):
        serac(gpt2, Seq2SeqCounterfactual(base.module, base.tokenizer)).token_log_probs(ASKED, TARGETS)
    claims = ClaimClassifier.from_pretrained(tiny_bert_classifier(tmp_path / "bert"), supports=0, refutes=1)
    with pytest.raises(UnsupportedModel, match="does not tell how likely"):
        FineTune(claims).target_log_probs(ASKED, ["True", "False"])
    with pytest.raises(EditError, match="2 inputs and 1 targets"):
        serac(base, PLAIN).target_log_probs(ASKED, TARGETS[:1])
