"""The backbone is found, and refused when it is not the expected one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from errata.errors import ModelError
from errata.models import backbone
from errata.models.backbone import MINILM, SHA256, find_backbone, weights_hash


def folder_with(path: Path, weights: bytes) -> Path:
    path.mkdir()
    (path / "model.safetensors").write_bytes(weights)
    return path


def test_the_installed_minilm_has_the_expected_hash() -> None:
    assert weights_hash(find_backbone(MINILM)) == SHA256[MINILM]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "b", b"not the weights")
    with pytest.raises(ModelError, match=r"not the expected .* delete it"):
        find_backbone(str(folder), sha256="0" * 64)


def test_the_right_hash_passes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "b", b"weights")
    assert find_backbone(str(folder), sha256=hashlib.sha256(b"weights").hexdigest()) == folder


def test_a_damaged_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(tmp_path / "b", b"damaged")
    monkeypatch.setattr(backbone, "_from_wheel", lambda name: folder)
    with pytest.raises(ModelError, match="damaged or another model"):
        find_backbone(MINILM)


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "b", b"one")
    first = weights_hash(folder)
    (folder / "model.safetensors").write_bytes(b"two!")
    assert weights_hash(folder) != first


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read .*model.safetensors"):
        weights_hash(tmp_path)


def test_a_backbone_from_nowhere_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="Give the path of a folder"):
        find_backbone("nobody/no-such-encoder")
