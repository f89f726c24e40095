from __future__ import annotations

from xml.etree import ElementTree

import pytest

from errata.experiments.plots import Line, Point, line_plot

SVG = "{http://www.w3.org/2000/svg}"
LINES = (
    Line("shipped <&>", (Point(100, 0.5, 0.4, 0.6), Point(1, 1.0, 0.9, 1.0), Point(10, 0.9, 0.8, 1.0))),
    Line("other", (Point(1, 0.4),)),
)


def plot(lines: tuple[Line, ...] = LINES, *, log_x: bool = True) -> ElementTree.Element:
    text = line_plot(lines, title="ES & DD", description="a < b", x_label="k", y_label="ES", log_x=log_x)
    return ElementTree.fromstring(text)


def test_it_is_well_formed_and_tells_what_it_shows() -> None:
    root = plot()
    assert root.find(f"{SVG}title").text == "ES & DD"  # type: ignore[union-attr]
    assert root.find(f"{SVG}desc").text == "a < b"  # type: ignore[union-attr]
    assert root.get("role") == "img"
    assert set((root.get("aria-labelledby") or "").split()) == {"title", "description"}
    assert "prefers-color-scheme:dark" in (root.find(f"{SVG}style").text or "")  # type: ignore[union-attr]
    texts = [node.text for node in root.iter(f"{SVG}text")]
    assert {"shipped <&>", "other", "k", "ES"} <= set(texts)


def test_points_lie_where_they_should() -> None:
    """A logarithmic axis from 1 to 100 has 10 in its middle; y runs from 0.4 (at 384) to 1.0 (at 48)."""
    [line, other] = plot().iter(f"{SVG}polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points", "").split()]
    assert places == [(70.0, 48.0), (383.0, 104.0), (696.0, 328.0)]
    assert other.get("points") == "70.0,384.0"


def test_a_band_goes_up_along_the_tops_and_back() -> None:
    [band] = plot().iter(f"{SVG}polygon")
    places = [tuple(map(float, pair.split(","))) for pair in band.get("points", "").split()]
    assert [x for x, _ in places] == [70.0, 383.0, 696.0, 696.0, 383.0, 70.0]
    assert [y for _, y in places] == [48.0, 48.0, 272.0, 384.0, 160.0, 104.0]


def test_a_linear_axis() -> None:
    [line, _] = plot(log_x=False).iter(f"{SVG}polyline")
    middle = line.get("points", "").split()[1]
    assert float(middle.split(",")[0]) == pytest.approx(70 + 626 * 9 / 99, abs=0.1)


def test_ticks_are_round_and_cover_all() -> None:
    told = [node.text for node in plot().iter(f"{SVG}text") if node.get("text-anchor") == "end"]
    assert told == ["0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1"]


def test_one_value_is_drawn_too() -> None:
    root = plot((Line("flat", (Point(5, 0.97), Point(7, 0.97))),))
    assert len([*root.iter(f"{SVG}circle")]) == 2


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no point"):
        plot((Line("none", ()),))
    with pytest.raises(ValueError, match="logarithmic"):
        plot((Line("zero", (Point(0, 1.0),)),))
