"""One version, told alike everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import errata

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("file", "pattern"),
    [("CHANGELOG.md", r"^## \[(\d[^\]]*)\] - "), ("CITATION.cff", r"^version: (.+)$")],
)
def test_the_newest_version_told_is_the_package_s(file: str, pattern: str) -> None:
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert found[1] == errata.__version__


def test_the_newest_entry_of_the_changelog_is_the_version_or_unreleased() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading for heading in headings if heading != "Unreleased"][0] == errata.__version__
