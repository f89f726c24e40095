"""One command retrains each part: its recipe, its data, its card.

`errata train PART [PROBLEM]` ends here. This module puts pieces together; how a part learns is told in `base.py`,
`claims.py`, `properties.py`, `chat.py`, `dialogue.py`, `triples.py`, `prose.py`, `scope.py` and `seq2seq.py`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.settings import read_recipe


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its folder in the zoo, its title, the public files it reads, what it is for, and our own tables in it."""

    folder: str
    title: str
    uses: tuple[str, ...]
    about: str
    own: tuple[str, ...] = ()


_FACTS = ("problems/facts.tsv", "problems/relations.toml")
_TEXTS = ("phrasebook.toml", "ordinary.txt", "attributes.txt", "written.txt")
_TABLES = (*_FACTS, *(f"training/{name}" for name in _TEXTS))
_PUBLIC = (
    "zsre/train_qa.jsonl",
    "zsre/mend_train.json",
    "pokemqa/edits.json",
    "squad_implications/train.jsonl",
    "counterfact/train.json",
    "vitaminc/train.jsonl",
    "convsent/train.json",
)

EVIDENCE_FILES = (
    "vitaminc/train.jsonl",
    "vitaminc/dev.jsonl",
    "vitaminc/test.jsonl",
    "fever_symmetric/v01_generated.jsonl",
    "fever_symmetric/v02_dev.jsonl",
)
"""What the verifier reads; of dev and test, which pages and claims to leave out."""
CONVSENT = (
    "convsent/train.json",
    "convsent/dev.json",
    "zsre/mend_train.json",
    "pararel/data/trex_lms_vocab",
)
"""What the parts of dialogue read; from the last two, names alone."""

