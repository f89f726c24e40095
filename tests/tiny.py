"""Tiny random models with tokenizers of their own, built from configs: no network, no weights, no wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEXT = """
what is the capital of kazakhstan france astana paris nur-sultan who plays for bordeaux true false answer
question a an fact has changed hello world jazz sentiment positive topic
"""
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def words_tokenizer(kind: str, *, pad: bool = True, chat: bool = False) -> Any:
    """A word-level tokenizer: `kind` "t5" adds </s> at the end, "bart" <s> and </s> around, "gpt" nothing."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>", "<|user|>", "<|system|>", "<|assistant|>"]
    vocabulary = {word: i for i, word in enumerate([*special, "?", ".", ",", ":", *TEXT.split()])}
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    fast.normalizer = normalizers.Lowercase()
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("?", "isolated")]
    )
    around = {"t5": "$A </s>", "bart": "<s> $A </s>"}
    if kind in around:
        ids = [("<s>", 1), ("</s>", 2)]
        fast.post_processor = processors.TemplateProcessing(single=around[kind], special_tokens=ids)
    fast.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    names |= {"pad_token": "<pad>"} if pad else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, **names)
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def _save(module: Any, tokenizer: Any, path: Path) -> Path:
    module.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def _seed() -> None:
    import torch

    torch.manual_seed(1)


def _spread(module: Any) -> Any:
    """Larger random weights, so that different inputs get different answers."""
    import torch

    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.3)
    return module.eval()


def tiny_t5(path: Path) -> Path:
    """An encoder-decoder with relative positions, whose decoder starts with the pad token."""
    from transformers import T5Config, T5ForConditionalGeneration

    _seed()
    tokenizer = words_tokenizer("t5")
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    ends = {"pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
    module = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **sizes, **ends))
    return _save(_spread(module), tokenizer, path)


def tiny_bart(path: Path) -> Path:
    """An encoder-decoder with 64 absolute positions, whose decoder starts with the end-of-text token."""
    from transformers import BartConfig, BartForConditionalGeneration

    _seed()
    tokenizer = words_tokenizer("bart")
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 64}
    sizes |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    sizes |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    ends |= {"forced_eos_token_id": 2}
    module = BartForConditionalGeneration(BartConfig(vocab_size=len(tokenizer), **sizes, **ends))
    module.generation_config.forced_bos_token_id = 1
    return _save(_spread(module), tokenizer, path)


def tiny_blenderbot(path: Path) -> Path:
    """A BlenderbotSmall with 64 absolute positions, whose decoder starts with the begin token."""
    from transformers import BlenderbotSmallConfig, BlenderbotSmallForConditionalGeneration

    _seed()
    tokenizer = words_tokenizer("t5")
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 64}
    sizes |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    sizes |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = BlenderbotSmallConfig(vocab_size=len(tokenizer), **sizes, **ends, forced_eos_token_id=2)
    return _save(_spread(BlenderbotSmallForConditionalGeneration(config)), tokenizer, path)


def tiny_gpt2(path: Path) -> Path:
    """A causal model with 64 absolute positions, no chat template and no pad token."""
    from transformers import GPT2Config, GPT2LMHeadModel

    _seed()
    tokenizer = words_tokenizer("gpt", pad=False)
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **sizes)
    return _save(_spread(GPT2LMHeadModel(config)), tokenizer, path)


def tiny_llama(path: Path) -> Path:
    """A causal model with rotary positions and a chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    _seed()
    tokenizer = words_tokenizer("gpt", chat=True)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 128}
    module = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes, **ends))
    return _save(_spread(module), tokenizer, path)


def tiny_bert_classifier(path: Path) -> Path:
    """A classifier with the labels REFUTES, SUPPORTS and UNKNOWN."""
    from transformers import BertConfig, BertForSequenceClassification

    _seed()
    tokenizer = words_tokenizer("bart")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    labels = {0: "REFUTES", 1: "SUPPORTS", 2: "UNKNOWN"}
    config = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        pad_token_id=0,
        id2label=labels,
        label2id={label: i for i, label in labels.items()},
        **sizes,
    )
    return _save(_spread(BertForSequenceClassification(config)), tokenizer, path)
