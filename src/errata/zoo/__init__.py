"""The small trained parts that ship with the package, and where they lie.

A part is a folder here with a config.json, its weights and a model card. This module finds folders; it reads
no weights and knows nothing of what a part is for. Any module may import it.
"""

from __future__ import annotations

from pathlib import Path

from errata.errors import ModelError

_HERE = Path(__file__).parent
_CONFIG = "config.json"
TRAINED_BY = {
    "mini": "errata train base",
    "dual": "errata train scope",
    "gate": "errata train gate",
    "pair": "errata train counterfactual",
    "fc": "errata train base fact_check --install",
    "verifier": "errata train counterfactual fact_check --install",
    "chat": "errata train base sentiment --install",
    "dialogue": "errata train counterfactual sentiment --install",
    "lot": "errata train base leapofthought --out runs/lot",
    "triples": "errata train base triples --out runs/triples",
    "prose": "errata train base wikipedia --out runs/prose",
}
"""The command that makes each part anew; one that it leaves in runs/ does not ship."""


def names() -> list[str]:
    """The parts that are there, sorted."""
    return sorted(folder.parent.name for folder in _HERE.glob(f"*/{_CONFIG}"))


def path(name: str) -> Path:
    """The folder of a shipped trained part.

    Args:
        name: the part, as `names` lists it.

    Raises:
        ModelError: there is no such part; tells which there are and how it is trained.

    Example:
        >>> [path(name).name == name for name in names()].count(False)
        0
    """
    found = names()
    if name in found:
        return _HERE / name
    known = ", ".join(found) or "none"
    command = TRAINED_BY.get(name, " | ".join(sorted(set(TRAINED_BY.values()))))
    raise ModelError(f"no trained part {name!r} is installed here (there are: {known}); make it with: {command}")
