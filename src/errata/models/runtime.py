"""Run a trained network on texts: with torch, or with ONNX Runtime in int8.

ONNX files are made from the adapters and the backbone on first use and cached by fingerprint; `errata.models.graph`
writes them, and `errata.models.int8` tells what int8 is here. This module knows networks and arrays, never edits or
memories.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import threading
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, MissingExtra, ModelError
from errata.models.backbone import find_backbone
from errata.models.graph import INPUTS, Floats, Products, write
from errata.models.int8 import Bytes, largest_weight, ranges_of
from errata.models.native import onnxruntime_module
from errata.models.network import NetworkConfig, fingerprint, load_network
from errata.models.text import Texts, Tokens

log = logging.getLogger(__name__)

Arrays = tuple[NDArray[np.float32], ...]
RUNTIMES = ("auto", "onnx", "onnx-fp32", "torch")
CHUNK = 64
"""Texts run at once."""
SAMPLED = 8
"""Sample texts read at once."""
WRITTEN = 2
"""Changes when a network is written in another way, so that files made before are not used."""


class Runtime(Protocol):
    """Runs one network."""

    def run(self, tokens: Tokens) -> Arrays:
        """The network's outputs for a padded batch, float32, first axis the batch."""
        ...


def available() -> str:
    """The fastest runtime that is installed: "onnx" or "torch"."""
    return "onnx" if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx") else "torch"


def choose(folder: Path, runtime: str) -> str:
    """What a runtime's name comes to for a saved network: "auto" is the fastest that is installed and can run it.

    Raises:
        ConfigError: no such runtime.
        ModelError: the network or its backbone cannot be read.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r} is not known", key=runtime, accepted=RUNTIMES)
    if runtime != "auto":
        return runtime
    if available() == "torch":
        return "torch"
    told = find_backbone(NetworkConfig.read(folder).backbone) / "config.json"
    try:
        kind = json.loads(told.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {told}: {error}") from error
    return "onnx" if kind == "bert" else "torch"


def open_runtime(folder: Path, runtime: str = "auto", *, threads: int = 0) -> Runtime:
    """The network saved in `folder`, ready to run.

    Args:
        folder: a folder written by `save_network`.
        runtime: "onnx" (int8), "onnx-fp32", "torch", or "auto" for the fastest that is installed.
        threads: threads of one call; 0 lets the runtime choose.

    Raises:
        ConfigError: no such runtime.
        MissingExtra: it is not installed.
        ModelError: the network or its backbone cannot be read.
    """
    chosen = choose(folder, runtime)
    if chosen == "torch":
        return TorchRuntime(folder)
    return OnnxRuntime(folder, int8=chosen == "onnx", threads=threads)


class TorchRuntime:
    """Float32 in torch."""

    def __init__(self, folder: Path) -> None:
        self._module = load_network(folder)

    def run(self, tokens: Tokens) -> Arrays:
        """See Runtime."""
        import torch

        with torch.inference_mode():
            out = self._module(
                torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask), torch.from_numpy(tokens.types)
            )
        return tuple(part.float().numpy() for part in (out if isinstance(out, tuple) else (out,)))


class OnnxRuntime:
    """ONNX Runtime on the CPU, float32 or int8."""

    def __init__(self, folder: Path, *, int8: bool = True, threads: int = 0) -> None:
        try:
            onnxruntime_module()
        except ImportError as error:
            raise MissingExtra("onnxruntime", "onnx") from error
        self._session = _session(onnx_file(folder, int8=int8), threads)

    def run(self, tokens: Tokens) -> Arrays:
        """See Runtime."""
        fed = dict(zip(INPUTS, (tokens.ids, tokens.mask, tokens.types), strict=True))
        return tuple(self._session.run(None, fed))


def _session(path: Path, threads: int) -> Any:
    onnxruntime = onnxruntime_module()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would take a core each
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own kinds for a damaged file
        path.unlink(missing_ok=True)
        raise ModelError(f"the cached network {path} was damaged and has been deleted; try again ({error})") from error


def cache_folder() -> Path:
    """Where ONNX files are kept: $ERRATA_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("ERRATA_CACHE") or user_cache_dir("errata"))


_exporting = threading.Lock()


def onnx_file(folder: Path, *, int8: bool) -> Path:
    """The ONNX file of a saved network, made now if it is not in the cache.

    Raises:
        MissingExtra: what it takes to make it is not installed.
        ModelError: it cannot be made, or not be written.
    """
    largest = largest_weight()
    name = fingerprint(folder, precision=f"int8-{largest}-{WRITTEN}" if int8 else f"fp32-{WRITTEN}")
    path = cache_folder() / f"{name}.onnx"
    with _exporting:
        if path.exists():
            return path
        log.info("making %s (once)", path)
        try:
            import onnx
            import torch  # noqa: F401  (the network is read with it)
        except ImportError as error:
            raise MissingExtra(error.name or "onnx", "local,onnx") from error
        module = load_network(folder)
        model = write(module, _bytes(module, largest) if int8 else Floats())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            onnx.save(model, str(temporary))
            temporary.replace(path)
        except OSError as error:
            raise ModelError(
                f"cannot write {path}: {error.strerror}; set ERRATA_CACHE to a folder with space"
            ) from error
    return path


def _bytes(module: Any, largest: int) -> Products:
    """Products of bytes, their scales chosen from the texts in sample.tsv."""
    texts = Texts(find_backbone(module.config.backbone), numbers=module.config.numbers)
    told = resources.files("errata.models").joinpath("sample.tsv").read_text(encoding="utf-8")
    triples = [tuple(line.split("\t")) for line in told.splitlines()]
    batches = []
    for at in range(0, len(triples), SAMPLED):
        part: Any = triples[at : at + SAMPLED]
        if module.config.shape == "pair":
            batches.append(texts.pairs(part)[0])
        else:
            batches += [texts.singles([said for said, _, _ in part]), texts.singles([asked for _, asked, _ in part])]
    return Bytes(ranges_of(module, batches), largest)


def run_sorted(runtime: Runtime, make: Any, items: Sequence[Any], *, chunk: int = CHUNK) -> list[Arrays]:
    """Run many items in chunks of like length (less padding); one tuple of arrays an item, in the items' order."""
    order = sorted(range(len(items)), key=lambda at: len(str(items[at])))
    found: list[Arrays] = [()] * len(items)
    for begin in range(0, len(order), chunk):
        part = order[begin : begin + chunk]
        out = runtime.run(make([items[at] for at in part]))
        for row, at in enumerate(part):
            found[at] = tuple(array[row] for array in out)
    return found
