"""What editors that change weights ask of a base: where its networks lie, and that its mode does not matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.edit import Edit
from errata.editors.catalogue import kind_of
from errata.editors.weights import editable
from errata.models.local import LocalModel
from errata.models.prompted import prompted
from errata.models.prompter import SeprogSettings, new_prompter
from tiny import tiny_t5
from tiny_editors import SETTINGS, tiny_editor
from tiny_encoder import tiny_backbone

torch = pytest.importorskip("torch")

PARIS = Edit(prompt="what is the capital of france ?", target="astana", id="paris")


@pytest.fixture
def base(tmp_path: Path) -> LocalModel:
    return LocalModel.from_pretrained(tiny_t5(tmp_path / "t5"), device="cpu", name="tiny")


@pytest.mark.parametrize("name", [*SETTINGS, "seprog"])
def test_a_network_lies_on_its_base_s_device(base: LocalModel, name: str, tmp_path: Path) -> None:
    """The device "meta" stands for any other than the CPU."""
    base.module.to("meta")
    if name == "seprog":
        settings = SeprogSettings(
            backbone=str(tiny_backbone(tmp_path / "backbone")), rank=2, width=24, prefix=3, reads="encoder"
        )
        network = new_prompter(prompted(base), settings)
    else:
        network = kind_of(name).new(editable(base), SETTINGS[name])
    assert {part.device.type for part in (*network.parameters(), *network.buffers())} == {"meta"}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_dropout_of_a_base_in_training_mode_gets_into_no_edit(base: LocalModel, name: str, tmp_path: Path) -> None:
    for part in base.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    expected = tiny_editor(name, base, tmp_path).edit(PARIS).changed
    base.module.train()
    found = tiny_editor(name, base, tmp_path).edit(PARIS).changed
    assert base.module.training
    for weight, value in expected.items():
        torch.testing.assert_close(found[weight], value)
