"""ClaimClassifier: is a claim true? The base model of fact checking, which sees the claim alone and no evidence.

It answers "True" or "False": by a small network of ours, or by any transformers classifier whose labels say so. It
never sees edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, EditError
from errata.models import Options, check_prompts
from errata.models.judges import VERDICT, CheckpointJudge, Judge, NetworkJudge, OpenJudge
from errata.models.load import CLAIMS
from errata.models.local import LocalModel
from errata.models.pretrained import short_name
from errata.models.runtime import CHUNK
from errata.models.saving import Source, resolve

if TYPE_CHECKING:
    from torch import Tensor


class ClaimClassifier:
    """A verifier of claims as a base model (implements `errata.models.Model`).

    Args:
        judge: what scores the claims.
        name: how logs and results call it.

    Example:
        >>> base = ClaimClassifier.from_pretrained("fc")  # doctest: +SKIP
        >>> base.generate(["Savages was exclusively a German film."])  # doctest: +SKIP
        ['False']
    """

    def __init__(self, judge: Judge, name: str) -> None:
        self._judge, self._name = judge, name
        self.source: Source | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | PathLike[str] = "fc",
        *,
        revision: str | None = None,
        runtime: str = "auto",
        device: str = "auto",
        batch_size: int = 16,
        supports: str | int | None = None,
        refutes: str | int | None = None,
        name: str = "",
    ) -> Self:
        """Load the shipped verifier, one that was trained here, or a transformers sequence classifier.

        A third label of such a checkpoint (not enough information) is never answered: the likelier of the other two is.

        Args:
            name_or_path: "fc", a folder, or the hub id of a transformers sequence classifier.
            revision: branch, tag or commit on the hub.
            runtime: what runs a network of ours, see `open_runtime`.
            device: "auto", "cpu", "cuda:1" ...; for a transformers checkpoint.
            batch_size: claims in one forward pass of such a checkpoint.
            supports: name or number of its label for a true claim; None knows it by its name.
            refutes: the same for a false one.
            name: how logs and results call it; the checkpoint's own name when empty.

        Raises:
            ConfigError: the labels cannot be told, or there are none of these.
            ModelError: nowhere to be found, or damaged.
        """
        source = resolve(str(name_or_path)) if str(name_or_path) == "fc" else Path(name_or_path).expanduser()
        called = name or short_name(str(name_or_path))
        if (source / VERDICT).is_file():
            if supports is not None or refutes is not None:
                raise ConfigError(f"{called} has no labels to choose from", key="supports")
            found = cls(NetworkJudge(source, runtime), called)
            found.source = _source(name_or_path, name=name)
            return found
        local = LocalModel.from_pretrained(
            name_or_path, kind="classifier", revision=revision, device=device, batch_size=batch_size, name=called
        )
        found = cls(CheckpointJudge(local, supports, refutes), called)
        found.source = _source(name_or_path, revision=revision, supports=supports, refutes=refutes, name=name)
        return found

    @property
    def name(self) -> str:
        """How logs and results call it."""
        return self._name

    def opened(self) -> OpenClaims:
        """The same classifier with its weights in sight, for editors that change them; runs in torch.

        Raises:
            ModelError: the network cannot be read again.
            MissingExtra: torch is not installed.
        """
        return OpenClaims(self._judge.opened(), self._name)

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """Log-odds of each claim's being true, shape (n,).

        Raises:
            EditError: a claim is blank, not text, or longer than the model takes.
            ModelError: the model failed.
        """
        texts = check_prompts(claims)
        return self._judge.log_odds(texts) if texts else np.zeros(0, np.float32)

    def vectors(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of the last hidden state over each claim's tokens, shape (n, width).

        Raises:
            EditError, ModelError: as `log_odds`.
        """
        texts = check_prompts(prompts)
        return self._judge.vectors(texts) if texts else np.zeros((0, 0), np.float32)

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """For each claim "True" or "False", in order: the likelier whatever the temperature.

        Raises:
            EditError, ModelError: as `log_odds`.
            ConfigError: an unknown option.
        """
        Options().updated(options)
        return [str(bool(odds > 0)) for odds in self.log_odds(prompts)]


def _source(place: str | PathLike[str], **options: Any) -> Source:
    """Where a classifier came from, as `load_model` calls it."""
    found = Source.of(str(place), **options)
    return replace(found, name="fc" if str(place) == "fc" else f"{CLAIMS}{found.name}")


VERDICTS = ("False", "True")
"""Answers in the order of `OpenClaims.logits`."""


class OpenClaims(ClaimClassifier):
    """A verifier of claims whose weights are in sight (implements what weight editors ask of a model)."""

    _judge: OpenJudge

    @property
    def module(self) -> Any:
        """The torch module."""
        return self._judge.module

    def opened(self) -> OpenClaims:
        """This one."""
        return self

    def with_weights(self, changed: Mapping[str, Tensor]) -> OpenClaims:
        """This classifier with some weights changed; see `LocalModel.with_weights`."""
        return OpenClaims(self._judge.with_weights(changed), self._name)

    def through(self, tensors: Mapping[str, Tensor]) -> OpenClaims:
        """This classifier run with tensors in the place of some weights; see `LocalModel.through`."""
        return OpenClaims(self._judge.through(tensors), self._name)

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The texts' tokens as input embeddings, and their mask; see `LocalModel.embedded`."""
        return self._judge.embedded(check_prompts(texts, "text"))

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """One differentiable pass: (logits of shape (1, 2), the verdict's number of shape (1,)) for each pair.

        Raises:
            EditError: a target is neither "True" nor "False", or a claim cannot be read.
        """
        self._check(targets)
        return _paired(self._judge.logits(check_prompts(prompts)), targets)

    @property
    def embedding(self) -> Any:
        """The layer that embeds a claim's tokens, beside which prefixes stand."""
        return self._judge.embedding

    def token_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """The ids of verdicts in the classifier's own vocabulary, without special tokens."""
        return self._judge.token_ids(targets)

    def logits_under(
        self, prompts: Sequence[str], targets: Sequence[str], prefixes: Tensor
    ) -> list[tuple[Tensor, Tensor]]:
        """`logits` with a prefix of embeddings each, shape (n, p, d), after the claim's first token.

        Raises:
            EditError: as `logits`.
        """
        self._check(targets)
        return _paired(self._judge.logits_under(check_prompts(prompts), prefixes), targets)

    def generate_under(self, prompts: Sequence[str], prefixes: Tensor, **options: Any) -> list[str]:
        """`generate` with a prefix of embeddings each, shape (n, p, d).

        Raises:
            EditError, ModelError, ConfigError: as `generate`.
        """
        import torch

        Options().updated(options)
        texts, said = check_prompts(prompts), []
        with torch.no_grad():
            for at in range(0, len(texts), CHUNK):
                rows = self._judge.logits_under(texts[at : at + CHUNK], prefixes[at : at + CHUNK])
                said += [VERDICTS[int(false_true[1] > false_true[0])] for false_true in rows]
        return said

    def _check(self, targets: Sequence[str]) -> None:
        for target in targets:
            if target not in VERDICTS:
                raise EditError(f"{self.name} answers {' or '.join(VERDICTS)}; it cannot learn to say {target!r}")


def _paired(rows: Tensor, targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
    """Logits (1, 2) and the verdict's number (1,) of each."""
    import torch

    return [
        (row[None], torch.tensor([VERDICTS.index(target)], device=row.device))
        for row, target in zip(rows, targets, strict=True)
    ]
