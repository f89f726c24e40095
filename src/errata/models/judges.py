"""What scores a claim: a small network of ours with a verdict on top, or a transformers classifier whose labels say so.

Either comes in two forms: as it ships, and with its weights in sight for editors that change them. Claims in, log-odds
out; what is answered is the claim classifier's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, EditError, MissingExtra, ModelError
from errata.models.backbone import find_backbone, longest
from errata.models.local import LocalModel
from errata.models.network import NetworkConfig, load_weights, new_network, save_network
from errata.models.prompted import PromptedLocal, numbered, virtual_tokens
from errata.models.runtime import CHUNK, open_runtime, run_sorted
from errata.models.text import Texts
from errata.models.weights import Substituted, overlaid

if TYPE_CHECKING:
    from torch import Tensor

VERDICT = "verdict.safetensors"
"""The head beside a dual network's files: it turns a claim's vector into the log-odds of its being true."""
SUPPORTS = ("supports", "supported", "support", "true", "entailment", "entails")
REFUTES = ("refutes", "refuted", "refute", "false", "contradiction", "contradicts")
"""Names that a checkpoint may give its labels, case aside."""


class Judge(Protocol):
    """Tells how likely claims are to be true."""

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """Log-odds of true against false, one a claim."""
        ...

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """What the claims look like to it, shape (n, width)."""
        ...

    def opened(self) -> OpenJudge:
        """The same with its weights in sight."""
        ...


class OpenJudge(Judge, Protocol):
    """A judge whose weights may be changed."""

    @property
    def module(self) -> Any:
        """The torch module."""
        ...

    def logits(self, claims: Sequence[str]) -> Tensor:
        """Differentiable logits of false and true, shape (n, 2)."""
        ...

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `LocalModel.embedded`."""
        ...

    @property
    def embedding(self) -> Any:
        """The layer that embeds a claim's tokens."""
        ...

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts, without special tokens."""
        ...

    def logits_under(self, claims: Sequence[str], prefixes: Tensor) -> Tensor:
        """`logits` with prefixes of embeddings, shape (n, p, d), after each claim's first token."""
        ...

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """The same with some weights changed."""
        ...

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """The same run with tensors in the place of some weights."""
        ...


class NetworkJudge:
    """A dual network with a verdict on top of its vector."""

    def __init__(self, folder: Path, runtime: str) -> None:
        from safetensors.numpy import load_file

        self._folder = folder
        config = NetworkConfig.read(folder)
        try:
            head = load_file(folder / VERDICT)
            self._weight, bias = head["weight"].astype(np.float32), head["bias"]
            self._bias = float(bias[0])
        except Exception as error:  # safetensors raises its own errors and OSError
            raise ModelError(f"cannot read {folder / VERDICT}: {error}") from error
        self._runtime = open_runtime(folder, runtime)
        backbone = find_backbone(config.backbone)
        self._texts = Texts(backbone, max_length=longest(backbone))  # longer than it was trained with: evidence is

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        return np.array([float(row @ self._weight[0]) + self._bias for row in self.vectors(claims)], np.float32)

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        _check_length(self._texts, claims)
        return np.stack([out[0] for out in run_sorted(self._runtime, self._texts.singles, list(claims))])

    def opened(self) -> OpenJudge:
        """See Judge."""
        return OpenNetworkJudge(open_claim_network(self._folder), self._texts)


