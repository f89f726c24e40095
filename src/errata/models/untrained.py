"""Models of known architectures with random weights, for what does not depend on what a model says: cost, and reuse.

Their answers mean nothing, and are the same each time. Nothing here is trained or loaded but the bundled base's
tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from errata import zoo
from errata.errors import ConfigError, MissingExtra
from errata.models.local import LocalModel
from errata.models.pretrained import torch_module

BEFORE = "untrained:"
"""Before a shape, where a base model is named by one text."""
SHAPES: Mapping[str, Mapping[str, int]] = {
    "t5": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "bart": {
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "max_position_embeddings": 512,
    },
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8, "vocab_size": 32128},
    "t5-large": {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16, "vocab_size": 32128},
}
"""Sizes of the small ones are ours; t5-small and t5-large are as published (Raffel et al., 2020)."""
SPREAD = 0.3
"""Standard deviation of the small ones' weights: large enough for different inputs to get different answers."""


def untrained(shape: str, *, seed: int = 0, max_new_tokens: int = 8) -> LocalModel:
    """A model of a shape with random weights; equal seeds give equal models.

    Args:
        shape: a key of `SHAPES`, with or without "untrained:" before it.
        seed: of the weights; the process's random state stays as it was.
        max_new_tokens: most tokens an answer has; with random weights it nearly always has as many.

    Raises:
        ConfigError: no such shape.
        MissingExtra: torch or transformers is not installed.

    Example:
        >>> untrained("gpt2").kind
        'causal'
    """
    shape = shape.removeprefix(BEFORE)
    if shape not in SHAPES:
        raise ConfigError(f"there is no untrained model {shape!r}", key=shape, accepted=tuple(SHAPES))
    torch = torch_module()
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "local") from error
    tokenizer = transformers.AutoTokenizer.from_pretrained(zoo.path("mini"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _module(transformers, shape, tokenizer)
        if "-" not in shape:
            _spread(torch, module)
    return LocalModel(module.eval(), tokenizer, name=f"{BEFORE}{shape}", max_new_tokens=max_new_tokens)


def _module(transformers: Any, shape: str, tokenizer: Any) -> Any:
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"vocab_size": len(tokenizer), **SHAPES[shape]}
    if shape == "gpt2":
        config = transformers.GPT2Config(bos_token_id=ends["eos_token_id"], **ends, **sizes)
        return transformers.GPT2LMHeadModel(config)
    starts = {"decoder_start_token_id": tokenizer.pad_token_id}
    if shape == "bart":
        config = transformers.BartConfig(
            bos_token_id=ends["eos_token_id"], forced_eos_token_id=None, **ends, **starts, **sizes
        )
        return transformers.BartForConditionalGeneration(config)
    return transformers.T5ForConditionalGeneration(transformers.T5Config(**ends, **starts, **sizes))


def _spread(torch: Any, module: Any) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, SPREAD)
