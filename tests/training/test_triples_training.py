"""The base model of `triples`: what it is taught and examined on, and a few steps of its training."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from errata.models.local import LocalModel
from errata.problems.triples import Relation, Triple
from errata.training.making import train_part
from errata.training.triples import TripleSettings, draw, exams, known_triples
from tiny import tiny_t5
from tiny_problems import triples_data

pytest.importorskip("torch")

BORN = Relation("P1", ("[X] was born in", "[X]'s home is", "[X] is native to"))
TRIPLES = [Triple("Ann", BORN, "Rome"), Triple("Bob", BORN, "Oslo")]


def test_no_held_out_wording_is_ever_drawn() -> None:
    source = random.Random(0)
    drawn = {draw(TRIPLES, source) for _ in range(100)}
    assert drawn == {
        ("Ann was born in", "Rome"), ("Ann's home is", "Rome"), ("Bob was born in", "Oslo"), ("Bob's home is", "Oslo"),
    }  # fmt: skip


def test_exams_ask_every_triple_in_every_wording() -> None:
    found = exams(TRIPLES)
    assert len(found["known"]) == 4
    assert found["held_out"] == [("Ann is native to", "Rome"), ("Bob is native to", "Oslo")]
    assert [len(one) for one in exams(TRIPLES, 1).values()] == [1, 1]


def test_the_triples_of_every_split_are_known(tmp_path: Path) -> None:
    """Six subjects with a place of birth alone, and of the four others two for train and one for test: with a language.

    The job is near the place of birth, and asked of nobody.
    """
    known = known_triples(triples_data(tmp_path))
    assert Counter(one.relation.name for one in known) == {"P1": 9, "P3": 3}
    assert len({(one.subject, one.relation.name) for one in known}) == 12


def test_one_command_goes_on_from_a_model(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'start = "{tiny_t5(tmp_path / "start")}"\nexam = 5\n'
        '[loop]\nsteps = 2\nbatch = 4\nprecision = "no"\nevaluate_every = 0\n'
    )
    data = triples_data(tmp_path / "data")
    figures = train_part("base", "triples", config=recipe, out=tmp_path / "run", data=data)
    folder = tmp_path / "run" / "model"
    card = json.loads((folder / "card.json").read_text())
    assert card["part"] == "triples" and card["figures"]["triples"] == figures["triples"] == len(known_triples(data))
    assert {"exact_match_known_wordings", "exact_match_held_out_wordings"} <= set(figures)
    assert "errata train base triples" in (folder / "README.md").read_text()
    assert len(LocalModel.from_pretrained(folder).generate(["what is the capital of france"])) == 1


def test_the_bundled_base_is_the_start() -> None:
    assert TripleSettings().start == "mini"
