"""One command retrains each part: its recipe, its data, its card.

`errata train PART [PROBLEM]` ends here. This module puts pieces together; how a part learns is told in `base.py`,
`claims.py`, `properties.py`, `chat.py`, `dialogue.py`, `triples.py`, `prose.py`, `scope.py` and `seq2seq.py`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from errata.errors import ConfigError
from errata.settings import read_recipe
from errata.training.cards import write_card
from errata.training.parts import PARTS, default_settings, part_of, published


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
