"""Untrained networks of the editors that are trained, of the smallest sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from errata.editors.catalogue import kind_of
from errata.editors.enn import EnnSettings
from errata.editors.mend import MendSettings
from errata.editors.seprog import Seprog
from errata.editors.slag import SlagSettings
from errata.editors.weights import editable
from errata.models import Model
from errata.models.prompted import prompted
from errata.models.prompter import SeprogSettings, new_prompter
from tiny_encoder import tiny_backbone

SETTINGS: dict[str, Any] = {
    "mend": MendSettings(last=1),
    "enn": EnnSettings(last=1, steps=3, step=0.5),
    "slag": SlagSettings(last=1, steps=2, reader=8, condition=16, hidden=8),
}
"""Of editors that change weights; SeProG's needs a backbone, see `tiny_editor`."""
TRAINED = (*SETTINGS, "seprog")
"""The editors that need a trained network."""


def tiny_editor(name: str, base: Model, backbone: Path) -> Any:
    """An editor with an untrained network for a base model.

    Args:
        name: one of `TRAINED`.
        base: the base model.
        backbone: SeProG's encoder; made there if it is missing.
    """
    import torch

    torch.manual_seed(0)
    if name == "seprog":
        folder = backbone if backbone.exists() else tiny_backbone(backbone)
        settings = SeprogSettings(backbone=str(folder), rank=2, width=24, prefix=3)
        return Seprog(base, new_prompter(prompted(base), settings), settings)
    kind = kind_of(name)
    return kind(base, kind.new(editable(base), SETTINGS[name]), SETTINGS[name])
