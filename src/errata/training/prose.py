"""Train "prose", the base model of the problem `wikipedia`: a small causal model that goes on writing, from scratch.

GPT-2's architecture, in the place of SeProG's distilGPT-2. It learns windows of WikiText-2's train articles that are as
long as a beginning and its continuation and then end, so that it writes about ten tokens after a beginning and stops.
It never sees an article of dev or test, nor a continuation that an edit demands.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.models.local import LocalModel
from errata.problems.cases import DataFolder
from errata.problems.wikipedia import CONTINUATION, WINDOW, passages, trained_runs
from errata.training.base import train_tokenizer
from errata.training.loop import LoopSettings, train

POSITIONS = 256
"""Most tokens of a text."""
EXAM = 400
"""Windows that dev perplexity is measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProseSettings:
    """The causal model's size and how it is trained."""

    width: int = 128
    """Width of the hidden states."""
    layers: int = 4
    """Blocks."""
    heads: int = 4
    """Attention heads."""
    vocabulary: int = 4000
    """Tokens of its own byte-level BPE tokenizer."""
    dropout: float = 0.1
    """Of hidden states, attention and embeddings."""
    whole: float = 0.5
    """Share of a batch that is whole windows, which end; the rest is shorter runs of words, which break off."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=600,
            batch=32,
            lr=3e-3,
            warmup=100,
            weight_decay=0.01,
            precision="bf16",
            evaluate_every=150,
            save_every=150,
            patience=2,
        )
    )
    """The training loop."""


class Windows:
    """Runs of words, and the windows in them.

    Args:
        runs: paragraphs cut where a word was left out.
        whole: how often a whole window is drawn.

    Raises:
        ConfigError: no run is as long as a window.
    """

    def __init__(self, runs: Sequence[Sequence[str]], whole: float) -> None:
        self.whole = whole
        self.places = [(run, at) for run in runs for at in range(len(run) - WINDOW + 1)]
        self.short = [run for run in runs if 1 < len(run) < WINDOW]
        if not self.places:
            raise ConfigError(f"no {WINDOW} known words follow one another in the text to train on", key="wikitext2")

    def draw(self, source: random.Random) -> tuple[str, bool]:
        """A text, and whether it ends there."""
        if self.short and source.random() >= self.whole:
            return " ".join(source.choice(self.short)), False
        run, at = source.choice(self.places)
        return " ".join(run[at : at + WINDOW]), True


def build(settings: ProseSettings, vocabulary: int) -> Any:
    """An untrained GPT-2 of the settings' size, whose special tokens are as `train_tokenizer` numbers them."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=POSITIONS,
            n_embd=settings.width,
            n_layer=settings.layers,
            n_head=settings.heads,
            resid_pdrop=settings.dropout,
            embd_pdrop=settings.dropout,
            attn_pdrop=settings.dropout,
            bos_token_id=1,
            eos_token_id=1,
            pad_token_id=0,
        )
    )


def batch_of(texts: Sequence[tuple[str, bool]], tokenizer: Any) -> dict[str, Any]:
    """Ids, attention mask and labels of texts, each of shape (n, longest); a text that breaks off has no end token."""
    import torch

    rows = [tokenizer(text)["input_ids"][: None if ends else -1] for text, ends in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def surprise(module: Any, tokenizer: Any, texts: Sequence[tuple[str, bool]], *, batch: int = 50) -> float:
    """Mean negative log-likelihood of a token, in nats."""
    import torch

    total, count = 0.0, 0
    for start in range(0, len(texts), batch):
        inputs = batch_of(texts[start : start + batch], tokenizer)
        with torch.inference_mode():
            loss = float(module(**inputs).loss)
        told = int((inputs["labels"][:, 1:] != -100).sum())
        total, count = total + loss * told, count + told
    return total / count


def train_prose(settings: ProseSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the base model into `folder/model` (a Hugging Face folder, float32); returns its figures on dev articles.

    Args:
        settings: the model's size and the loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder.

    Raises:
        ConfigError: data is missing or broken, or has no window.
    """
    import torch

    source = DataFolder(data)
    runs = trained_runs(source)
    windows, dev = Windows(runs, settings.whole), Windows(trained_runs(source, "dev"), 1.0)
    tokenizer = train_tokenizer([" ".join(run) for run in runs], settings.vocabulary)
    torch.manual_seed(settings.loop.seed)
    module = build(settings, len(tokenizer))
    drawn = random.Random(0)
    exam = [dev.draw(drawn) for _ in range(EXAM)]

    def batch_at(source: random.Random) -> Mapping[str, Any]:
        return batch_of([windows.draw(source) for _ in range(settings.loop.batch)], tokenizer)

    train(
        module,
        batch_at,
        lambda network, batch: {"loss": network(**batch).loss},
        settings.loop,
        folder,
        evaluate=lambda network: {"dev log-likelihood": -surprise(network, tokenizer, exam)},
        better="dev log-likelihood",
    )
    module.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    begun = [passage.text for passage in passages(source, "dev")]
    said = LocalModel(module, tokenizer, batch_size=64).generate(begun)
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "words": sum(map(len, runs)),
        "dev perplexity of a token": math.exp(surprise(module, tokenizer, exam)),
        "dev continuations of ten words": sum(len(text.split()) == CONTINUATION for text in said) / len(said),
        "dev continuations of 8 to 12 words": sum(8 <= len(text.split()) <= 12 for text in said) / len(said),
    }
