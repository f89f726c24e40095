"""EchoModel: the fake that ships with the seam.

Answers from a table, else repeats the prompt. It needs no weights and no network, and knows nothing of edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from errata.edit import check_text
from errata.errors import EditError
from errata.models import MAX_PROMPT, Options, check_prompts
from errata.models.saving import Source


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `EchoModel.generate`: the prompts and the options as they were given."""

    prompts: tuple[str, ...]
    options: Mapping[str, Any]


class EchoModel:
    """A base model for tests and examples (implements `errata.models.Model`).

    Args:
        answers: answer for each prompt, word for word.
        default: answer to every other prompt; None repeats the prompt.
        name: how logs and results call it.

    Attributes:
        calls: every call so far, oldest first.

    Raises:
        EditError: answers is not a mapping of text to text.

    Example:
        >>> EchoModel({"What is the capital of Kazakhstan?": "Nur-Sultan"}).generate(["Hello."])
        ['Hello.']
    """

    def __init__(
        self, answers: Mapping[str, str] | None = None, default: str | None = None, *, name: str = "echo"
    ) -> None:
        if not isinstance(answers, Mapping | None):
            raise EditError(f"answers must be a mapping of text to text, not {type(answers).__name__}")
        self._answers = dict(answers or {})
        for prompt, answer in self._answers.items():
            check_text(prompt, "prompt", limit=MAX_PROMPT)
            check_text(answer, f"answer to {prompt!r}", empty=True, limit=MAX_PROMPT)
        self._default = default
        self._name = name
        self._lock = Lock()
        self.calls: list[Call] = []
        self.source = Source("echo", {"answers": self._answers, "default": default, "name": name})

    @property
    def name(self) -> str:
        """How logs and results call it."""
        return self._name

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """One answer a prompt, in order; `stop` is honoured, the other options are only checked and recorded.

        Raises:
            EditError: a prompt is blank or not text.
            ConfigError: an unknown option.
        """
        texts = check_prompts(prompts)
        wish = Options().updated(options)
        with self._lock:
            self.calls.append(Call(tuple(texts), dict(options)))
        return [wish.cut(self._answer(text)) for text in texts]

    def _answer(self, prompt: str) -> str:
        default = prompt if self._default is None else self._default
        return self._answers.get(prompt, default)
