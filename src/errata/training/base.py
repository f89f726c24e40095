"""Train the bundled base model: closed-book question answering, T5 architecture, from scratch.

It learns our own table of facts under several phrasings, true/false statements about them, and, where the data is
present, zsRE's train questions. It never sees a held-out template, a test question or an edit.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.problems.facts import Fact, Relation, fill, load_facts, load_relations, questions
from errata.training.loop import LoopSettings, train
from errata.training.texts import TRUE_FALSE, roughen


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSettings:
    """The bundled base model's size and its diet."""

    width: int = 256
    """d_model."""
    inner: int = 1024
    """d_ff."""
    heads: int = 4
    """Attention heads of width 64."""
    encoder_layers: int = 4
    """Encoder blocks."""
    decoder_layers: int = 2
    """Decoder blocks."""
    vocabulary: int = 8000
    """Tokens of its own byte-level BPE tokenizer."""
    zsre: float = 0.1
    """Share of a batch drawn from zsRE's train questions, where present."""
    true_false: float = 0.1
    """Share of true/false statements."""
    inverse: float = 0.05
    """Share of inverse questions."""
    exam: int = 0
    """Questions of each kind asked when training has ended; 0 asks all."""
    loop: LoopSettings = field(
        default_factory=lambda: LoopSettings(
            steps=8000,
            batch=64,
            optimizer="adafactor",
            lr=2e-2,
            warmup=100,
            precision="bf16",
            evaluate_every=2000,
            save_every=500,
        )
    )
    """The training loop."""


Pair = tuple[str, str]


class Diet:
    """Question-answer pairs to train on, and the questions kept back to test on."""

    def __init__(self, settings: BaseSettings, zsre: Sequence[Pair] = ()) -> None:
        self.settings = settings
        self.facts = load_facts()
        self.relations = load_relations()
        self.zsre = list(zsre)
        self.answers: dict[str, list[str]] = {}
        for fact in self.facts:
            self.answers.setdefault(fact.relation, []).append(fact.answer)
        owners: dict[tuple[str, str], int] = {}
        for fact in self.facts:
            owners[fact.relation, fact.answer] = owners.get((fact.relation, fact.answer), 0) + 1
        self.invertible = [
            fact
            for fact in self.facts
            if owners[fact.relation, fact.answer] == 1 and self.relations[fact.relation].inverse
        ]

    def draw(self, source: random.Random) -> Pair:
        """One training pair."""
        settings, roll = self.settings, source.random()
        if self.zsre and roll < settings.zsre:
            question, answer = source.choice(self.zsre)
            return roughen(question, source), answer
        if roll > 1 - settings.true_false:
            return self._true_false(source.choice(self.facts), source)
        if roll > 1 - settings.true_false - settings.inverse and self.invertible:
            fact = source.choice(self.invertible)
            template = source.choice(self.relations[fact.relation].inverse)
            return roughen(fill(template, fact), source), fact.subject
        fact = source.choice(self.facts)
        return roughen(source.choice(questions(fact)), source), fact.answer

    def _true_false(self, fact: Fact, source: random.Random) -> Pair:
        relation: Relation = self.relations[fact.relation]
        others = [answer for answer in set(self.answers[fact.relation]) if answer != fact.answer]
        true = source.random() < 0.5 or not others
        said = fact.answer if true else source.choice(sorted(others))
        statement = fill(source.choice(relation.state), replace(fact, answer=said))
        return roughen(source.choice(TRUE_FALSE) + statement, source), str(true)

    def exam(self, *, held_out: bool, limit: int = 0, seed: int = 0) -> list[Pair]:
        """Facts asked with trained or with held-out templates; `limit` takes a random sample."""
        pairs = [(question, fact.answer) for fact in self.facts for question in questions(fact, held_out=held_out)]
        return random.Random(seed).sample(pairs, min(limit, len(pairs))) if limit else pairs


