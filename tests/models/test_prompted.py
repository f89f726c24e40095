"""A prefix of embeddings stands where its tokens would stand, whatever kind of model reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from errata.errors import EditError, UnsupportedModel
from errata.models.classifier import ClaimClassifier
from errata.models.echo import EchoModel
from errata.models.judges import OpenNetworkJudge, new_claim_network
from errata.models.local import LocalModel
from errata.models.network import NetworkConfig
from errata.models.prompted import PromptedLocal, numbered, prompted, spelt, virtual_tokens
from errata.models.text import Texts
from tiny import tiny_bart, tiny_bert_classifier, tiny_blenderbot, tiny_gpt2, tiny_llama, tiny_t5
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

PROMPTS = ["what is the capital of france ?", "who plays for bordeaux ?", "jazz"]
TARGETS = ["astana", "jazz world", "a fact"]
TOKENS = [[7, 9], [11, 12], [20, 8]]
"""Two token ids for each prompt, whose embeddings are the prefix."""


def local(make: object, path: Path) -> LocalModel:
    return LocalModel.from_pretrained(make(path), device="cpu", name="tiny", max_new_tokens=5)  # type: ignore[operator]


def embedded(model: PromptedLocal) -> object:
    return model.embedding(torch.tensor(TOKENS)).detach()


@pytest.mark.parametrize("make", [tiny_t5, tiny_bart, tiny_blenderbot])
def test_an_encoder_decoder_reads_it_before_its_answer(make: object, tmp_path: Path) -> None:
    """The logits are those of a decoder that is given the tokens, then its start token, then the answer."""
    model = prompted(local(make, tmp_path))
    prefixes = embedded(model)  # type: ignore[arg-type]
    rows = model.logits_under(PROMPTS, TARGETS, prefixes)  # type: ignore[arg-type]
    start = model.module.generation_config.decoder_start_token_id or model.module.config.decoder_start_token_id
    for text, tokens, (logits, ids) in zip(PROMPTS, TOKENS, rows, strict=True):
        read = model.tokenizer(text, return_tensors="pt")["input_ids"]  # type: ignore[attr-defined]
        written = torch.tensor([[*tokens, start or 0, *ids[:-1].tolist()]])
        wanted = model.module(input_ids=read, decoder_input_ids=written).logits[0, len(tokens) :]
        torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [tiny_gpt2, tiny_llama])
def test_a_decoder_reads_it_before_the_input(make: object, tmp_path: Path) -> None:
    base = local(make, tmp_path)
    model = prompted(LocalModel(base.module, base.tokenizer, kind="causal", chat=False, max_new_tokens=5))
    rows = model.logits_under(PROMPTS, TARGETS, embedded(model))  # type: ignore[arg-type]
    for text, tokens, (logits, ids) in zip(PROMPTS, TOKENS, rows, strict=True):
        read = [*tokens, *base.tokenizer(text)["input_ids"]]
        whole = base.module(input_ids=torch.tensor([[*read, *ids[:-1].tolist()]])).logits[0]
        torch.testing.assert_close(logits, whole[len(read) - 1 :], atol=1e-4, rtol=1e-4)


def test_a_classifier_reads_it_after_its_first_token(tmp_path: Path) -> None:
    model = prompted(local(tiny_bert_classifier, tmp_path))
    rows = model.logits_under(PROMPTS, ["SUPPORTS"] * 3, embedded(model))  # type: ignore[arg-type]
    for text, tokens, (logits, ids) in zip(PROMPTS, TOKENS, rows, strict=True):
        first, *rest = model.tokenizer(text)["input_ids"]  # type: ignore[attr-defined]
        wanted = model.module(input_ids=torch.tensor([[first, *tokens, *rest]])).logits
        torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
        assert ids.tolist() == [1]


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> ClaimClassifier:
    torch.manual_seed(0)
    backbone = tiny_backbone(tmp_path_factory.mktemp("backbone"))
    network = new_claim_network(NetworkConfig(backbone=str(backbone), rank=2, normalise=False)).eval()
    return ClaimClassifier(OpenNetworkJudge(network, Texts(backbone)), "tiny-fc").opened()


def test_our_own_claim_network_reads_it_after_its_first_token(claims: ClaimClassifier) -> None:
    model = prompted(claims)
    texts = ["Paris is the capital.", "What?"]
    tokens = model.embedding(torch.tensor(TOKENS[:2])).detach()
    rows = model.logits_under(texts, ["True", "False"], tokens)
    for text, ids, (logits, wanted_id), due in zip(texts, TOKENS, rows, (1, 0), strict=False):
        [alone] = claims._judge._texts.singles([text]).ids.tolist()  # type: ignore[attr-defined]
        read = torch.tensor([[alone[0], *ids, *alone[1:]]])
        odds = model.module(read, torch.ones_like(read), torch.zeros_like(read))
        torch.testing.assert_close(logits[0, 1] - logits[0, 0], odds[0], atol=1e-5, rtol=1e-4)
        assert wanted_id.tolist() == [due]
    said = [("False", "True")[int(logits[0].argmax())] for logits, _ in rows]
    assert model.generate_under(texts, tokens) == said
    with pytest.raises(EditError, match="answers False or True"):
        model.logits_under(texts, ["True", "Perhaps"], tokens)


@pytest.mark.parametrize("make", [tiny_t5, tiny_bart, tiny_blenderbot, tiny_gpt2])
def test_no_answer_depends_on_its_batch_mates(make: object, tmp_path: Path) -> None:
    model = prompted(local(make, tmp_path))
    torch.manual_seed(3)
    prefixes = 20 * torch.randn(3, 4, model.embedding.weight.shape[1])
    said = model.generate_under(PROMPTS, prefixes)
    assert [model.generate_under([text], prefixes[at : at + 1])[0] for at, text in enumerate(PROMPTS)] == said


@pytest.mark.parametrize("make", [tiny_t5, tiny_gpt2])
def test_answers_are_greedy_under_the_prefix(make: object, tmp_path: Path) -> None:
    """Step by step, without a cache, on the model's own way in for embeddings."""
    model = prompted(local(make, tmp_path))
    torch.manual_seed(3)
    prefixes = 0.5 * torch.randn(3, 4, model.embedding.weight.shape[1])
    found = model.generate_under(PROMPTS, prefixes)
    for text, prefix, answer in zip(PROMPTS, prefixes, found, strict=True):
        read = model.tokenizer(text, return_tensors="pt")["input_ids"]  # type: ignore[attr-defined]
        written = torch.tensor([[0]]) if make is tiny_t5 else read
        said: list[int] = []
        while len(said) < 5:
            whole = torch.cat([prefix[None], model.embedding(written)], 1)
            fed = {"input_ids": read, "decoder_inputs_embeds": whole} if make is tiny_t5 else {"inputs_embeds": whole}
            said.append(int(model.module(**fed).logits[0, -1].argmax()))
            written = torch.cat([written, torch.tensor([said[-1:]])], 1)
            if said[-1] == 2:
                break
        assert answer == model.tokenizer.decode(said, skip_special_tokens=True).strip()  # type: ignore[attr-defined]
    assert make is tiny_t5 or found != model.generate(PROMPTS), "the prefix matters; the tiny T5 says one thing"


