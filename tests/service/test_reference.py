"""The API's page is what the service says of itself. `python tests/service/test_reference.py` writes it anew."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
sys.path.append(str(ROOT / "tests"))

from errata.service.reference import reference  # noqa: E402
from serving import service  # noqa: E402


def test_the_page_is_up_to_date() -> None:
    made = service()
    page = reference(made.app.openapi())
    assert page == PAGE.read_text(encoding="utf-8"), "write it anew: python tests/service/test_reference.py"
    assert "### POST `/v1/edits/batch`" in page and "| `prompt` | string, at least 1, at most 4,000 | needed |" in page


if __name__ == "__main__":
    PAGE.write_text(reference(service().app.openapi()), encoding="utf-8")
