"""Run a trained network on texts: with torch, or with ONNX Runtime in int8.

ONNX files are made from the adapters and the backbone on first use and cached by fingerprint; `errata.models.int8`
tells what int8 is here. This module knows networks and arrays, never edits or memories.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, MissingExtra, ModelError
from errata.models.int8 import largest_weight, quantise
from errata.models.native import onnxruntime_module
from errata.models.network import NetworkConfig, fingerprint, load_network
from errata.models.text import Tokens

log = logging.getLogger(__name__)

Arrays = tuple[NDArray[np.float32], ...]
RUNTIMES = ("auto", "onnx", "onnx-fp32", "torch")
INPUTS = ("ids", "mask", "types")
CHUNK = 64
"""Texts run at once."""


class Runtime(Protocol):
    """Runs one network."""

    def run(self, tokens: Tokens) -> Arrays:
        """The network's outputs for a padded batch, float32, first axis the batch."""
        ...


def available() -> str:
    """The fastest runtime that is installed: "onnx" or "torch"."""
    return "onnx" if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx") else "torch"


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
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r} is not known", key=runtime, accepted=RUNTIMES)
    chosen = available() if runtime == "auto" else runtime
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
            onnxruntime = onnxruntime_module()
        except ImportError as error:
            raise MissingExtra("onnxruntime", "onnx") from error
        path = onnx_file(folder, int8=int8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would take a core each
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own kinds for a damaged file
            path.unlink(missing_ok=True)
            raise ModelError(
                f"the cached network {path} was damaged and has been deleted; try again ({error})"
            ) from error

    def run(self, tokens: Tokens) -> Arrays:
        """See Runtime."""
        fed = dict(zip(INPUTS, (tokens.ids, tokens.mask, tokens.types), strict=True))
        return tuple(self._session.run(None, fed))


def cache_folder() -> Path:
    """Where ONNX files are kept: $ERRATA_CACHE, or the user's cache folder."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("ERRATA_CACHE") or user_cache_dir("errata"))


_exporting = threading.Lock()


def onnx_file(folder: Path, *, int8: bool) -> Path:
    """The ONNX file of a saved network, made now if it is not in the cache."""
    largest = largest_weight()
    name = fingerprint(folder, precision=f"int8-{largest}" if int8 else "fp32")
    path = cache_folder() / f"{name}.onnx"
    with _exporting:
        if path.exists():
            return path
        log.info("making %s (once)", path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
            if int8:
                quantise(onnx_file_unlocked(folder), temporary, largest=largest)
            else:
                _export(folder, temporary)
            temporary.replace(path)
        except OSError as error:
            raise ModelError(
                f"cannot write {path}: {error.strerror}; set ERRATA_CACHE to a folder with space"
            ) from error
    return path


def onnx_file_unlocked(folder: Path) -> Path:
    """The float32 ONNX file, made if missing; the caller holds the lock."""
    path = cache_folder() / f"{fingerprint(folder, precision='fp32')}.onnx"
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        _export(folder, temporary)
        temporary.replace(path)
    return path


def _export(folder: Path, path: Path) -> None:
    try:
        import onnx  # noqa: F401  (the exporter needs it)
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "onnx", "local,onnx") from error
    import warnings

    module = load_network(folder)
    outputs = ["vector"] if NetworkConfig.read(folder).shape == "dual" else ["scope", "kind", "start", "end"]
    ids = torch.tensor([[1, 2, 3, 2], [1, 2, 1, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    axes = {name: {0: "batch", 1: "tokens"} for name in (*INPUTS, "start", "end")}
    axes |= {name: {0: "batch"} for name in ("vector", "scope", "kind")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (ids, mask, torch.zeros_like(ids)),
            str(path),
            input_names=list(INPUTS),
            output_names=outputs,
            dynamic_axes={name: axes[name] for name in (*INPUTS, *outputs)},
            opset_version=17,
            dynamo=False,
        )


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
