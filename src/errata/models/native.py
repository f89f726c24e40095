"""How native libraries are loaded: in which order, and silent. Knows no model."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

QUIET = "ORT_DISABLE_TELEMETRY"
"""Unless this is set, ONNX Runtime from 1.31 on reports its use to Microsoft and keeps an identity of the machine."""


def onnxruntime_module() -> Any:
    """ONNX Runtime, told to report nothing to anybody, unless the environment says otherwise.

    Raises:
        ImportError: it is not installed.
    """
    os.environ.setdefault(QUIET, "1")
    import onnxruntime

    return onnxruntime


def hnsw_class() -> Any:
    """Usearch's Index, imported after ONNX Runtime.

    usearch 2.26 makes the symbols of its numkong library global, and ONNX Runtime 1.31 dies on
    them if it is loaded later.
    """
    if find_spec("onnxruntime"):
        onnxruntime_module()
    from usearch.index import Index

    return Index
