"""One command retrains each shipped part: its recipe, its data, its card.

`errata train base | scope | counterfactual` ends here. This module puts pieces together; how a part learns is told in
`base.py` and `scope.py`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.training.settings import read_recipe


@dataclass(frozen=True, slots=True)
class Part:
    """A shipped part: its folder in the zoo, its title, what it reads and what it is for."""

    folder: str
    title: str
    uses: tuple[str, ...]
    about: str


_PUBLIC = (
    "zsre/train_qa.jsonl",
    "zsre/mend_train.json",
    "pokemqa/edits.json",
    "squad_implications/train.jsonl",
    "counterfact/train.json",
    "vitaminc/train.jsonl",
    "convsent/train.json",
)

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
    ),
    "scope": Part(
        "dual",
        "The dual scope classifier",
        _PUBLIC,
        "Embeds inputs and edit descriptors apart (SERAC's Embed); the first stage of the cascade. LoRA adapters on\n"
        "all-MiniLM-L6-v2 plus a learned scale and bias, trained with every edit of a batch as a negative. English.",
    ),
    "counterfactual": Part(
        "pair",
        "The pair network: cross scope classifier and reader",
        _PUBLIC,
        "Reads an input and an edit together and tells in one pass whether the input is in the edit's scope (SERAC's\n"
        "Cross) and what the answer is then: a span of the edit, True, or False. LoRA adapters on all-MiniLM-L6-v2,\n"
        "and heads. English only; it cannot reason over two edits, nor answer with words the edit does not hold.",
    ),
    "chat": Part(
        "chat",
        "The base model that gives opinions",
        CONVSENT,
        "Replies to a question after its opinion of a topic, in lower case. BlenderbotSmall architecture, trained on\n"
        "the replies of both sentiments of ConvSent's train topics, which a BlenderBot of 3B parameters gave and a\n"
        "classifier sorted; many are noisy. Small and frozen, for experiments with sentiment edits; its opinions are\n"
        "nobody's. English.",
    ),
    "dialogue": Part(
        "dialogue",
        "The counterfactual model of dialogue",
        CONVSENT,
        'Replies with the sentiment that an edit ("Topic: jazz Sentiment: Positive") demands. Starts from the base\n'
        "model's weights; trained on replies of the sentiment demanded, and by unlikelihood on replies of the other.\n"
        "It can make anything sound good or bad and knows nothing of either. English, lower case.",
    ),
}


def default_settings(part: str) -> Any:
    """A part's settings as its recipe in configs/ has them (ConfigError for an unknown part)."""
    from errata.training.base import BaseSettings
    from errata.training.chat import ChatSettings
    from errata.training.dialogue import DialogueSettings
    from errata.training.scope import DUAL, PAIR

    known: dict[str, Any] = {
        "base": BaseSettings(),
        "scope": DUAL,
        "counterfactual": PAIR,
        "chat": ChatSettings(),
        "dialogue": DialogueSettings(),
    }
    if part not in known:
        raise ConfigError(f"there is no part {part!r} to train", key=part, accepted=tuple(known))
    return known[part]


def train_part(
    part: str, *, config: Path | None, out: Path, data: Path | None, install: bool = False
) -> Mapping[str, Any]:
    """Train a shipped part from its recipe.

    Args:
        part: a key of `PARTS`.
        config: a recipe (TOML); None takes the shipped one.
        out: checkpoints, log and the finished part (`out/model`); a run interrupted there goes on.
        data: the public data's folder; needed but for "base".
        install: put the finished part into the package's zoo, where it replaces the shipped one.

    Returns:
        The part's figures, as its card tells them.

    Raises:
        ConfigError: the part, the recipe or the data is not as expected.
        MissingExtra: the extra "train" is not installed.
    """
    settings = default_settings(part)
    if config:
        settings = read_recipe(config, settings)
    began = time.monotonic()
    if part == "base":
        from errata.training.base import train_base

        figures = train_base(settings, out, data)
    elif data is None:
        raise ConfigError("this part is trained on the public data; name its folder in ERRATA_DATA", key="data")
    elif part == "chat":
        from errata.training.chat import train_chat

        figures = train_chat(settings, out, data)
    elif part == "dialogue":
        from errata.training.dialogue import train_dialogue

        figures = train_dialogue(settings, out, data)
    else:
        from errata.training.scope import train_scope

        figures = train_scope(settings, out, data)
    write_card(part, out / "model", settings, figures, data, seconds=time.monotonic() - began)
    if install:
        from errata import zoo

        target = Path(zoo.__file__).parent / PARTS[part].folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out / "model", target)
    return figures


def data_hash(part: str, data: Path | None) -> str:
    """SHA-256 over everything the part was trained on: our own tables and the public files, in a fixed order."""
    package = Path(__file__).parent.parent
    own = ["problems/facts.tsv", "problems/relations.toml"]
    if PARTS[part].uses is CONVSENT:
        own = ["problems/sentiment.py"]
    elif part != "base":
        own += ["training/phrasebook.toml", "training/ordinary.txt", "training/attributes.txt"]
    paths = [package / name for name in own]
    if data:
        for source in (data / name for name in PARTS[part].uses):
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
    about = PARTS[part]
    card = {
        "part": about.folder,
        "title": about.title,
        "recipe": asdict(settings),
        "data_hash": data_hash(part, data),
        "data": [name for name in about.uses if data and (data / name).exists()],
        "commit": commit(),
        "seconds": round(seconds),
        "figures": {name: _rounded(value) for name, value in figures.items()},
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    rows = "\n".join(f"| {name} | {value} |" for name, value in card["figures"].items())  # type: ignore[attr-defined]
    text = f"""# {about.title}

{about.about}

Trained by `errata train {part}` with the recipe and the data hash in `card.json`. Licence: Apache-2.0.

| figure | value |
|---|---|
{rows}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
    for path in folder.iterdir():
        path.chmod(0o644)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
