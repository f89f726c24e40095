"""What all tests share: networks made for ONNX are cached for the session, never in the user's folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """ERRATA_CACHE in a folder shared by the session's workers, unless the caller set one."""
    if "ERRATA_CACHE" not in os.environ:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        os.environ["ERRATA_CACHE"] = str(Path(shared) / "cache")
    yield
