"""ClaimClassifier: is a claim true? The base model of fact checking, which sees the claim alone and no evidence.

It answers "True" or "False": by a small network of ours, or by any transformers classifier whose labels say so. It
never sees edits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, EditError, MissingExtra, ModelError
from errata.models import Options, check_prompts
from errata.models.backbone import find_backbone
from errata.models.local import LocalModel
from errata.models.network import NetworkConfig, load_weights, new_network, save_network
from errata.models.pretrained import short_name
from errata.models.runtime import CHUNK, open_runtime, run_sorted
from errata.models.saving import resolve
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

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """The same with some weights changed."""
        ...

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """The same run with tensors in the place of some weights."""
        ...


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
            return cls(_Network(source, runtime), called)
        local = LocalModel.from_pretrained(
            name_or_path, kind="classifier", revision=revision, device=device, batch_size=batch_size, name=called
        )
        return cls(_Checkpoint(local, supports, refutes), called)

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

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """One differentiable pass: (logits of shape (1, 2), the verdict's number of shape (1,)) for each pair.

        Raises:
            EditError: a target is neither "True" nor "False", or a claim cannot be read.
        """
        import torch

        for target in targets:
            if target not in VERDICTS:
                raise EditError(f"{self.name} answers {' or '.join(VERDICTS)}; it cannot learn to say {target!r}")
        rows = self._judge.logits(check_prompts(prompts))
        return [
            (row[None], torch.tensor([VERDICTS.index(target)], device=row.device))
            for row, target in zip(rows, targets, strict=True)
        ]


class _Network:
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
        self._texts = Texts(find_backbone(config.backbone), max_length=config.max_length)

    def log_odds(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        return np.array([float(row @ self._weight[0]) + self._bias for row in self.vectors(claims)], np.float32)

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        for at, code in enumerate(self._texts.tokenizer.encode_batch(list(claims), add_special_tokens=False)):
            if len(code.ids) > self._texts.max_length:
                raise EditError(
                    f"prompt {at} has {len(code.ids):,} tokens; a claim has {self._texts.max_length} at most"
                )
        return np.stack([out[0] for out in run_sorted(self._runtime, self._texts.singles, list(claims))])

    def opened(self) -> OpenJudge:
        """See Judge."""
        return _OpenNetwork(open_claim_network(self._folder), self._texts)


class _OpenNetwork:
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

        with torch.inference_mode():
            return np.concatenate([self._run(self.module, part).numpy() for part in _parts(claims)])

    def vectors(self, claims: Sequence[str]) -> NDArray[np.float32]:
        """See Judge."""
        import torch

        with torch.inference_mode():
            return np.concatenate([self._run(self.module.text, part).numpy() for part in _parts(claims)])

    def logits(self, claims: Sequence[str]) -> Tensor:
        """See OpenJudge."""
        import torch

        odds = self._run(self.module, claims)
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


def _parts(claims: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many claims at a time."""
    for begin in range(0, len(claims), CHUNK):
        yield claims[begin : begin + CHUNK]


class _Checkpoint:
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
        return _OpenCheckpoint(self._model, self._true, self._false)


class _OpenCheckpoint(_Checkpoint):
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