def test_the_layer_is_as_it_was_and_gradients_reach_the_vectors(tmp_path: Path) -> None:
    base = local(tiny_t5, tmp_path)
    base.module.requires_grad_(False)
    before = base.generate(PROMPTS), base.token_log_probs(PROMPTS, TARGETS)
    model = prompted(base)
    prefixes = torch.randn(3, 2, 32, requires_grad=True)
    sum(logits.logsumexp(-1).sum() for logits, _ in model.logits_under(PROMPTS, TARGETS, prefixes)).backward()  # type: ignore[union-attr]
    assert prefixes.grad is not None and bool((prefixes.grad.abs().sum((1, 2)) > 0).all())
    assert not model.embedding._forward_hooks and not model.embedding._forward_pre_hooks
    assert base.generate(PROMPTS) == before[0]
    for now, then in zip(base.token_log_probs(PROMPTS, TARGETS), before[1], strict=True):
        np.testing.assert_array_equal(now, then)


def test_answers_are_spelt_with_the_models_own_embeddings(claims: ClaimClassifier, tmp_path: Path) -> None:
    model = prompted(local(tiny_t5, tmp_path))
    found = spelt(model, ["astana jazz paris", "jazz", ""], 2)
    words = model.tokenizer.convert_tokens_to_ids(["astana", "jazz"])  # type: ignore[attr-defined]
    weight = model.embedding.weight.detach()
    torch.testing.assert_close(found[0], weight[words])
    torch.testing.assert_close(found[1], torch.stack([weight[words[1]], torch.zeros(32)]))
    assert not found[2].any()
    own = prompted(claims)
    [ids] = own.token_ids(["paris"])
    torch.testing.assert_close(spelt(own, ["paris"], 1)[0, 0], own.embedding.weight.detach()[ids[0]])


def test_virtual_tokens_by_hand() -> None:
    layer = torch.nn.Embedding(3, 2)
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with virtual_tokens(layer, vectors) as first:
        assert first == 3
        found = layer(torch.tensor([[4, 0], [2, 3]]))
    torch.testing.assert_close(found[0, 0], vectors[1])
    torch.testing.assert_close(found[1, 1], vectors[0])
    torch.testing.assert_close(found[0, 1], layer.weight[0])
    with pytest.raises(IndexError):
        layer(torch.tensor([3]))
    assert numbered(10, torch.zeros(2, 3, 5)) == [[10, 11, 12], [13, 14, 15]]


def test_a_model_that_takes_text_only_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="takes text only"):
        prompted(EchoModel())