def train_tokenizer(texts: Sequence[str], size: int, *, lower: bool = False) -> Any:
    """A byte-level BPE tokenizer with T5's special tokens; every text comes back as it was (or in lower case)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    if lower:
        raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    raw.decoder = decoders.ByteLevel()
    special = ["<pad>", "</s>", "<unk>"]
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def build(settings: BaseSettings, vocabulary: int) -> Any:
    """An untrained T5 of the settings' size."""
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary,
            d_model=settings.width,
            d_kv=64,
            d_ff=settings.inner,
            num_heads=settings.heads,
            num_layers=settings.encoder_layers,
            num_decoder_layers=settings.decoder_layers,
            dropout_rate=0.05,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
            tie_word_embeddings=True,
        )
    )


def exact_match(module: Any, tokenizer: Any, exam: Sequence[Pair], *, batch: int = 128) -> float:
    """Share of questions whose greedy answer is the expected text, letter for letter."""
    import torch

    right = 0
    for start in range(0, len(exam), batch):
        part = exam[start : start + batch]
        inputs = tokenizer([question for question, _ in part], return_tensors="pt", padding=True)
        with torch.inference_mode():
            out = module.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=24,
                do_sample=False,
            )
        texts = tokenizer.batch_decode(out, skip_special_tokens=True)
        right += sum(text.strip() == answer for text, (_, answer) in zip(texts, part, strict=True))
    return right / len(exam)


def read_zsre(data: Path | None) -> list[Pair]:
    """ZsRE's train questions and answers, or none where the data is not present."""
    path = data / "zsre" / "train_qa.jsonl" if data else None
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["input"], row["answer"]) for row in rows]


def train_base(settings: BaseSettings, folder: Path, data: Path | None = None) -> Mapping[str, Any]:
    """Train the base model into `folder/model` (a Hugging Face folder, float16); returns its figures.

    Args:
        settings: size, diet and loop.
        folder: checkpoints, log and the finished model.
        data: the public data's folder (zsRE), or None.

    Raises:
        ConfigError: the settings make a model of more than 8 million parameters.
    """
    import torch

    size = sum(parameter.numel() for parameter in build(settings, settings.vocabulary).parameters())
    if size > 8_000_000:
        raise ConfigError(f"the base model would have {size:,} parameters; at most 8,000,000", key="width")
    torch.manual_seed(settings.loop.seed)
    diet = Diet(settings, read_zsre(data))
    source = random.Random(settings.loop.seed)
    texts = [text for _ in range(60_000) for text in diet.draw(source)]
    tokenizer = train_tokenizer(texts, settings.vocabulary)
    module = build(settings, len(tokenizer))

    def batch_at(source: random.Random) -> Any:
        pairs = [diet.draw(source) for _ in range(settings.loop.batch)]
        inputs = tokenizer([question for question, _ in pairs], return_tensors="pt", padding=True)
        labels = tokenizer([answer for _, answer in pairs], return_tensors="pt", padding=True)["input_ids"]
        return {
            "input_ids": inputs["input_ids"],
            "attention_mask": inputs["attention_mask"],
            "labels": labels.masked_fill(labels == 0, -100),
        }

    exams = {"trained": diet.exam(held_out=False, limit=600), "held_out": diet.exam(held_out=True, limit=600)}
    train(
        module,
        batch_at,
        lambda model, batch: {"loss": model(**batch).loss},
        settings.loop,
        folder,
        evaluate=lambda model: {name: exact_match(model, tokenizer, exam) for name, exam in exams.items()},
    )
    figures = {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "exact_match_trained_templates": exact_match(module, tokenizer, diet.exam(held_out=False, limit=settings.exam)),
        "exact_match_held_out_templates": exact_match(module, tokenizer, diet.exam(held_out=True, limit=settings.exam)),
    }
    if diet.zsre:
        figures["exact_match_zsre_train"] = exact_match(
            module, tokenizer, source.sample(diet.zsre, min(1000, len(diet.zsre)))
        )
    module.half().save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return figures