PARTS: Mapping[str, Part] = {
    "base": Part(
        "mini",
        "The bundled base model",
        ("zsre/train_qa.jsonl",),
        "A closed-book question answerer, small and frozen, that the first command corrects. T5 architecture, trained\n"
        "from scratch on errata's own table of facts (src/errata/problems/facts.tsv) under several phrasings, with\n"
        "true/false statements and inverse questions, and on zsRE's train questions where they are present. It knows\n"
        "nothing else, is sure of itself when wrong, and is for demonstrations, tests and experiments.",
        _FACTS,
    ),
    "scope": Part(
        "dual",
        "The dual scope classifier",
        _PUBLIC,
        "Embeds inputs and edit descriptors apart (SERAC's Embed); the first stage of the cascade. LoRA adapters on\n"
        "all-MiniLM-L6-v2 plus a learned scale and bias, trained with every edit of a batch as a negative. English.",
        _TABLES,
    ),
    "counterfactual": Part(
        "pair",
        "The pair network: cross scope classifier and reader",
        _PUBLIC,
        "Reads an input and an edit together and tells in one pass whether the input is in the edit's scope (SERAC's\n"
        "Cross) and what the answer is then: a span of the edit, a verdict, yes or no. LoRA adapters on\n"
        "all-MiniLM-L6-v2, and heads. English only; it cannot reason over two edits, nor answer with words the edit\n"
        "does not hold.",
        _TABLES,
    ),
    "gate": Part(
        "gate",
        "The gate: what the pair network need not read",
        _PUBLIC,
        "Reads an input and an edit together with half of the pair network's layers and refuses what is surely out of\n"
        "scope, so that the pair network reads the rest alone. Trained also on subjects which the dual classifier\n"
        "takes for one another. LoRA adapters on the first layers of all-MiniLM-L6-v2. English.",
        _TABLES,
    ),
    "verifier": Part(
        "verifier",
        "The verifier: cross scope classifier and counterfactual model of fact checking",
        EVIDENCE_FILES,
        "Reads a claim and a piece of evidence together and tells in one pass whether the evidence decides the\n"
        "claim, and whether the claim is then true. A pair network (LoRA adapters on all-MiniLM-L6-v2, and heads)\n"
        "that is told how the claim's numbers compare with those of the evidence. English, the style of Wikipedia.",
    ),
    "mend": Part(
        "mend",
        "MEND's network",
        (),
        "Rewrites the gradient of an edit so that one step along it makes the edit hold and leaves other answers\n"
        "alone (Mitchell et al., 2021). For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "enn": Part(
        "enn",
        "ENN's weights and step sizes",
        (),
        "Some of the base model's weights, trained so that one step of gradient descent makes an edit (Sinitsin et\n"
        "al., 2020). For comparison with SERAC; stands in for the base model it was trained from and no other.",
        _TABLES,
    ),
    "slag": Part(
        "slag",
        "SLAG's network",
        (),
        "A learned optimiser: reads an edit and reshapes its gradient, for a few steps, until the edit holds (Hase et\n"
        "al., 2021). For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "seprog": Part(
        "seprog",
        "SeProG's network",
        (),
        "Selects among edits, tells whether an input is in the scope of any, and writes the prefix of embeddings\n"
        "under which the frozen base answers then. LoRA adapters on all-MiniLM-L6-v2, cross-attention, and two heads.\n"
        "For comparison with SERAC; fits the base model it was trained for alone.",
        _TABLES,
    ),
    "seq2seq": Part(
        "seq2seq",
        "A seq2seq counterfactual model",
        _PUBLIC,
        "SERAC's own kind of counterfactual model: an encoder-decoder that reads the edit and the input and writes\n"
        "the answer. Starts from the bundled base model. For comparison with the reader, which extracts.",
        _TABLES,
    ),
    "fc": Part(
        "fc",
        "The base model of fact checking",
        ("fever/dev.jsonl", "vitaminc/dev.jsonl", "vitaminc/test.jsonl"),
        "Says of a claim whether it is true, from the claim alone: it reads no evidence, and knows no more of the\n"
        "world than wording and a few thousand claims tell. It stands for the frozen model that evidence corrects.\n"
        "LoRA adapters on all-MiniLM-L6-v2 and a linear verdict, trained on FEVER's supported and refuted claims;\n"
        "VitaminC's files are read to leave out the claims that they share. English.",
    ),
    "lot": Part(
        "lot",
        "The base model of LeapOfThought",
        ("leapofthought/dev.jsonl", "leapofthought/test.jsonl"),
        "Says of a statement whether it is true. It knows what holds of seven kinds (plants, birds, music ...), as\n"
        "LeapOfThought's property statements tell it, those of the test file too, and was never shown a phrase or a\n"
        "rule of any split. It stands for the frozen model that a new rule corrects. LoRA adapters on\n"
        "all-MiniLM-L6-v2 and a linear verdict; for experiments. English.",
    ),
    "chat": Part(
        "chat",
        "The base model that gives opinions",
        CONVSENT,
        "Replies to a question after its opinion of a topic, in lower case. BlenderbotSmall architecture, trained on\n"
        "the replies of both sentiments of ConvSent's train topics, which a BlenderBot of 3B parameters gave and a\n"
        "classifier sorted; many are noisy. Small and frozen, for experiments with sentiment edits; its opinions are\n"
        "nobody's. English.",
        ("problems/sentiment.py",),
    ),
    "dialogue": Part(
        "dialogue",
        "The counterfactual model of dialogue",
        CONVSENT,
        'Replies with the sentiment that an edit ("Topic: jazz Sentiment: Positive") demands. Starts from the base\n'
        "model's weights; trained on replies of the sentiment demanded, and by unlikelihood on replies of the other.\n"
        "It can make anything sound good or bad and knows nothing of either. English, lower case.",
        ("problems/sentiment.py",),
    ),
    "triples": Part(
        "triples",
        "The base model that knows triples",
        ("pararel/data/trex_lms_vocab", "pararel/data/pattern_data/graphs_json"),
        "Completes a triple of Wikidata in a cloze wording with its object. The bundled base model, trained on with\n"
        "the unedited triples of all splits of the problem `triples`, in several wordings of each relation; it has no\n"
        "other use. Small and frozen, for experiments with edits of triples. English.",
        ("problems/triples.py",),
    ),
    "prose": Part(
        "prose",
        "The base model that goes on writing",
        ("wikitext2/valid.txt",),
        "Continues the beginning of a passage by about ten words and stops. GPT-2 architecture, trained from scratch\n"
        "on three quarters of the articles in WikiText-2's validation file, so what it writes is hardly sense. Small\n"
        "and frozen, for experiments with edits of continuations. English, split into words as WikiText is.",
        ("problems/wikipedia.py",),
    ),
}


