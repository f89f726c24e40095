"""The counterfactual model: what to say when an input is in the scope of an edit (SERAC, section 3.1, h_psi).

Holds the protocol and the settings file every counterfactual model saves. It never sees memory or scope.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from errata.edit import Edit, Match
from errata.errors import ConfigError, EditError, ModelError
from errata.models import Model, check_prompts

SETTINGS = "counterfactual.json"
"""Name of the settings file beside the weights: {"kind": ..., and the model's own settings}."""


class Counterfactual(Protocol):
    """Answers inputs under the edit each was matched with."""

    def check(self, edit: Edit) -> None:
        """Refuse, when an edit is added, what could not be answered later (raises UnsupportedEdit)."""
        ...

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """One answer for each (input, match) pair, in order."""
        ...


class OpenCounterfactual(Counterfactual, Protocol):
    """A counterfactual model that also tells how likely a reply is to it, for problems scored by likelihoods."""

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        ...

    def target_log_probs(self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]) -> list[Any]:
        """Teacher-forced log-probability of each target token, one array of shape (target tokens,) a triple."""
        ...

    def token_log_probs(self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]) -> list[Any]:
        """The same of the whole vocabulary: one array of shape (target tokens, vocabulary) a triple."""
        ...


def check_pairs(inputs: Sequence[str], others: Sequence[object], what: str = "matches") -> list[str]:
    """The inputs as a list, one for each match.

    Raises:
        EditError: not as many inputs as matches, or an input that is blank or not text.
    """
    texts = check_prompts(inputs, "input")
    if len(texts) != len(others):
        raise EditError(f"{len(texts)} inputs and {len(others)} {what}; give one for each")
    return texts


def write_settings(folder: str | PathLike[str], kind: str, settings: Mapping[str, Any]) -> None:
    """Save settings in `folder`, which is made when missing.

    Raises:
        ModelError: the file cannot be written.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = json.dumps({"kind": kind, **settings}, indent=2, ensure_ascii=False) + "\n"
        (Path(folder) / SETTINGS).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelError(f"cannot write {SETTINGS} in {str(folder)!r}: {error.strerror or error}") from error


def read_settings(file: str | PathLike[str], kind: str, accepted: Iterable[str]) -> dict[str, Any]:
    """Settings of a counterfactual model of this kind, read from a settings file.

    Raises:
        ModelError: the file cannot be read or is not JSON.
        ConfigError: it is of another kind, or holds a key that is not accepted.
    """
    try:
        settings = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {SETTINGS}: {error}") from error
    if not isinstance(settings, dict) or settings.get("kind") != kind:
        found = settings.get("kind") if isinstance(settings, dict) else settings
        raise ConfigError(f"this is {found!r}, not a {kind!r} counterfactual model", where=SETTINGS, key="kind")
    keys = list(accepted)
    for key in settings:
        if key != "kind" and key not in keys:
            raise ConfigError(f"unknown key {key!r}", where=SETTINGS, key=key, accepted=keys)
    return {key: value for key, value in settings.items() if key != "kind"}
