"""Line plots as SVG, made of text: axes, a linear or logarithmic x, lines with interval bands, a legend.

Readable on light and on dark pages, and by those who hear it: title and description tell what is drawn. Knows no
experiment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 48, 56
ROW = 20
"""Height of a line of the legend, which stands below the plot."""
COLOURS = (
    ("#0b62a4", "#6db6f2"),
    ("#b3470b", "#f5a25d"),
    ("#1c7a3e", "#6fcf8f"),
    ("#7b3fa0", "#c79be6"),
    ("#9a1f40", "#f08ba6"),
    ("#4d5a12", "#c3cf6a"),
    ("#3f4652", "#b7bfcc"),
)
"""Of each line, on a light page and on a dark one; the lines differ in dash and mark too."""
DASHES = ("", "7 4", "2 4", "10 3 2 3", "1 3", "12 4", "5 2 1 2")


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a line; its interval, where there is one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A named line; its points are drawn by rising x."""

    name: str
    points: tuple[Point, ...]


def line_plot(
    lines: Sequence[Line],
    *,
    title: str,
    description: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """An SVG document.

    Args:
        lines: what is drawn; those without points are left out.
        title: stands above, and is read out first.
        description: what a reader who does not see it should know.
        x_label: under the axis.
        y_label: beside the axis.
        log_x: whether x is logarithmic; all x must then be above 0.
        y_range: of the axis; None fits it to the points and their intervals.

    Raises:
        ValueError: there is no point, or one that a logarithmic axis cannot show.
    """
    drawn = [Line(line.name, tuple(sorted(line.points, key=lambda point: point.x))) for line in lines if line.points]
    points = [point for line in drawn for point in line.points]
    if not points:
        raise ValueError("there is no point to draw")
    if log_x and min(point.x for point in points) <= 0:
        raise ValueError("a logarithmic axis has no place for 0 or less")
    xs = sorted({point.x for point in points})
    ys = _ticks(*(y_range or _reach(points)))
    place = _Place(xs[0], xs[-1], ys[0], ys[-1], log_x)
    legend = "".join(_legend(at, line) for at, line in enumerate(drawn))
    body = [
        _axes(place, _spread(xs, place), ys, x_label, y_label),
        *(_line(place, at, line) for at, line in enumerate(drawn)),
        legend,
    ]
    height = HEIGHT + ROW * len(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="title description">\n<title id="title">{escape(title)}</title>\n'
        f'<desc id="description">{escape(description)}</desc>\n<style>{_style()}</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{height}"/>\n'
        f'<text class="head" x="{LEFT}" y="26">{escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n"
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """From values to places on the page."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def x(self, value: float) -> float:
        turn = math.log10 if self.log else float
        low, high = turn(self.x0), turn(self.x1)
        share = (turn(value) - low) / (high - low) if high > low else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.y0), self.y1) - self.y0) / (self.y1 - self.y0)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _reach(points: Sequence[Point]) -> tuple[float, float]:
    values = [value for point in points for value in (point.y, point.low, point.high) if value is not None]
    return min(values), max(values)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, four to ten of them."""
    span = (high - low) or max(abs(high), 1.0) * 0.1
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 7)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [round(at * step, 10) for at in range(first, last + 1)]


def _spread(values: Sequence[float], place: _Place) -> list[float]:
    """The values whose labels keep apart."""
    kept: list[float] = []
    for value in values:
        if not kept or place.x(value) - place.x(kept[-1]) >= 34:
            kept.append(value)
    return kept


def _axes(place: _Place, xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str) -> str:
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in ys:
        at = place.y(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4}" text-anchor="end">{value:g}</text>')
    for value in xs:
        at = place.x(value)
        parts.append(f'<line class="axis" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 19}" text-anchor="middle">{value:,g}</text>')
    parts.append(f'<path class="axis" d="M{left} {TOP}V{bottom}H{right}"/>')
    middle = (left + right) / 2
    parts.append(f'<text x="{middle:g}" y="{bottom + 42}" text-anchor="middle">{escape(x_label)}</text>')
    upright = f"translate(18 {(TOP + bottom) / 2:g}) rotate(-90)"
    parts.append(f'<text transform="{upright}" text-anchor="middle">{escape(y_label)}</text>')
    return "\n".join(parts)


def _line(place: _Place, at: int, line: Line) -> str:
    banded = [point for point in line.points if point.low is not None and point.high is not None]
    parts = [f'<g class="line{at % len(COLOURS)}" aria-label={quoteattr(line.name)}>']
    if len(banded) > 1:
        over = [f"{place.x(point.x)},{place.y(point.high or 0.0)}" for point in banded]
        under = [f"{place.x(point.x)},{place.y(point.low or 0.0)}" for point in reversed(banded)]
        parts.append(f'<polygon class="band" points="{" ".join(over + under)}"/>')
    path = " ".join(f"{place.x(point.x)},{place.y(point.y)}" for point in line.points)
    parts.append(f'<polyline class="path" points="{path}"/>')
    for point in line.points:
        told = f"{line.name}: {point.y:.3f} at {point.x:,g}"
        dot = f'<circle class="mark" cx="{place.x(point.x)}" cy="{place.y(point.y)}" r="3.5">'
        parts.append(f"{dot}<title>{escape(told)}</title></circle>")
    return "\n".join([*parts, "</g>"])


def _legend(at: int, line: Line) -> str:
    y = HEIGHT + ROW * at
    mark = f'<line class="path" x1="{LEFT}" x2="{LEFT + 34}" y1="{y}" y2="{y}"/>'
    return (
        f'<g class="line{at % len(COLOURS)}">{mark}<text x="{LEFT + 42}" y="{y + 4}">{escape(line.name)}</text></g>\n'
    )


def _style() -> str:
    def lines(side: int) -> str:
        return "".join(
            f".line{at} .path{{stroke:{pair[side]};stroke-dasharray:{DASHES[at] or 'none'}}}"
            f".line{at} .mark,.line{at} .band{{fill:{pair[side]}}}"
            for at, pair in enumerate(COLOURS)
        )

    return (
        "text{font:13px system-ui,sans-serif;fill:#222}.head{font-weight:600;font-size:15px}.page{fill:#fff}"
        ".grid{stroke:#ddd}.axis{stroke:#555;fill:none}.path{fill:none;stroke-width:2}.band{opacity:.18}"
        + lines(0)
        + "@media (prefers-color-scheme:dark){text{fill:#e6e6e6}.page{fill:#16181c}.grid{stroke:#3a3d44}"
        + ".axis{stroke:#a0a4ab}"
        + lines(1)
        + "}"
    )