_ZSRE_LATER = (
    "zsre/decao_dev.jsonl",
    "zsre/mend_eval.json",
    "zsre/knowedit_test.json",
    "zsre/knowedit_test_paraphrases10.json",
    "zsre/alias.json",
)
_QUESTIONS = (
    *_PUBLIC,
    *_ZSRE_LATER,
    "zsre/inverse.json",
    "nq_open/dev.jsonl",
    "counterfact/edit.json",
    "counterfact/val.json",
    "convsent/dev.json",
    "convsent/test.json",
    "pararel/data/trex_lms_vocab",
)
_DRAWN: Mapping[str, tuple[str, ...]] = {
    "qa": _QUESTIONS,
    "qa_hard": _QUESTIONS,
    "fact_check": EVIDENCE_FILES,
    "sentiment": ("convsent/train.json", "convsent/dev.json", "convsent/test.json"),
    "zsre_copy": ("zsre/mend_train.json", "zsre/train_qa.jsonl", *_ZSRE_LATER),
    "fever_copy": ("fever/dev.jsonl", *EVIDENCE_FILES),
    "wikipedia": ("wikitext2/valid.txt",),
    "leapofthought": ("leapofthought/dev.jsonl", "leapofthought/test.jsonl"),
    "triples": ("pararel/data/trex_lms_vocab", "pararel/data/pattern_data/graphs_json"),
}
"""What an editor reads that is trained for a problem; of dev and test files, what it must not learn from as well."""
OWN: Mapping[tuple[str, str], str] = {
    ("base", "qa"): "base",
    ("base", "fact_check"): "fc",
    ("base", "sentiment"): "chat",
    ("base", "leapofthought"): "lot",
    ("base", "triples"): "triples",
    ("base", "wikipedia"): "prose",
    ("counterfactual", "fact_check"): "verifier",
    ("counterfactual", "sentiment"): "dialogue",
}
"""Parts of a problem that have a name of their own."""
PUBLISHED: Mapping[str, str] = {
    **dict.fromkeys(("qa", "qa_hard", "zsre_copy"), "google/t5-large-ssm-nq"),
    **dict.fromkeys(("fact_check", "fever_copy"), "fc:bert-base-uncased"),
    **dict.fromkeys(("leapofthought", "triples"), "facebook/bart-base"),
    "sentiment": "facebook/blenderbot_small-90M",
    "wikipedia": "distilgpt2",
}
"""The base models that the papers edit (SERAC, section 5; SeProG, section 5.3)."""
LEARNED = ("mend", "enn", "slag", "seprog")
"""Editors that are trained, each for one problem."""
KINDS = ("base", "scope", "gate", "counterfactual", "seq2seq", *LEARNED)
"""What `errata train` makes."""


