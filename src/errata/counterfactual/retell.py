"""Retell: tell the base model the edit in words and ask it again (retrieve and prompt; no weights).

For strong and remote base models, and for edits without a target. It builds one prompt; a chat template is
the base model's own business. It never sees the memory or the scope classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from string import Formatter
from typing import Any, Self

from errata.counterfactual import SETTINGS, check_pairs, read_settings, write_settings
from errata.edit import Edit, Match
from errata.errors import ConfigError
from errata.models import Model, OpenModel

FACT = """\
A fact has changed. Take this correction as true, even where you remember otherwise:
Question: {prompt}
Answer: {target}

Now answer under this correction, as briefly as you can, with the answer alone.
Question: {input}
Answer:"""
"""Default wording for an edit with a target."""

UTTERANCE = """\
From now on keep to this instruction:
{prompt}

Reply to the following accordingly.
{input}"""
"""Default wording for an edit without a target, such as "Topic: jazz Sentiment: positive"."""


@dataclass(frozen=True, slots=True)
class Retell:
    """Answers by the base model itself, told the edit (implements `errata.counterfactual.Counterfactual`).

    Args:
        fact: wording for edits with a target; names {prompt}, {target} and {input}.
        utterance: wording for edits without one; names {prompt} and {input}.
        system: system text the base model gets instead of its own; None leaves that alone.

    Raises:
        ConfigError: a wording leaves one of its names out, or has others.

    Example:
        >>> from errata.edit import Edit
        >>> edit = Edit(prompt="The capital is", target="Rome")
        >>> Retell(fact="{prompt} {target}. {input}").prompt("Capital?", edit)
        'The capital is Rome. Capital?'
    """

    fact: str = FACT
    utterance: str = UTTERANCE
    system: str | None = None

    def __post_init__(self) -> None:
        _check_wording(self.fact, "fact", {"prompt", "target", "input"})
        _check_wording(self.utterance, "utterance", {"prompt", "input"})

    def prompt(self, text: str, edit: Edit) -> str:
        """What the base model is asked: the edit in words, then the input."""
        if edit.target.strip():
            return self.fact.format(prompt=edit.prompt, target=edit.target, input=text)
        return self.utterance.format(prompt=edit.prompt, input=text)

    def check(self, edit: Edit) -> None:
        """Accept any edit: whatever can be said can be told."""

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """The base model's answer to each input, told the edit it was matched with; one call of the base.

        Args:
            inputs: n texts.
            matches: n matches.
            base: the model that is told.
            options: passed to `base.generate`.

        Raises:
            EditError: not as many inputs as matches, or one is blank or, with its edit, too long.
            ModelError: the base model failed.
        """
        texts = check_pairs(inputs, matches)
        if not texts:
            return []
        if self.system is not None:
            options = {"system": self.system, **options}
        told = [self.prompt(text, match.edit) for text, match in zip(texts, matches, strict=True)]
        return base.generate(told, **options)

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Save the wording in `folder`.

        Raises:
            ModelError: the file cannot be written.
        """
        write_settings(folder, "retell", asdict(self))

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str]) -> Self:
        """The wording saved in `folder`.

        Raises:
            ModelError: the file is missing or damaged.
            ConfigError: it is another kind's, or a wording is not accepted.
        """
        return cls(**read_settings(Path(folder) / SETTINGS, "retell", ("fact", "utterance", "system")))


@dataclass(frozen=True, slots=True)
class Retold:
    """How likely replies are to a base model that is told the edit (likelihoods as `OpenCounterfactual` has them).

    Args:
        wording: how it is told.
        model: the base model.
    """

    wording: Retell
    model: OpenModel

    @property
    def tokenizer(self) -> Any:
        """The base model's."""
        return self.model.tokenizer

    def text(self, edit: Edit, text: str) -> str:
        """What the base model reads."""
        return self.wording.prompt(text, edit)

    def check(self, edit: Edit) -> None:
        """See Retell."""

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """See Retell."""
        return self.wording.respond(inputs, matches, base, **options)

    def target_log_probs(self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]) -> list[Any]:
        """See OpenCounterfactual."""
        return self.model.target_log_probs(self._texts(inputs, edits), targets)

    def token_log_probs(self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]) -> list[Any]:
        """See OpenCounterfactual."""
        return self.model.token_log_probs(self._texts(inputs, edits), targets)

    def _texts(self, inputs: Sequence[str], edits: Sequence[Edit]) -> list[str]:
        return [self.text(edit, text) for text, edit in zip(check_pairs(inputs, edits, "edits"), edits, strict=True)]


def _check_wording(wording: object, what: str, names: set[str]) -> None:
    """Refuse a wording that would lose a part or fail later."""
    wanted = ", ".join(f"{{{name}}}" for name in sorted(names))
    if not isinstance(wording, str):
        raise ConfigError(f"the wording for {what} must be text with {wanted}", key=what)
    try:
        pieces = list(Formatter().parse(wording))
    except ValueError as error:
        raise ConfigError(f"the wording for {what} cannot be read: {error}", key=what) from error
    found = {name for _, name, _, _ in pieces if name is not None}
    if found != names or any(form or how for _, _, form, how in pieces):
        raise ConfigError(f"the wording for {what} must hold just {wanted} (double a brace to write one)", key=what)
