"""Native libraries are loaded in an order that works, and report nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = str(Path(__file__).parents[2] / "src")
LOADS = "from errata.models.native import hnsw_class, onnxruntime_module; onnxruntime_module(); hnsw_class()"


def test_onnx_runtime_keeps_no_identity_of_the_machine_and_reports_nothing(tmp_path: Path) -> None:
    told = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    told |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": SOURCE}
    subprocess.run([sys.executable, "-c", LOADS], env=told, check=True, timeout=120)
    assert not list(tmp_path.rglob("*onnxruntime*"))
