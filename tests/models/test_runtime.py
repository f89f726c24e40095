"""Torch, ONNX float32 and ONNX int8 agree, and a result never depends on its batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from errata.errors import ConfigError, ModelError
from errata.models import int8, runtime
from errata.models.graph import Floats, Graph, write
from errata.models.network import CONFIG, HEADS, KINDS, NetworkConfig, fingerprint, load_network
from errata.models.runtime import choose, onnx_file, open_runtime, run_sorted
from errata.models.text import Texts
from tiny_encoder import tiny_backbone, tiny_network

QUESTIONS = [
    "what is the capital of france?",
    "who is it",
    "paris",
    "what is paris the capital of? " * 3,
    "is the capital paris?",
]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def dual(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_network(tmp_path_factory.mktemp("dual"), backbone, "dual")


@pytest.fixture(scope="module")
def pair(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_network(tmp_path_factory.mktemp("pair"), backbone, "pair")


def vectors(folder: Path, backbone: Path, kind: str, questions: list[str]) -> np.ndarray:
    texts = Texts(backbone)
    return np.stack([out[0] for out in run_sorted(open_runtime(folder, kind), texts.singles, questions)])


def test_onnx_float32_equals_torch(dual: Path, backbone: Path) -> None:
    want = vectors(dual, backbone, "torch", QUESTIONS)
    assert np.abs(vectors(dual, backbone, "onnx-fp32", QUESTIONS) - want).max() < 1e-5


def test_int8_is_close_to_torch_but_not_the_same(dual: Path, backbone: Path) -> None:
    gap = np.abs(vectors(dual, backbone, "onnx", QUESTIONS) - vectors(dual, backbone, "torch", QUESTIONS)).max()
    assert 0 < gap < 0.02


@pytest.mark.parametrize("kind", ["torch", "onnx-fp32", "onnx"])
def test_a_vector_does_not_depend_on_its_batch(dual: Path, backbone: Path, kind: str) -> None:
    together = vectors(dual, backbone, kind, QUESTIONS)
    alone = np.concatenate([vectors(dual, backbone, kind, [question]) for question in QUESTIONS])
    assert np.abs(together - alone).max() < 2e-6


def test_the_pair_network_gives_four_outputs_in_every_runtime(pair: Path, backbone: Path) -> None:
    tokens, _ = Texts(backbone).pairs([("who is it", "what is the capital of france?", "paris")] * 2)
    outs = [open_runtime(pair, kind).run(tokens) for kind in ("torch", "onnx-fp32")]
    shapes = [tuple(part.shape for part in out) for out in outs]
    assert shapes[0] == shapes[1] == ((2,), (2, len(KINDS)), tokens.ids.shape, tokens.ids.shape)
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(*outs, strict=True))


def test_the_adapter_changes_the_vectors(dual: Path, backbone: Path, tmp_path: Path) -> None:
    plain = tiny_network(tmp_path, backbone, "dual")
    module = load_network(plain)
    assert not any("lora" in name for name, _ in module.named_parameters())
    assert fingerprint(plain, precision="fp32") == fingerprint(dual, precision="fp32")


def test_fingerprints_cover_weights_and_precision_not_calibration(dual: Path, backbone: Path, tmp_path: Path) -> None:
    other = tiny_network(tmp_path, backbone, "dual", pooling="cls")
    assert (
        len(
            {
                fingerprint(dual, precision="fp32"),
                fingerprint(dual, precision="int8"),
                fingerprint(other, precision="fp32"),
            }
        )
        == 3
    )
    before = fingerprint(other, precision="fp32")
    settings = json.loads((other / CONFIG).read_text())
    settings["calibration"] = {"scale": 9.0, "bias": 3.0}
    (other / CONFIG).write_text(json.dumps(settings))
    assert fingerprint(other, precision="fp32") == before


def test_a_damaged_onnx_file_is_deleted_and_named(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRATA_CACHE", str(tmp_path / "cache"))
    folder = tiny_network(tmp_path / "n", backbone, "dual")
    path = onnx_file(folder, int8=False)
    path.write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="has been deleted"):
        open_runtime(folder, "onnx-fp32")
    assert not path.exists()
    assert open_runtime(folder, "onnx-fp32") is not None


def test_an_unknown_runtime_names_the_known_ones(dual: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        open_runtime(dual, "onx")


def test_without_onnx_runtime_torch_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    assert runtime.available() == "torch"


def test_a_folder_that_holds_no_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no trained network"):
        open_runtime(tmp_path, "torch")


def test_an_unknown_key_in_the_config_is_refused(dual: Path, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(json.dumps({"shape": "dual", "rnak": 3}))
    with pytest.raises(ConfigError, match="did you mean 'rank'"):
        NetworkConfig.read(tmp_path)


def test_damaged_weights_are_a_named_error(backbone: Path, tmp_path: Path) -> None:
    folder = tiny_network(tmp_path, backbone, "dual")
    (folder / HEADS).write_bytes(b"")
    with pytest.raises(ModelError, match="cannot read the trained weights"):
        load_network(folder)


def test_a_backbone_that_changed_since_training_is_refused(tmp_path: Path) -> None:
    own = tiny_backbone(tmp_path / "own")
    folder = tiny_network(tmp_path / "n", own, "dual")
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(ModelError, match="not the expected"):
        load_network(folder)


def test_a_processor_without_a_dot_product_of_bytes_gets_smaller_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for flags in ("avx2 avx512_vnni", "asimd asimddp", "avx2"):
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
        monkeypatch.setattr(int8, "PROCESSOR", tmp_path / "cpuinfo")
        found[flags] = int8.largest_weight.__wrapped__()
    monkeypatch.setattr(int8, "PROCESSOR", tmp_path / "none")
    assert list(found.values()) == [127, 127, 63] and int8.largest_weight.__wrapped__() == 63


def product(largest: int, rows: np.ndarray, weights: np.ndarray, ranges: dict[str, np.ndarray]) -> np.ndarray:
    graph = Graph()
    bias = np.zeros(weights.shape[1], np.float32)
    model = graph.model({"x": 1}, {"y": int8.Bytes(ranges, largest).product(graph, "x", "own", weights, bias)})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    said: np.ndarray = session.run(None, {"x": rows})[0]
    return said


@pytest.mark.parametrize("largest", [127, 63])
def test_a_row_of_zeros_and_an_outlier_leave_other_rows_alone(largest: int) -> None:
    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    rows = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    rows[0], rows[1, 3] = 0, 1e6
    said = product(largest, rows, weights, {})
    want = rows @ weights
    assert (said[0] == 0).all()
    assert np.abs(said[2] - want[2]).max() < 0.1 and np.abs(said[1] / want[1] - 1).max() < 0.02


@pytest.mark.parametrize("largest", [127, 63])
def test_columns_that_differ_much_keep_their_own_scales(largest: int) -> None:
    weights = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    rows = np.random.default_rng(1).normal(size=(200, 64)).astype(np.float32)
    rows[:, 5] *= 300  # a column as encoders have them, which takes the scale of a whole row
    want = rows @ weights
    by_row, by_column = (
        np.abs(product(largest, rows, weights, ranges) - want).mean() for ranges in ({}, {"own": np.abs(rows).max(0)})
    )
    assert by_column < by_row / 2


def test_an_encoder_that_is_no_bert_is_told_by_name(dual: Path) -> None:
    module = load_network(dual)
    module.encoder.config.hidden_act = "relu"
    with pytest.raises(ModelError, match="use runtime='torch'"):
        write(module, Floats())


def test_an_encoder_that_onnx_cannot_run_is_run_by_torch(
    backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_network(tmp_path / "n", backbone, "dual")
    assert choose(folder, "auto") == "onnx" and choose(folder, "torch") == "torch"
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "roberta"}')
    monkeypatch.setattr(runtime, "find_backbone", lambda name: other)
    assert choose(folder, "auto") == "torch" and choose(folder, "onnx") == "onnx"
    (other / "config.json").write_text("rubbish")
    with pytest.raises(ModelError, match="cannot read"):
        choose(folder, "auto")
