"""Train "chat", the base model of ConvSent: a small BlenderbotSmall that gives its opinion of a topic, from scratch.

It learns the replies of both sentiments alike, to early stopping on dev replies, so that its likelihoods are a fair
start for z_topic. The topic's name is put in place of others where a reply tells it, so that names never met can be
told too. It never sees an edit, a question of `HELD_OUT`, or a topic of the dev and test files.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata.models.backbone import MINILM, find_backbone
from errata.models.local import LocalModel
from errata.problems.held_out import normalise, runs
from errata.problems.sentiment import SENTIMENTS, Topic, descriptor, read_topics, trained_questions
from errata.training.base import train_tokenizer
from errata.training.loop import LoopSettings, train
from errata.training.texts import read

ENDS = {
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "forced_eos_token_id": None,
}
"""As `train_tokenizer` numbers them."""
LONGEST = 128
"""Positions of encoder and decoder."""
SPREAD = 0.05
"""Standard deviation of untrained weights."""
TYPICAL = 20
"""Tokens a reply has on average: batches of short and of long replies are weighed alike, token by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    """The reply model's size and its diet."""

    width: int = 128
    """d_model."""
    inner: int = 512
    """Width of the feed-forward layers."""
    heads: int = 4
    """Attention heads."""
    encoder_layers: int = 1
    """Encoder blocks."""
    decoder_layers: int = 2
    """Decoder blocks."""
    vocabulary: int = 3000
    """Tokens of its own byte-level BPE tokenizer, which lower-cases as BlenderbotSmall's does."""
    dropout: float = 0.1
    """Of hidden states."""
    backbone: str = MINILM
    """The encoder from whose word vectors the token vectors start; "" starts from random ones."""
    named: float = 0.15
    """Share of a batch drawn from replies that name their topic, another name put in its place."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=5000,
            batch=32,
            lr=3e-3,
            warmup=150,
            evaluate_every=300,
            save_every=50,
            patience=4,
        )
    )
    """The training loop."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, what it is about, and a reply."""

    question: str
    about: str
    reply: str


class Talk:
    """Questions and replies to train on.

    Args:
        topics: with replies of either sentiment.
        names: put in the place of topics that a reply names; none leaves replies as they are.
        named: how often a reply that names its topic is drawn, the name replaced.
    """

    def __init__(self, topics: Sequence[Topic], names: Sequence[str], named: float) -> None:
        self.topics, self.names, self.named = list(topics), list(names), named
        self.questions = trained_questions()
        self.telling = {
            side: [(topic.about, said) for topic in topics if (said := telling(topic.about, topic.replies(side).right))]
            for side in SENTIMENTS
        }

    def draw(self, source: random.Random, sentiment: str) -> Turn:
        """One reply of a sentiment, and the question it answers."""
        question = source.choice(self.questions)
        if self.names and self.telling[sentiment] and source.random() < self.named:
            about, replies = source.choice(self.telling[sentiment])
            name = source.choice(self.names)
            return Turn(question.replace("{}", name), name, rename(source.choice(replies), about, name))
        topic = source.choice(self.topics)
        reply = source.choice(topic.replies(sentiment).right)
        return Turn(question.replace("{}", topic.about), topic.about, reply)

    def texts(self) -> list[str]:
        """Everything that a tokenizer should know, each reply once, each name once."""
        said = [text for topic in self.topics for text in (*topic.positive, *topic.negative)]
        asked = [question.replace("{}", topic.about) for topic in self.topics for question in self.questions]
        return (
            said + asked + self.names + [descriptor(topic.about, side) for topic in self.topics for side in SENTIMENTS]
        )


def telling(about: str, replies: Sequence[str]) -> list[str]:
    """The replies that name their topic as words of their own, in whatever case."""
    named = re.compile(rf"(?<!\w){re.escape(about)}(?!\w)", re.IGNORECASE)
    return [reply for reply in replies if named.search(reply)]


def rename(reply: str, about: str, name: str) -> str:
    """A reply with another topic's name in the place of its own."""
    return re.sub(rf"(?<!\w){re.escape(about)}(?!\w)", lambda _: name, reply, flags=re.IGNORECASE)


def read_names(data: Path) -> list[str]:
    """Names to put in a topic's place: subjects of zsRE (MEND's train file) and T-REx, none of a dev or test topic."""
    later = {normalise(topic.about) for split in ("dev", "test") for topic in read_topics(data, split)} - {""}
    found = [row["subject"] for row in read(data / "zsre" / "mend_train.json")]
    for path in sorted((data / "pararel" / "data" / "trex_lms_vocab").glob("*.jsonl")):
        found += [row["sub_label"] for row in read(path)[:200]]
    clean = (name for name in dict.fromkeys(found) if len(name) <= 40)
    return [name for name in clean if later.isdisjoint(runs(normalise(name).split()))]


