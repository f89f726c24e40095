"""The order in which native libraries must be loaded. Knows no model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def hnsw_class() -> Any:
    """Usearch's Index, imported after ONNX Runtime.

    usearch 2.26 makes the symbols of its numkong library global, and ONNX Runtime 1.31 dies on
    them if it is loaded later.
    """
    if find_spec("onnxruntime"):
        import onnxruntime  # noqa: F401
    from usearch.index import Index

    return Index
