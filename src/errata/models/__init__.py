"""The frozen base model as a black box: text in, text out.

Holds the protocols and what every model accepts (`Options`, `check_prompts`). Standard library only.
It never sees edits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

from errata.edit import check_text
from errata.errors import ConfigError, EditError

MAX_PROMPT = 1_000_000
"""Characters a prompt to a model may have; the model's own limit of tokens is checked by the model."""


class Model(Protocol):
    """A base model. errata never changes it and asks nothing of it but text."""

    @property
    def name(self) -> str:
        """How logs and results call it."""
        ...

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Greedy continuation or reply for each prompt, in order."""
        ...


class Turn(NamedTuple):
    """One turn of a conversation.

    Args:
        role: "system", "user" or "assistant".
        content: its words.
    """

    role: str
    content: str


@runtime_checkable
class ChatModel(Protocol):
    """A base model that can read a whole conversation."""

    @property
    def chat(self) -> bool:
        """Whether it does so: a checkpoint without a chat template does not."""
        ...

    def reply(self, talks: Sequence[Sequence[Turn]], **options: Any) -> list[str]:
        """The next turn of each conversation, in order."""
        ...


class OpenModel(Model, Protocol):
    """A base model that also shows its weights and likelihoods, for the methods that need them."""

    @property
    def module(self) -> Any:
        """The torch module."""
        ...

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        ...

    def token_log_probs(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """Teacher-forced log-probabilities, one array of shape (target tokens, vocabulary) a pair."""
        ...

    def target_log_probs(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Any]:
        """The target tokens' own alone, one array of shape (target tokens,) a pair."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `generate` accepts, alike for every model of errata.

    Args:
        max_new_tokens: most tokens a model may write; None leaves it to the model.
        temperature: 0 is greedy; above 0 samples; None leaves it to the model (a local model is greedy then).
        top_p: nucleus sampling; 1 is off.
        seed: makes sampling repeatable where the model can.
        stop: texts at which the answer is cut, the stop itself left out.
        system: instruction put before the prompt; as a system message where there are messages.

    Raises:
        ConfigError: a value is of the wrong type or out of range.
    """

    max_new_tokens: int | None = None
    temperature: float | None = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    system: str | None = None

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop
        if not isinstance(stop, Sequence) or not all(isinstance(text, str) and text for text in stop):
            raise ConfigError(f"stop must be texts that are not empty, not {self.stop!r}", key="stop")
        object.__setattr__(self, "stop", tuple(stop))
        if self.max_new_tokens is not None and not (_whole(self.max_new_tokens) and self.max_new_tokens > 0):
            raise ConfigError(
                f"max_new_tokens must be a whole number above 0, not {self.max_new_tokens!r}",
                key="max_new_tokens",
            )
        if self.temperature is not None and not (_number(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"temperature must be 0 or more, not {self.temperature!r}", key="temperature")
        if not (_number(self.top_p) and 0 < self.top_p <= 1):
            raise ConfigError(f"top_p must be above 0 and at most 1, not {self.top_p!r}", key="top_p")
        if self.seed is not None and not (_whole(self.seed) and self.seed >= 0):
            raise ConfigError(f"seed must be a whole number, 0 or more, not {self.seed!r}", key="seed")
        if self.system is not None:
            check_text(self.system, "system", limit=MAX_PROMPT)

    def updated(self, changes: Mapping[str, Any], *, where: str = "generate") -> Self:
        """These options with `changes` made.

        Raises:
            ConfigError: an unknown option or a value that is not accepted.
        """
        accepted = [field.name for field in fields(self)]
        for key in changes:
            if key not in accepted:
                raise ConfigError(f"unknown option {key!r}", where=where, key=key, accepted=accepted)
        return replace(self, **changes)

    def cut(self, text: str) -> str:
        """The answer in a model's raw text: up to the first stop, without white space around it."""
        ends = [end for end in (text.find(stop) for stop in self.stop) if end >= 0]
        return text[: min(ends)].strip() if ends else text.strip()


def check_prompts(prompts: Sequence[str], what: str = "prompt") -> list[str]:
    """The prompts as a list.

    Raises:
        EditError: one text instead of several, or a prompt that is blank, binary or far too long; says which.
    """
    if isinstance(prompts, str | bytes):
        raise EditError(f"{what}s must be a sequence of texts; put a single one in a list")
    return [check_text(prompt, f"{what} {i}", limit=MAX_PROMPT) for i, prompt in enumerate(prompts)]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
