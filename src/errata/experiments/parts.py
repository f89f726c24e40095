"""Which trained parts an experiment takes: by preset and problem, where they lie, and what to do about missing ones.

A part is a shipped one, a folder `runs/NAME/model` that a training left, any other folder, or a hub id. Finding one
reads no weights but to hash them. No problem is asked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from errata import zoo
from errata.counterfactual import Counterfactual
from errata.counterfactual.reader import Reader
from errata.counterfactual.seq2seq import Seq2SeqCounterfactual
from errata.errors import ConfigError, ModelError
from errata.experiments.presets import MINI, PAPER, SMALL, Parts
from errata.models import Model
from errata.models.load import CLAIMS, load_model
from errata.models.network import NetworkConfig
from errata.models.untrained import BEFORE, untrained
from errata.problems.cases import DataFolder
from errata.scope import Scope
from errata.scope.cascade import CascadeScope
from errata.scope.cross import CrossScope
from errata.scope.dual import DualScope
from errata.training.parts import PUBLISHED

MADE_OF: Mapping[str, tuple[str, ...]] = {
    "cascade": ("dual", "gate", "pair"),
    "dual": ("dual",),
    "cross": ("pair",),
    "reader": ("pair",),
    "retell": (),
    "verbatim": (),
    "echo": (),
}
"""Names that `errata.wrap` knows, and the shipped networks behind each."""

SAID: Mapping[str, str] = {"fc": "fc", "lot": "fc", "verifier": "verifier"}
"""Parts whose kind a folder does not tell, and what is said before the folder's name, as in "fc:runs/fc/model"."""

FOLDERS: Mapping[str, tuple[str, ...]] = {
    "qa": ("zsre", "nq_open", "counterfact", "pokemqa", "squad_implications", "pararel"),
    "qa_hard": ("zsre", "nq_open", "counterfact", "pokemqa", "squad_implications", "pararel"),
    "counterfact": ("counterfact",),
    "fact_check": ("vitaminc",),
    "sentiment": ("convsent",),
    "zsre_copy": ("zsre", "nq_open", "counterfact", "pokemqa", "squad_implications", "pararel"),
    "fever_copy": ("fever", "fever_symmetric", "vitaminc"),
    "leapofthought": ("leapofthought",),
    "triples": ("pararel",),
    "wikipedia": ("wikitext2",),
    "everyday": (),
    "none": (),
}
"""The data folders that decide what a problem asks, some by what they keep out."""


PRESETS: Mapping[str, Mapping[str, Parts]] = {
    MINI: SMALL,
    PAPER: {
        "qa": Parts("google/t5-large-ssm-nq", "paper-qa-scope", "paper-qa-counterfactual", 10),
        "qa_hard": Parts("google/t5-large-ssm-nq", "paper-qa_hard-scope", "paper-qa_hard-counterfactual", 10),
        "fact_check": Parts("fc:bert-base-uncased", "paper-fact_check-scope", "paper-fact_check-counterfactual", 10),
        "sentiment": Parts(
            "facebook/blenderbot_small-90M", "paper-sentiment-scope", "paper-sentiment-counterfactual", 5
        ),
        **{
            name: Parts(PUBLISHED[name], "paper-qa-scope", "verbatim", 10)
            for name in ("zsre_copy", "fever_copy", "wikipedia", "leapofthought", "triples")
        },
    },
}
"""Which parts each problem takes, and how many edits at once (SERAC, section 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all experiments of a run share.

    Args:
        preset: a key of `PRESETS`.
        seed: the first seed of samples and intervals.
        seeds: how many seeds are run and pooled.
        limit: at most so many inputs of each kind; None takes the experiment's own sample.
        full: whether every input is asked where there is no limit, also by experiments that take a sample.
        data: folder of the public data; None takes ERRATA_DATA.
        runs: where trainings leave parts, as runs/NAME/model.
        presets: the table of parts.
    """

    preset: str = "mini"
    seed: int = 0
    seeds: int = 1
    limit: int | None = None
    full: bool = False
    data: Path | None = None
    runs: Path = Path("runs")
    presets: Mapping[str, Mapping[str, Parts]] = field(default_factory=lambda: PRESETS)

    def __post_init__(self) -> None:
        if self.preset not in self.presets:
            raise ConfigError(f"preset {self.preset!r} is not known", key=self.preset, accepted=tuple(self.presets))
        if self.seeds < 1 or (self.limit is not None and self.limit < 1):
            raise ConfigError("seeds and limit must be 1 or more", key="seeds" if self.seeds < 1 else "limit")

    def parts(self, problem: str) -> Parts:
        """The problem's parts in this preset."""
        return self.presets[self.preset][problem]

    def told(self) -> dict[str, Any]:
        """What a summary tells of it; by now `limit` None means all."""
        return {"preset": self.preset, "seed": self.seed, "seeds": self.seeds, "limit": self.limit}

    def data_hash(self, problem: str) -> str:
        """SHA-256 over the names and contents of the data that decide what a problem asks; "" for the problem "none".

        Raises:
            ConfigError: there is no data folder.
        """
        folders = FOLDERS[problem]
        if not folders:
            return ""
        top = DataFolder(self.data).folder
        files = [path for name in folders for path in sorted((top / name).rglob("*.*"))]
        return files_hash([path for path in files if path.suffix in (".json", ".jsonl", ".txt")], top)