class OpenNetworkJudge:
    """A claim network in torch."""

    def __init__(self, module: Any, texts: Texts) -> None:
        self.module, self._texts = module, texts

    def _run(self, run: Any, claims: Sequence[str]) -> Any:
        import torch

        tokens = self._texts.singles(list(claims))
        return run(*(torch.from_numpy(part) for part in (tokens.ids, tokens.mask, tokens.types)))

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        import torch

        _check_length(self._texts, claims)
        with torch.inference_mode():
            return np.concatenate([self._run(self.module, part).numpy() for part in _parts(claims)])

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        import torch

        _check_length(self._texts, claims)
        with torch.inference_mode():
            return np.concatenate([self._run(self.module.text, part).numpy() for part in _parts(claims)])

    def logits(self, claims: Sequence[str]) -> Tensor:
        """See OpenJudge."""
        import torch

        odds = self._run(self.module, claims)
        return torch.stack([torch.zeros_like(odds), odds], -1)

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See OpenJudge."""
        import torch

        def look_up(ids: Tensor, mask: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
            return self.module.text.encoder.get_input_embeddings()(ids), mask

        with torch.no_grad():
            found: tuple[Tensor, Tensor] = self._run(look_up, texts)
        return found

    @property
    def embedding(self) -> Any:
        """See OpenJudge."""
        return self.module.text.encoder.get_input_embeddings()

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See OpenJudge."""
        return [code.ids for code in self._texts.tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def logits_under(self, claims: Sequence[str], prefixes: Tensor) -> Tensor:
        """See OpenJudge."""
        import torch

        tokens = self._texts.singles(list(claims))
        ids, mask, types = (torch.from_numpy(part) for part in (tokens.ids, tokens.mask, tokens.types))
        with virtual_tokens(self.embedding, prefixes.flatten(0, 1)) as first:
            new = torch.tensor(numbered(first, prefixes))
            entered = [torch.cat([part[:, :1], add, part[:, 1:]], 1) for part, add in
                       ((ids, new), (mask, torch.ones_like(new)), (types, torch.zeros_like(new)))]  # fmt: skip
            odds = self.module(*entered)
        return torch.stack([torch.zeros_like(odds), odds], -1)

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """See OpenJudge."""
        return type(self)(overlaid(self.module, changed), self._texts)

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """See OpenJudge."""
        return type(self)(Substituted(self.module, tensors), self._texts)

    def opened(self) -> OpenJudge:
        """See Judge."""
        return self


def _check_length(texts: Texts, claims: Sequence[str]) -> None:
    """Refuse claims that would be cut."""
    for at, code in enumerate(texts.tokenizer.encode_batch(list(claims), add_special_tokens=False)):
        if len(code.ids) > texts.max_length:
            raise EditError(f"prompt {at} has {len(code.ids):,} tokens; a claim has {texts.max_length} at most")


def _parts(claims: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many claims at a time."""
    for begin in range(0, len(claims), CHUNK):
        yield claims[begin : begin + CHUNK]


class CheckpointJudge:
    """A transformers sequence classifier, two of whose labels are the verdicts."""

    def __init__(self, model: LocalModel, supports: str | int | None, refutes: str | int | None) -> None:
        labels = {int(number): str(label) for number, label in model.module.config.id2label.items()}
        self._model = model
        self._true = _label(labels, supports, SUPPORTS, "supports", model.name)
        self._false = _label(labels, refutes, REFUTES, "refutes", model.name)
        if self._true == self._false:
            raise ConfigError(
                f"supports and refutes are one label of {model.name}, {labels[self._true]!r}", key="refutes"
            )
        self._any = labels[self._true]

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        scores = self._model.token_log_probs(claims, [self._any] * len(claims))  # (1, labels) whichever label is named
        return np.array([score[0, self._true] - score[0, self._false] for score in scores], np.float32)

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        return self._model.vectors(claims)

    def opened(self) -> OpenJudge:
        """See Judge."""
        return OpenCheckpointJudge(self._model, self._true, self._false)


class OpenCheckpointJudge(CheckpointJudge):
    """A transformers sequence classifier whose weights are in sight."""

    def __init__(self, model: LocalModel, supports: int, refutes: int) -> None:
        super().__init__(model, supports, refutes)

    @property
    def module(self) -> Any:
        """See OpenJudge."""
        return self._model.module

    def logits(self, claims: Sequence[str]) -> Tensor:
        """See OpenJudge."""
        import torch

        rows = self._model.logits(claims, [self._any] * len(claims))
        return torch.stack([row[0, [self._false, self._true]] for row, _ in rows])

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See OpenJudge."""
        return self._model.embedded(texts)

    @property
    def embedding(self) -> Any:
        """See OpenJudge."""
        return PromptedLocal.of(self._model).embedding

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """See OpenJudge."""
        return PromptedLocal.of(self._model).token_ids(texts)

    def logits_under(self, claims: Sequence[str], prefixes: Tensor) -> Tensor:
        """See OpenJudge."""
        import torch

        rows = PromptedLocal.of(self._model).logits_under(claims, [self._any] * len(claims), prefixes)
        return torch.stack([row[0, [self._false, self._true]] for row, _ in rows])

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """See OpenJudge."""
        return type(self)(self._model.with_weights(changed), self._true, self._false)

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """See OpenJudge."""
        return type(self)(self._model.through(tensors), self._true, self._false)


def _label(labels: Mapping[int, str], wanted: str | int | None, known: Sequence[str], what: str, name: str) -> int:
    """The number of the label that is meant."""
    if isinstance(wanted, int) and wanted in labels:
        return wanted
    names = known if wanted is None else (str(wanted).lower(),)
    found = [number for number, label in labels.items() if label.lower() in names]
    if len(found) == 1:
        return found[0]
    say = f"say {what}= the name or number of one" if wanted is None else f"none of them alone is {what}={wanted!r}"
    listed = ", ".join(f"{number} {label!r}" for number, label in sorted(labels.items()))
    raise ConfigError(
        f"cannot tell which label of {name} {what} a claim: its labels are {listed}; {say}"
        " (or rename them: id2label and label2id in its config.json)",
        key=what,
    )


def new_claim_network(config: NetworkConfig) -> Any:
    """An untrained claim classifier: a torch module whose forward takes ids, mask, types and gives log-odds (n,).

    Args:
        config: of shape "dual"; its vectors are best not normalised.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "local") from error

    class ClaimNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = new_network(config)
            for unused in (self.text.scale, self.text.bias):  # the distance's, which no verdict takes
                unused.requires_grad_(False)
            self.verdict = torch.nn.Linear(self.text.width, 1)

        def forward(self, ids: Any, mask: Any, types: Any) -> Any:
            return self.verdict(self.text(ids, mask, types).float()).squeeze(-1)

    return ClaimNetwork()


def open_claim_network(folder: Path) -> Any:
    """The torch module of a saved claim network, in evaluation mode.

    Raises:
        ModelError: the files are missing or damaged.
    """
    from safetensors.torch import load_file

    module = new_claim_network(NetworkConfig.read(folder))
    for unused in (module.text.scale, module.text.bias):
        unused.requires_grad_(True)  # the file of a dual network holds them
    load_weights(module.text, folder)
    module.verdict.load_state_dict(load_file(folder / VERDICT))
    return module.eval()


def save_claim_network(module: Any, folder: Path) -> None:
    """Write a claim network as a dual network (float16) with its verdict (float32) beside it."""
    from safetensors.torch import save_file

    for unused in (module.text.scale, module.text.bias):
        unused.requires_grad_(True)  # the file of a dual network holds them
    save_network(module.text, module.text.config, folder)
    head = {name: value.detach().float().contiguous().cpu() for name, value in module.verdict.state_dict().items()}
    save_file(head, folder / VERDICT)
    (folder / VERDICT).chmod(0o644)
