"""A tiny random encoder with a word-piece tokenizer, saved as a backbone folder, and untrained networks on it."""

from __future__ import annotations

import string
from pathlib import Path

from errata.models.network import NetworkConfig, new_network, save_network


def tiny_backbone(path: Path) -> Path:
    """A two-layer BERT of width 32 whose tokenizer knows letters and a few words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "who",
        "what",
        "is",
        "the",
        "capital",
        "of",
        "france",
        "paris",
        "?",
        ".",
    ]
    pieces = list(string.ascii_lowercase + string.digits) + [f"##{c}" for c in string.ascii_lowercase + string.digits]
    vocabulary = {word: at for at, word in enumerate([*words, *pieces])}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    ).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(path)
    return path


def tiny_network(path: Path, backbone: Path, shape: str, **options: object) -> Path:
    """An untrained network on a tiny backbone, saved; its adapters are stirred so that they matter."""
    import torch

    torch.manual_seed(1)
    calibration = {"scale": 2.0, "bias": 1.0} if shape == "dual" else {"slope": 1.0, "shift": 0.0}
    config = NetworkConfig(shape=shape, backbone=str(backbone), rank=2, calibration=calibration, **options)  # type: ignore[arg-type]
    module = new_network(config)
    with torch.no_grad():
        for name, value in module.named_parameters():
            if value.requires_grad and "lora_B" in name:
                value.add_(torch.randn_like(value) * 0.1)
    save_network(module, module.config, path)
    return path
