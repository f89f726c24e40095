"""Small plots as SVG: shapes only. Words stand beside them in HTML, so that they stay readable at any width."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 600, 100
"""Of a plot, in its own units; the page stretches it."""


def bars(rows: Sequence[Sequence[float]], names: Sequence[str], label: str) -> Markup:
    """Stacked bars, one a row.

    Args:
        rows: for each bar the heights of its parts, lowest first.
        names: the parts' CSS classes.
        label: what the plot shows, for who cannot see it.
    """
    top = max((sum(row) for row in rows), default=0) or 1
    step = WIDTH / max(1, len(rows))
    parts = []
    for at, row in enumerate(rows):
        low = float(HEIGHT)
        for name, value in zip(names, row, strict=True):
            if value:
                high = HEIGHT * value / top
                low -= high
                parts.append(
                    Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
                        name, at * step + step * 0.1, low, step * 0.8, high
                    )
                )
    return _plot(parts, label)


def lines(rows: Sequence[Sequence[float | None]], names: Sequence[str], label: str) -> Markup:
    """Lines over the same steps; where a value is None the line has a gap.

    Args:
        rows: each line's values.
        names: the lines' CSS classes.
        label: what the plot shows, for who cannot see it.
    """
    top = max((value for row in rows for value in row if value is not None), default=0) or 1
    parts = []
    for name, row in zip(names, rows, strict=True):
        step = WIDTH / max(1, len(row))
        path, drawn = "", False
        for at, value in enumerate(row):
            if value is None:
                drawn = False
                continue
            x, y = step * (at + 0.5), HEIGHT - 0.96 * HEIGHT * value / top
            path += f"{'L' if drawn else 'M'}{x:.2f} {y:.2f}h0.01"
            drawn = True
        parts.append(Markup('<path class="{}" d="{}"/>').format(name, path))
    return _plot(parts, label)


def score(value: float, threshold: float) -> Markup:
    """A score from 0 to 1 as a bar, with the threshold as a line across it."""
    label = f"score {value:.3f}, threshold {threshold:g}"
    return Markup(
        '<svg class="score" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" x="0" y="2" width="100" height="6"/>'
        '<rect class="{}" x="0" y="2" width="{:.2f}" height="6"/>'
        '<rect class="mark" x="{:.2f}" y="-1" width="1.6" height="12"/></svg>'
    ).format(label, "over" if value >= threshold else "under", 100 * value, min(98.4, 100 * threshold))


def _plot(parts: Sequence[Markup], label: str) -> Markup:
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, y, y)
        for y in (0, HEIGHT / 2, HEIGHT)
    )
    head = Markup('<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(WIDTH, HEIGHT, label) + grid + Markup("").join(parts) + Markup("</svg>")
