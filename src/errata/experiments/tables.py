"""Markdown tables of figures, each with its interval and, in brackets, the paper's. Knows no experiment."""

from __future__ import annotations

from collections.abc import Sequence

NOTHING = "–"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]], *, words: int = 1) -> str:
    """A table.

    Args:
        columns: their names.
        rows: one cell a column.
        words: how many columns, from the left, hold words; the others are set to the right.

    Raises:
        ValueError: a row is not as long as the columns.

    Example:
        >>> print(markdown(("problem", "ES"), [("qa", "0.990")]))
        | problem | ES |
        |---|---:|
        | qa | 0.990 |
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(row)} cells and {len(columns)} columns: {row}")
    rule = ["---" if at < words else "---:" for at in range(len(columns))]
    lines = [columns, *rows]
    told = ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]
    return "\n".join([told[0], f"|{'|'.join(rule)}|", *told[1:]])


def _cell(value: object) -> str:
    text = NOTHING if value is None or value == "" else str(value)
    return " ".join(text.replace("|", "\\|").split())


def figure(
    value: float | None,
    interval: Sequence[float] | None = None,
    *,
    paper: float | str | None = None,
    digits: int = 3,
) -> str:
    """A figure, its interval in parentheses, the paper's in brackets; a dash where there is none.

    Example:
        >>> figure(0.98765, (0.98, 0.9949), paper=0.986)
        '0.988 (0.980 to 0.995) [0.986]'
    """
    told = NOTHING if value is None else f"{value:.{digits}f}"
    if value is not None and interval is not None:
        told += f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"
    if paper is not None:
        told += f" [{paper if isinstance(paper, str) else f'{paper:.{digits}f}'}]"
    return told


def count(value: int | None) -> str:
    """A whole number with commas.

    Example:
        >>> count(50000)
        '50,000'
    """
    return NOTHING if value is None else f"{value:,}"