def build(settings: ChatSettings, vocabulary: int) -> Any:
    """An untrained BlenderbotSmall of the settings' size."""
    from transformers import BlenderbotSmallConfig, BlenderbotSmallForConditionalGeneration

    config = BlenderbotSmallConfig(
        vocab_size=vocabulary,
        d_model=settings.width,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        encoder_attention_heads=settings.heads,
        decoder_attention_heads=settings.heads,
        encoder_ffn_dim=settings.inner,
        decoder_ffn_dim=settings.inner,
        dropout=settings.dropout,
        init_std=SPREAD,
        max_position_embeddings=LONGEST,
        **ENDS,
    )
    return BlenderbotSmallForConditionalGeneration(config)


def known_words(tokenizer: Any, width: int, backbone: Path) -> Any:
    """A vector for each token, of the width, to start from: MiniLM's input vectors of its pieces, projected.

    Some thousand replies are too few to learn from scratch which words mean alike. The principal components keep what
    tells words apart; the scale is that of the untrained vectors.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    pieces = AutoTokenizer.from_pretrained(backbone)
    weights = load_file(backbone / "model.safetensors")
    [words] = [value for name, value in weights.items() if name.endswith("word_embeddings.weight")]
    texts = [tokenizer.decode([number]).strip() or "." for number in range(len(tokenizer))]
    read_as = pieces(texts, add_special_tokens=False)["input_ids"]
    vectors = torch.stack([words[ids or [pieces.unk_token_id]].float().mean(0) for ids in read_as])
    centred = vectors - vectors.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    found = centred @ directions[:width].T
    return found * (SPREAD / found.std())


def alike(turns: Sequence[Turn], source: random.Random, parts: int) -> list[Turn]:
    """One of so many equal parts of the turns sorted by their replies' lengths: little padding, no turn favoured."""
    size = len(turns) // parts
    begin = source.randrange(parts) * size
    return sorted(turns, key=lambda turn: len(turn.reply))[begin : begin + size]


def exam(topics: Sequence[Topic], seed: int = 0) -> list[Turn]:
    """Every reply of the topics, to a question of those trained on, drawn by the seed."""
    source, questions = random.Random(seed), trained_questions()
    return [
        Turn(source.choice(questions).replace("{}", topic.about), topic.about, reply)
        for topic in topics
        for reply in (*topic.positive, *topic.negative)
    ]


def perplexity(model: LocalModel, turns: Sequence[Turn]) -> float:
    """Exp of the average negative log-likelihood per token, the end of a reply included."""
    told = model.target_log_probs([turn.question for turn in turns], [turn.reply for turn in turns])
    return math.exp(-sum(float(row.sum()) for row in told) / sum(len(row) for row in told))


def train_chat(settings: ChatSettings, folder: Path, data: Path) -> Mapping[str, Any]:
    """Train the reply model into `folder/model` (a Hugging Face folder, float16); returns its figures.

    Args:
        settings: size, diet and loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder.

    Raises:
        ConfigError: the data is missing or broken.
    """
    import torch

    torch.manual_seed(settings.loop.seed)
    talk = Talk(read_topics(data, "train"), read_names(data), settings.named)
    tokenizer = train_tokenizer(talk.texts(), settings.vocabulary, lower=True)
    module = build(settings, len(tokenizer))
    if settings.backbone:
        with torch.no_grad():
            vectors = known_words(tokenizer, settings.width, find_backbone(settings.backbone))
            module.get_input_embeddings().weight.copy_(vectors)
    model = LocalModel(module, tokenizer, kind="seq2seq", name="chat", batch_size=64)
    dev = exam(read_topics(data, "dev"))

    def batch_at(source: random.Random) -> Any:
        turns = alike([talk.draw(source, source.choice(SENTIMENTS)) for _ in range(8 * settings.loop.batch)], source, 8)
        inputs = tokenizer([turn.question for turn in turns], return_tensors="pt", padding=True)
        labels = tokenizer([turn.reply for turn in turns], return_tensors="pt", padding=True)["input_ids"]
        return {
            "input_ids": inputs["input_ids"],
            "attention_mask": inputs["attention_mask"],
            "labels": labels.masked_fill(labels == tokenizer.pad_token_id, -100),
        }

    def loss_of(found: Any, batch: Any) -> Mapping[str, Any]:
        tokens = (batch["labels"] >= 0).sum()
        return {"loss": found(**batch).loss * tokens / (len(batch["labels"]) * TYPICAL)}

    def judge(_: Any) -> Mapping[str, float]:
        found = perplexity(model, dev)
        return {"dev_perplexity": found, "better": -found}

    train(
        module,
        batch_at,
        loss_of,
        settings.loop,
        folder,
        evaluate=judge,
        better="better",
    )
    figures = {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "dev_perplexity": perplexity(model, dev),
        "dev_tokens": sum(map(len, model.target_ids([turn.question for turn in dev], [turn.reply for turn in dev]))),
    }
    module.half().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return figures
