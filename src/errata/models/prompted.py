"""Base models that read a prefix of embeddings with an input: what SeProG asks of a base model (its section 3.1).

A prefix enters as tokens beyond the vocabulary, to which the embedding layer gives the prefix's vectors. So padding,
batches, decoding and likelihoods are those of the model itself, and its weights stay as they are. Where it enters:

- encoder-decoder: before the token that starts the decoder's answer; the encoder reads the input alone;
- decoder-only: before the input's first token;
- encoder-only classifier: after the input's first token ([CLS], which such classifiers read).

Knows tensors and texts, never edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from errata.errors import UnsupportedModel
from errata.models import Model, check_prompts
from errata.models.codec import Ids
from errata.models.local import LocalModel

if TYPE_CHECKING:
    from torch import Tensor


class Prompted(Model, Protocol):
    """A base model that reads prefixes of embeddings."""

    @property
    def module(self) -> Any:
        """The torch module."""
        ...

    @property
    def embedding(self) -> Any:
        """The embedding layer that a prefix stands beside: its weight's shape is (vocabulary, d)."""
        ...

    def token_ids(self, targets: Sequence[str]) -> list[Ids]:
        """The ids of answers, without special tokens."""
        ...

    def vectors(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """What it makes of prompts without a prefix, shape (n, width)."""
        ...

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """Teacher-forced (logits (tokens, vocabulary), token ids (tokens,)) for each pair."""
        ...

    def logits_under(
        self, prompts: Sequence[str], targets: Sequence[str], prefixes: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """`logits` with a prefix each, shape (n, p, d): differentiable in the prefixes."""
        ...

    def generate_under(self, prompts: Sequence[str], prefixes: Tensor, **options: Any) -> list[str]:
        """`generate` with a prefix each, shape (n, p, d)."""
        ...

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """This model with other values of some weights; all else is shared."""
        ...


def prompted(model: Model) -> Prompted:
    """The model as one that reads prefixes; shares its weights, which stay as they are.

    Raises:
        UnsupportedModel: it takes text only (a remote model).
    """
    from errata.models.classifier import ClaimClassifier

    if isinstance(model, LocalModel):
        return PromptedLocal.of(model)
    if isinstance(model, ClaimClassifier):
        return model.opened()
    raise UnsupportedModel(
        f"{model.name} takes text only, and this editor gives it embeddings; take a local model, or an editor that"
        " needs none (serac, retrieve_prompt)"
    )


@contextmanager
def virtual_tokens(embedding: Any, vectors: Tensor) -> Iterator[int]:
    """Meanwhile an embedding layer gives these vectors to the ids that follow its vocabulary.

    Args:
        embedding: a torch Embedding; as it was afterwards.
        vectors: shape (n, d).

    Yields:
        The id of the first vector.
    """
    import torch

    first: int = embedding.num_embeddings
    asked: dict[int, Tensor] = {}  # other threads may be at the same layer, with ids of the vocabulary

    def before(layer: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        asked[get_ident()] = args[0]
        return (args[0].clamp(max=first - 1), *args[1:])

    def after(layer: Any, args: tuple[Tensor, ...], found: Tensor) -> Tensor:
        ids = asked.pop(get_ident())
        own = (ids >= first)[..., None]
        return torch.where(own, vectors.to(found)[(ids - first).clamp(min=0)], found) if bool(own.any()) else found

    handles = [embedding.register_forward_pre_hook(before), embedding.register_forward_hook(after)]
    try:
        yield first
    finally:
        for handle in handles:
            handle.remove()


def numbered(first: int, prefixes: Tensor) -> list[Ids]:
    """The ids of each prefix of shape (n, p, d), once its vectors follow the vocabulary one after the other."""
    count, length = prefixes.shape[:2]
    return [list(range(first + at * length, first + (at + 1) * length)) for at in range(count)]


def spelt(base: Prompted, targets: Sequence[str], count: int) -> Tensor:
    """The base's own embeddings of the first so many tokens of answers, shape (n, count, d); zeros after their end."""
    import torch

    weight = base.embedding.weight.detach()
    found = torch.zeros(len(targets), count, weight.shape[1])
    for row, ids in zip(found, base.token_ids(targets), strict=True):
        row[: len(ids)] = weight[ids[:count]].float().cpu()
    return found


class PromptedLocal(LocalModel):
    """A transformers model that reads prefixes (implements `Prompted`)."""

    @classmethod
    def of(cls, model: LocalModel) -> Self:
        """A local model as one that reads prefixes; module and tokenizer are shared."""
        other = object.__new__(cls)
        other.__dict__.update(model.__dict__)
        return other

    @property
    def embedding(self) -> Any:
        """See Prompted."""
        reader = self.module.get_decoder() if self.kind == "seq2seq" else self.module
        return reader.get_input_embeddings()

    def token_ids(self, targets: Sequence[str]) -> list[Ids]:
        """See Prompted."""
        return [list(row) for row in self.tokenizer(text_target=list(targets), add_special_tokens=False)["input_ids"]]

    def logits_under(
        self, prompts: Sequence[str], targets: Sequence[str], prefixes: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """See Prompted.

        Raises:
            EditError, ModelError: as `LocalModel.logits`.
        """
        with self._lock, self._named_errors(), virtual_tokens(self.embedding, prefixes.flatten(0, 1)) as first:
            prompt_ids, target_ids = self._codec.pair_ids(prompts, targets, self._options.system)
            ids, begins = self._entered(prompt_ids, numbered(first, prefixes))
            self._codec.check_room(ids, [len(row) + prefixes.shape[1] * bool(begins) for row in target_ids])
            rows = self._forward(ids, target_ids, begins) if ids else []
            return [(row, self._tensor(wanted)) for row, wanted in zip(rows, target_ids, strict=True)]

    def generate_under(self, prompts: Sequence[str], prefixes: Tensor, **options: Any) -> list[str]:
        """See Prompted: padded, batched and cut as `LocalModel.generate`.

        Raises:
            EditError, ConfigError, ModelError: as there.
        """
        texts, wish = check_prompts(prompts), self._options.updated(options)
        if not texts:
            return []
        with self._lock, self._named_errors(), virtual_tokens(self.embedding, prefixes.flatten(0, 1)) as first:
            ids = self._codec.prompt_ids(self._codec.texts(texts, wish.system))
            ids, begins = self._entered(ids, numbered(first, prefixes))
            return self._answers(ids, wish, begins)

    def _entered(self, prompts: list[Ids], prefixes: list[Ids]) -> tuple[list[Ids], list[Ids]]:
        """Prompts with their prefixes in them, and what the decoder of an encoder-decoder reads first."""
        if self.kind == "seq2seq":
            return prompts, prefixes
        at = 1 if self.kind == "classifier" else 0
        return [[*row[:at], *new, *row[at:]] for row, new in zip(prompts, prefixes, strict=True)], []
