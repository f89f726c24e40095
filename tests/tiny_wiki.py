"""WikiText-2 as tiny files of its format, with words that tell where they stand."""

from __future__ import annotations

from pathlib import Path

from errata.problems.wikipedia import FILES


def paragraph(name: str) -> list[str]:
    """Thirty words, the article's name first; every other is "the", so that a word chain has a choice."""
    return [name, *(word for at in range(14) for word in ("the", f"{name}w{at}")), "."]


def wiki_data(folder: Path, *, valid: int = 8, test: int = 8) -> Path:
    """So many articles of one paragraph each, v0, v1 … and t0, t1 …"""
    (folder / "wikitext2").mkdir(parents=True, exist_ok=True)
    for split, letter, count in (("train", "v", valid), ("test", "t", test)):
        text = "".join(f" = Article {at} = \n \n {' '.join(paragraph(f'{letter}{at}'))} \n \n" for at in range(count))
        (folder / FILES[split]).write_text(text, encoding="utf-8")
    return folder
