"""Seq2SeqCounterfactual: the paper's counterfactual model on tiny T5 and BART."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

import tiny
from errata.counterfactual import SETTINGS, Counterfactual
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual, _settings_file
from errata.edit import Edit, Match
from errata.errors import ConfigError, EditError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.models.echo import EchoModel
from errata.models.local import LocalModel

FACT = Edit(prompt="What is the capital of Kazakhstan?", target="Astana")
MOOD = Edit(prompt="Topic: jazz Sentiment: positive")
INPUTS = ["what is the capital", "hello world"]
EDITS = [FACT, MOOD]


@pytest.fixture(scope="module", params=["t5", "bart"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = {"t5": tiny.tiny_t5, "bart": tiny.tiny_bart}[request.param]
    return build(tmp_path_factory.mktemp("counterfactual") / request.param)


@pytest.fixture(scope="module")
def model(path: Path) -> Seq2SeqCounterfactual:
    return Seq2SeqCounterfactual.from_pretrained(path, device="cpu", max_new_tokens=6)


def test_it_reads_descriptor_then_input(model: Seq2SeqCounterfactual) -> None:
    assert model.text(FACT, "And now?") == "What is the capital of Kazakhstan? Astana And now?"
    assert model.text(MOOD, "And now?") == "Topic: jazz Sentiment: positive And now?"


def test_it_answers_as_the_encoder_decoder_does_and_never_asks_the_base(
    model: Seq2SeqCounterfactual, path: Path
) -> None:
    base = EchoModel()
    counterfactual: Counterfactual = model
    answers = counterfactual.respond(INPUTS, [Match(edit, 0.9) for edit in EDITS], base)
    texts = ["What is the capital of Kazakhstan? Astana what is the capital", f"{MOOD.prompt} hello world"]
    assert answers == LocalModel.from_pretrained(path, device="cpu").generate(texts, max_new_tokens=6)
    assert base.calls == []


def test_the_answer_depends_on_the_edit(model: Seq2SeqCounterfactual) -> None:
    other = Edit(prompt=FACT.prompt, target="hello jazz")
    scores = model.token_log_probs(["what"] * 2, [FACT, other], ["Astana"] * 2)
    assert not np.allclose(scores[0], scores[1], atol=1e-3)


def test_token_loss_is_the_modules_own_loss(model: Seq2SeqCounterfactual) -> None:
    tokenizer, module = model.model.tokenizer, model.model.module
    loss = model.log_likelihood_loss(INPUTS, EDITS, ["Astana is the capital", "jazz"])
    texts = [model.text(edit, x) for edit, x in zip(EDITS, INPUTS, strict=True)]
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    labels = tokenizer(text_target=["Astana is the capital", "jazz"], return_tensors="pt", padding=True)["input_ids"]
    labels[labels == tokenizer.pad_token_id] = -100
    mask = inputs["attention_mask"]
    expected = module(input_ids=inputs["input_ids"], attention_mask=mask, labels=labels).loss
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)


def test_example_loss_is_equation_3(model: Seq2SeqCounterfactual) -> None:
    targets = ["Astana is the capital", "jazz"]
    texts = [model.text(edit, x) for edit, x in zip(EDITS, INPUTS, strict=True)]
    expected = -np.mean([row.sum() for row in model.model.target_log_probs(texts, targets)])
    loss = model.log_likelihood_loss(INPUTS, EDITS, targets, reduction="example")
    assert loss.item() == pytest.approx(float(expected), abs=1e-3)


def test_training_on_the_loss_teaches_the_answers(model: Seq2SeqCounterfactual) -> None:
    """A few steps of Adam make it say what the edits say, and the loss fall."""
    module = copy.deepcopy(model.model.module)
    learner = Seq2SeqCounterfactual(module, model.model.tokenizer, max_new_tokens=6)
    targets = ["astana", "jazz positive"]
    optimizer = torch.optim.Adam(module.parameters(), lr=5e-3)
    losses = []
    for _ in range(300):
        loss = learner.log_likelihood_loss(INPUTS, EDITS, targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < 0.05:
            break
    assert losses[-1] < 0.1 < losses[0]
    assert learner.respond(INPUTS, [Match(edit, 1.0) for edit in EDITS], EchoModel()) == targets


def test_what_is_saved_comes_back_with_its_separator(model: Seq2SeqCounterfactual, tmp_path: Path) -> None:
    module, tokenizer = model.model.module, model.model.tokenizer
    Seq2SeqCounterfactual(module, tokenizer, separator=" : ").save_pretrained(tmp_path)
    loaded = Seq2SeqCounterfactual.from_pretrained(tmp_path, device="cpu")
    assert loaded.separator == " : "
    assert loaded.text(FACT, "x") == "What is the capital of Kazakhstan? : Astana : x"
    before = model.model.token_log_probs(["hello"], ["world"])[0]
    np.testing.assert_array_equal(loaded.model.token_log_probs(["hello"], ["world"])[0], before)


@pytest.mark.parametrize("edit", EDITS)
def test_edits_with_and_without_target_are_accepted(model: Seq2SeqCounterfactual, edit: Edit) -> None:
    model.check(edit)


def test_an_edit_that_leaves_no_room_for_an_input_is_refused(tmp_path: Path) -> None:
    model = Seq2SeqCounterfactual.from_pretrained(tiny.tiny_bart(tmp_path), device="cpu")
    with pytest.raises(UnsupportedEdit, match="takes 64"):
        model.check(Edit(prompt="hello " * 80, target="world"))


def test_inputs_and_matches_must_be_equally_many(model: Seq2SeqCounterfactual) -> None:
    with pytest.raises(EditError, match="2 inputs and 1"):
        model.respond(INPUTS, [Match(FACT, 0.9)], EchoModel())


def test_a_loss_of_nothing_is_refused(model: Seq2SeqCounterfactual) -> None:
    with pytest.raises(EditError, match="at least one"):
        model.log_likelihood_loss([], [], [])


def test_an_unknown_reduction_is_refused(model: Seq2SeqCounterfactual) -> None:
    with pytest.raises(ConfigError, match="did you mean 'token'"):
        model.log_likelihood_loss(INPUTS, EDITS, ["a", "b"], reduction="tokens")  # type: ignore[arg-type]


def test_a_causal_model_is_refused(tmp_path: Path) -> None:
    causal = LocalModel.from_pretrained(tiny.tiny_gpt2(tmp_path), device="cpu")
    with pytest.raises(UnsupportedModel, match="no encoder-decoder"):
        Seq2SeqCounterfactual(causal.module, causal.tokenizer)


def test_another_kinds_settings_are_refused(path: Path, tmp_path: Path) -> None:
    Seq2SeqCounterfactual.from_pretrained(path, device="cpu").save_pretrained(tmp_path)
    (tmp_path / SETTINGS).write_text('{"kind": "retell"}')
    with pytest.raises(ConfigError, match="'retell'"):
        Seq2SeqCounterfactual.from_pretrained(tmp_path)


def test_a_hub_model_without_settings_has_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise EntryNotFoundError("404")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", absent)
    assert _settings_file("user/plain-t5", None) is None


def test_offline_the_separator_of_a_hub_model_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)
    with pytest.raises(ModelError, match="give separator="):
        _settings_file("user/trained", None)


def test_an_empty_separator_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="separator"):
        Seq2SeqCounterfactual.from_pretrained(path, separator="")


def test_a_folder_that_cannot_be_written_is_a_model_error(model: Seq2SeqCounterfactual, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="cannot"):
        model.save_pretrained(tmp_path / "file" / "folder")


def test_push_to_hub_offline_says_what_to_do(model: Seq2SeqCounterfactual, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="hf auth login"):
        model.push_to_hub("nobody/nothing")