@dataclass(frozen=True, slots=True)
class Found:
    """A part that was looked for.

    Args:
        name: as it is called.
        place: what loads it: a name, a folder, a hub id or a URL.
        fingerprint: hash of its files; its name where it has none here.
        missing: how to make it, where it is not here.
        folder: where it lies, when it is no name that `errata.wrap` knows by itself.
    """

    name: str
    place: str
    fingerprint: str
    missing: str = ""
    folder: Path | None = None


def find(name: str, runs: Path, *, make: str = "") -> Found:
    """Look for a part.

    Args:
        name: a shipped part or a name of `MADE_OF`, a part of `runs`, a folder, a hub id, or a URL.
        runs: where trainings leave parts.
        make: the command that makes it; one made of its name otherwise.
    """
    shipped = zoo.names()
    needed = MADE_OF.get(name, (name,))
    if all(one in shipped for one in needed):
        return Found(name, name, "+".join([name, *(folder_hash(zoo.path(one)) for one in needed)]))
    folder = runs / name / "model"
    for place in (folder, Path(name)):
        if (place / "config.json").is_file() or (place / "dual" / "config.json").is_file():
            if said := SAID.get(name, "fc" if name.startswith(CLAIMS) else ""):
                return Found(name, f"{said}:{place}", folder_hash(place))
            return Found(name, str(place), folder_hash(place), folder=place)
    if name.startswith(BEFORE):
        return Found(name, name, name)
    if "/" in name and not name.startswith((".", "/")):
        return Found(name, name, name)
    if name.startswith(CLAIMS):
        return Found(name, name, "", f"has no verdict as published: fine-tune it on FEVER's claims into {folder}")
    return Found(name, name, "", f"not trained: run `{make or _make(name, runs)}`")


def _make(name: str, runs: Path) -> str:
    """The command that makes a part: "paper-qa-scope" is the scope classifier of QA in the preset "paper"."""
    if name in zoo.TRAINED_BY:
        return zoo.TRAINED_BY[name]
    preset, *said = name.split("-")
    return f"errata train {' '.join(reversed(said))} --preset {preset} --out {runs / name}"


def folder_hash(folder: Path) -> str:
    """Hash of a part's files, card and README aside."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("card.json", "README.md"))
    return files_hash(files, folder)


def files_hash(files: Sequence[Path], top: Path) -> str:
    """SHA-256 over names below `top` and contents, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(top).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def open_base(found: Found) -> Model:
    """The base model, loaded or, where its name begins with "untrained:", built.

    Raises:
        ModelError: it cannot be loaded.
    """
    return untrained(found.place) if found.place.startswith(BEFORE) else load_model(found.place)


def open_scope(found: Found) -> Scope | str:
    """What `errata.wrap` takes as scope: a name as it is, a folder opened by what it holds.

    Raises:
        ModelError: the folder holds no scope classifier.
    """
    folder = found.folder
    if folder is None:
        return found.place
    if (folder / "dual").is_dir():
        return CascadeScope.from_pretrained(folder)
    return DualScope(folder) if NetworkConfig.read(folder).shape == "dual" else CrossScope(folder)


def open_counterfactual(found: Found) -> Counterfactual | str:
    """What `errata.wrap` takes as counterfactual model: a name or a folder; a pair network's folder as a reader."""
    if found.place.startswith(BEFORE):
        model = untrained(found.place)
        return Seq2SeqCounterfactual(model.module, model.tokenizer, max_new_tokens=8, name=model.name)
    folder = found.folder
    if folder is None:
        return found.place
    try:
        return Reader(folder) if NetworkConfig.read(folder).shape == "pair" else found.place
    except (ModelError, ConfigError):  # another kind of model's config, told by its own settings file
        return found.place
