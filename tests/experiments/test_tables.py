from __future__ import annotations

import pytest

from errata.experiments.tables import count, figure, markdown


def test_a_table() -> None:
    assert markdown(("problem", "ES"), [("qa | hard", figure(0.5)), ("fc", None)]).splitlines() == [
        "| problem | ES |",
        "|---|---:|",
        "| qa \\| hard | 0.500 |",
        "| fc | – |",
    ]


def test_a_row_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="1 cells and 2 columns"):
        markdown(("a", "b"), [("x",)])


def test_figures_with_interval_and_paper() -> None:
    assert figure(0.98765, (0.98, 0.9949), paper=0.986) == "0.988 (0.980 to 0.995) [0.986]"
    assert figure(None, None, paper=0.986) == "– [0.986]"
    assert figure(None) == "–"
    assert figure(12.345, digits=1, paper="87 ms") == "12.3 [87 ms]"
    assert count(50_000) == "50,000" and count(None) == "–"