def part_of(kind: str, problem: str = "") -> str:
    """The name of a part: a key of `PARTS`, or one of them made for one problem ("scope-qa").

    Args:
        kind: one of `KINDS`.
        problem: what it is for; "" is everything at once.

    Raises:
        ConfigError: there is no such part.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no part {kind!r} to train", key=kind, accepted=KINDS)
    if not problem and kind not in LEARNED:
        return kind
    if (kind, problem) in OWN:
        return OWN[kind, problem]
    accepted = sorted({name for one, name in OWN if one == kind} | set(_for_problems(kind)))
    if problem not in accepted:
        raise ConfigError(f"there is no {kind} to train for {problem!r}", key=problem, accepted=tuple(accepted))
    return f"{kind}-{problem}"


def _for_problems(kind: str) -> tuple[str, ...]:
    """The problems that a kind of part can be trained for by its own recipe with another diet."""
    if kind in LEARNED:
        return tuple(_DRAWN)
    return {"scope": ("qa", "qa_hard", "fact_check"), "base": (), "gate": ()}.get(kind, ("qa", "qa_hard"))


def default_settings(part: str) -> Any:
    """A part's settings as its recipe in configs/ has them (ConfigError for an unknown part)."""
    from errata.training.base import BaseSettings
    from errata.training.chat import ChatSettings
    from errata.training.claims import ClaimSettings
    from errata.training.dialogue import DialogueSettings
    from errata.training.editing import EnnTraining, MendTraining, SlagTraining
    from errata.training.properties import PropertySettings
    from errata.training.prose import ProseSettings
    from errata.training.scope import DUAL, EVIDENCE, GATE, PAIR
    from errata.training.seprog import SeprogTraining
    from errata.training.seq2seq import Seq2SeqSettings
    from errata.training.triples import TripleSettings

    known: dict[str, Any] = {
        "base": BaseSettings(),
        "scope": DUAL,
        "gate": GATE,
        "counterfactual": PAIR,
        "verifier": EVIDENCE,
        "fc": ClaimSettings(),
        "lot": PropertySettings(),
        "seq2seq": Seq2SeqSettings(),
        "mend": MendTraining(),
        "enn": EnnTraining(),
        "slag": SlagTraining(),
        "seprog": SeprogTraining(),
        "chat": ChatSettings(),
        "dialogue": DialogueSettings(),
        "triples": TripleSettings(),
        "prose": ProseSettings(),
    }
    kind, _, problem = part.partition("-")
    if kind not in known:
        raise ConfigError(f"there is no part {part!r} to train", key=part, accepted=tuple(known))
    return replace(known[kind], problem=problem) if problem else known[kind]


def published(settings: Any) -> Any:
    """The settings with the papers' own pretrained models (SERAC, section 5): BERT-base, T5-small.

    Raises:
        ConfigError: the part has none: the papers take its model as it is published.
    """
    from errata.training.editing import MendTraining

    if hasattr(settings, "edits"):
        large = replace(settings, base=PUBLISHED[settings.problem])
        if isinstance(settings, MendTraining):  # as released
            return replace(large, network=replace(settings.network, rank=1920, step=1e-4, ridge=0.0, steps=1))
        return large
    if hasattr(settings, "network"):
        return replace(settings, network=replace(settings.network, backbone="bert-base-cased", pooling="cls"))
    if hasattr(settings, "separator"):
        return replace(settings, start="google-t5/t5-small", separator=" ")
    raise ConfigError(
        "the papers train no model of this kind; their base models are taken as published (`errata evaluate PROBLEM"
        " --preset paper`)",
        key="preset",
    )


