"""What a problem is measured with: the small parts made here, or the base that the papers published figures of.

A table of names; the loading is that of every other model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from errata.errors import ConfigError, ModelError
from errata.models import Model
from errata.models.classifier import ClaimClassifier
from errata.models.load import load_model

MINI = "mini"
PAPER = "paper"
PRESETS = (MINI, PAPER)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a problem is measured with: names of base, scope classifier and counterfactual model; k edits at once."""

    base: str
    scope: str
    counterfactual: str
    k: int


SMALL = {
    "qa": Parts("mini", "cascade", "reader", 10),
    "qa_hard": Parts("mini", "cascade", "reader", 10),
    "counterfact": Parts("mini", "cascade", "reader", 10),
    "everyday": Parts("mini", "cascade", "reader", 10),
    "fact_check": Parts("fc", "cascade", "verifier", 10),
    "sentiment": Parts("chat", "cascade", "dialogue", 5),
    "zsre_copy": Parts("mini", "cascade", "reader", 10),
    "fever_copy": Parts("fc", "cascade", "verbatim", 10),
    "leapofthought": Parts("lot", "cascade", "verifier", 10),
    "triples": Parts("triples", "cascade", "reader", 10),
    "wikipedia": Parts("prose", "cascade", "verbatim", 10),
}
"""The bundled or locally built parts by problem, and how many edits at once (SERAC, section 5)."""


@dataclass(frozen=True, slots=True)
class Base:
    """A published base model.

    Args:
        name: its hub id, or a folder.
        revision: the commit on the hub that is meant; None is the newest.
        kind: "text" for what writes its answer, "claims" for a classifier that answers a claim with True or False.
        note: what must be known of it.
    """

    name: str
    revision: str | None = None
    kind: Literal["text", "claims"] = "text"
    note: str = ""


BASES = {
    "t5-large-ssm-nq": Base("google/t5-large-ssm-nq"),
    "bert-fever": Base(
        "bert-base-uncased",
        "86b5e0934494bd15c9632b12f734a8a67f723594",
        "claims",
        "as published it has no classifier: fine-tune it on FEVER's claims, and name the folder with --model",
    ),
    "blenderbot-90M": Base("facebook/blenderbot_small-90M"),
    "bart-base": Base("facebook/bart-base", "aadd2ab0ae0c8268c7c9693540e9904811f36177"),
    "distilgpt2": Base("distilgpt2", "2290a62682d06624634c1f46a6ad5be0f47f38aa"),
}
"""The bases of SERAC (section 5; the first three) and of SeProG (the last two)."""

PUBLISHED = {
    "qa": "t5-large-ssm-nq",
    "qa_hard": "t5-large-ssm-nq",
    "fact_check": "bert-fever",
    "sentiment": "blenderbot-90M",
    "counterfact": "distilgpt2",
    "everyday": "t5-large-ssm-nq",
    "zsre_copy": "t5-large-ssm-nq",
    "fever_copy": "bert-fever",
    "leapofthought": "bart-base",
    "triples": "bart-base",
    "wikipedia": "distilgpt2",
}
"""Which of them a problem's published figures are of; for CounterFact the causal one, for our own test that of QA."""


def preset_model(preset: str, problem: str) -> Model:
    """The base model that a preset means for a problem.

    Args:
        preset: "mini" (bundled) or "paper".
        problem: its name.

    Raises:
        ConfigError: no such preset, or it has no base for the problem.
        ModelError: the model cannot be loaded; says what to do.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is not known", key=preset, accepted=PRESETS)
    if preset == MINI:
        return load_model(parts_of(problem).base)
    if problem not in PUBLISHED:
        raise ConfigError(f"no base is published for {problem!r}; name one", key=problem, accepted=tuple(PUBLISHED))
    return load_base(PUBLISHED[problem])


def parts_of(problem: str) -> Parts:
    """The small parts that a problem takes; those of QA for a problem of another name."""
    return SMALL.get(problem, SMALL["qa"])


def load_base(name: str) -> Model:
    """A published base model by its name in `BASES`.

    Raises:
        ConfigError: no such name.
        ModelError: it cannot be loaded; says what to do.
    """
    if name not in BASES:
        raise ConfigError(f"base {name!r} is not known", key=name, accepted=tuple(BASES))
    base = BASES[name]
    if base.kind == "claims":
        return _claims(base)
    return load_model(base.name, **({"revision": base.revision} if base.revision else {}))


def _claims(base: Base) -> Model:
    """A classifier of claims as a base model."""
    try:
        return ClaimClassifier.from_pretrained(base.name, revision=base.revision)
    except (ConfigError, ModelError) as error:  # nothing is there, or a head that was never trained
        raise ModelError(f"{error} ({base.note})") from error