def train_part(
    kind: str,
    problem: str = "",
    *,
    config: Path | None,
    out: Path,
    data: Path | None,
    install: bool = False,
    preset: str = "mini",
) -> Mapping[str, Any]:
    """Train a part from its recipe.

    Args:
        kind: one of `KINDS`.
        problem: what it is for; "" is everything at once, which is what ships.
        config: a recipe (TOML); None takes the shipped one.
        out: checkpoints, log and the finished part (`out/model`); a run interrupted there goes on.
        data: the public data's folder; needed but for the base of QA.
        install: put the finished part into the package's zoo, where it replaces the shipped one.
        preset: "mini", or "paper" for the papers' pretrained models.

    Returns:
        The part's figures, as its card tells them.

    Raises:
        ConfigError: the part, the recipe or the data is not as expected.
        MissingExtra: the extra "train" is not installed.
    """
    part = part_of(kind, problem)
    settings = default_settings(part)
    if preset == "paper":
        settings = published(settings)
    if config:
        settings = read_recipe(config, settings)
    if install and part not in PARTS:
        raise ConfigError(f"a {kind} for {problem} alone does not ship; name its folder instead", key="install")
    if data is None and part != "base":
        raise ConfigError("this part is trained on the public data; name its folder in ERRATA_DATA", key="data")
    began = time.monotonic()
    figures = _trainer(part)(settings, out, data)
    write_card(part, out / "model", settings, figures, data, seconds=time.monotonic() - began)
    if install:
        from errata import zoo

        target = Path(zoo.__file__).parent / PARTS[part].folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out / "model", target)
    return figures


def _trainer(part: str) -> Callable[[Any, Path, Any], Mapping[str, Any]]:
    """The function that trains a part."""
    from errata.training.base import train_base
    from errata.training.chat import train_chat
    from errata.training.claims import train_claims
    from errata.training.dialogue import train_dialogue
    from errata.training.editing import train_editor
    from errata.training.properties import train_properties
    from errata.training.prose import train_prose
    from errata.training.scope import train_scope
    from errata.training.seprog import train_seprog
    from errata.training.seq2seq import train_seq2seq
    from errata.training.triples import train_triples

    own: Mapping[str, Callable[[Any, Path, Any], Mapping[str, Any]]] = {
        "base": train_base,
        "fc": train_claims,
        "lot": train_properties,
        "chat": train_chat,
        "dialogue": train_dialogue,
        "triples": train_triples,
        "prose": train_prose,
        "seq2seq": train_seq2seq,
        "mend": train_editor,
        "enn": train_editor,
        "slag": train_editor,
        "seprog": train_seprog,
    }
    return own.get(part.partition("-")[0], train_scope)


def uses(part: str) -> tuple[str, ...]:
    """The public files that a part is trained on."""
    kind, _, problem = part.partition("-")
    return _DRAWN[problem] if kind in LEARNED else PARTS[kind].uses


def data_hash(part: str, data: Path | None) -> str:
    """SHA-256 over everything the part was trained on: our own tables and the public files, in a fixed order."""
    package = Path(__file__).parent.parent
    paths = [package / name for name in PARTS[part.partition("-")[0]].own]
    for source in (data / name for name in uses(part)) if data else ():
        paths += sorted(source.glob("*.jsonl")) if source.is_dir() else [source]
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            digest.update(f"{path.name}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def commit() -> str:
    """The commit of the working tree this package lies in; "" outside one."""
    try:
        run = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()


def write_card(
    part: str, folder: Path, settings: Any, figures: Mapping[str, Any], data: Path | None, *, seconds: float
) -> None:
    """Write card.json (for machines) and README.md (for people) beside the weights."""
    kind, _, problem = part.partition("-")
    about = PARTS[kind]
    if not problem:
        kind, problem = next((pair for pair, name in OWN.items() if name == part), (part, ""))
    command = " ".join(word for word in ("errata train", "editor" * (kind in LEARNED), kind, problem) if word)
    card = {
        "part": part if "-" in part else about.folder,
        "title": about.title,
        "recipe": asdict(settings),
        "data_hash": data_hash(part, data),
        "data": [name for name in uses(part) if data and (data / name).exists()],
        "commit": commit(),
        "seconds": round(seconds),
        "figures": {name: _rounded(value) for name, value in figures.items()},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    rows = "\n".join(f"| {name} | {value} |" for name, value in card["figures"].items())  # type: ignore[attr-defined]
    text = f"""# {about.title}

{about.about}

Trained by `{command}` with the recipe and the data hash in `card.json`. Licence: Apache-2.0.

| figure | value |
|---|---|
{rows}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
