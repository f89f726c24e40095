"""What the base of fact checking is trained on, how it is split, and that one command trains and installs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.models.load import load_model
from errata.models.text import Texts
from errata.problems.cases import DATA
from errata.problems.held_out import normalise
from errata.training.cards import data_hash
from errata.training.claims import (
    ClaimSettings,
    accuracy,
    claim_batch,
    claim_loss,
    majority,
    read_claims,
    split_claims,
    train_claims,
)
from errata.training.making import train_part
from tiny_encoder import tiny_backbone
from tiny_problems import fact_check_data, pages, write

torch = pytest.importorskip("torch")


def fever(folder: Path, rows: list[tuple[str, str]]) -> Path:
    """The data folder with these claims as FEVER's."""
    fact_check_data(folder, dev=pages(2), test=pages(2, first=5))
    write(folder / "fever" / "dev.jsonl", [{"claim": claim, "label": label} for claim, label in rows])
    return folder


def many(count: int) -> list[tuple[str, str]]:
    """Claims that are true where they are of Paris."""
    return [(f"{'paris' if n % 2 else 'france'} is {n}", "SUPPORTS" if n % 2 else "REFUTES") for n in range(count)]


def test_supported_and_refuted_claims_are_read_once(tmp_path: Path) -> None:
    rows = [
        ("A film.", "SUPPORTS"),
        ("A book.", "REFUTES"),
        ("A guess.", "NOT ENOUGH INFO"),
        ("a  FILM", "SUPPORTS"),
        ("Torn.", "SUPPORTS"),
        ("Torn.", "REFUTES"),
        ("Village 1 lies on a hill.", "SUPPORTS"),  # VitaminC's dev holds it
        ("village 6 has a fair", "REFUTES"),  # and its test this
        ("Village 3 has a fair.", "REFUTES"),
    ]
    found = [("A film.", True), ("A book.", False), ("Village 3 has a fair.", False)]
    assert [(normalise(text), verdict) for text, verdict in read_claims(fever(tmp_path, rows))] == [
        (normalise(text), verdict) for text, verdict in found
    ]


def test_the_split_is_by_text_and_seed() -> None:
    claims = [(f"Claim {n}.", n % 3 == 0) for n in range(400)]
    train_on, held_out = split_claims(claims, 0.2, 0)
    assert sorted(train_on + held_out) == sorted(claims)
    assert len(held_out) == pytest.approx(80, abs=25)
    assert set(split_claims(claims[::-1][:200], 0.2, 0)[1]) == set(held_out) & set(claims[200:])
    assert split_claims([(text.upper(), verdict) for text, verdict in claims], 0.2, 0)[1] == [
        (text.upper(), verdict) for text, verdict in held_out
    ]
    assert split_claims(claims, 0.2, 1)[1] != held_out
    assert majority([("a", True), ("b", False), ("c", False)]) == pytest.approx(2 / 3)


def test_loss_and_accuracy_against_values_by_hand(tmp_path: Path) -> None:
    """Log-odds of 2 for both claims, one of them true: half right, the mean of log(1+e^-2) and log(1+e^2)."""
    texts = Texts(tiny_backbone(tmp_path))
    claims = [("paris is the capital", True), ("france", False)]

    def two(ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        return torch.full((len(ids),), 2.0)

    loss = claim_loss(two, claim_batch(claims, texts))
    assert (float(loss["loss"]), float(loss["right"])) == pytest.approx(((0.126928 + 2.126928) / 2, 0.5), abs=1e-5)
    assert accuracy(two, texts, claims) == 0.5
    assert accuracy(two, texts, claims[:1] * 70) == 1.0


def test_one_command_trains_it_with_its_card(tmp_path: Path) -> None:
    data = fever(tmp_path / "data", many(120))
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[network]\nbackbone = "{tiny_backbone(tmp_path / "backbone")}"\nrank = 2\n'
        '[loop]\nsteps = 60\nbatch = 16\nlr = 2e-2\nwarmup = 5\nprecision = "no"\n'
    )
    figures = train_part("base", "fact_check", config=recipe, out=tmp_path / "run", data=data)
    assert figures["claims"] + figures["dev claims"] == 120
    assert figures["dev accuracy"] > 0.9 > figures["dev majority"]
    saved = tmp_path / "run" / "model"
    card = json.loads((saved / "card.json").read_text())
    assert card["part"] == "fc" and card["data"] == ["fever/dev.jsonl", "vitaminc/dev.jsonl", "vitaminc/test.jsonl"]
    assert card["data_hash"] == data_hash("fc", data) != data_hash("fc", None)
    model = load_model(f"fc:{saved}", runtime="torch")
    assert model.generate(["paris is 500", "france is 501"]) == ["True", "False"]


def test_too_little_data_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few"):
        train_claims(ClaimSettings(), tmp_path / "run", fever(tmp_path / "data", many(8)))
    with pytest.raises(ConfigError, match="name its folder in ERRATA_DATA"):
        train_part("base", "fact_check", config=None, out=tmp_path / "run", data=None)


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_no_claim_of_vitaminc_is_trained_on() -> None:
    folder = Path(os.environ[DATA])
    claims = {normalise(text) for text, _ in read_claims(folder)}
    assert 10_000 < len(claims) < 2 * 6_666
    for split in ("dev", "test"):
        rows = (folder / "vitaminc" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        assert claims.isdisjoint(normalise(json.loads(row)["claim"]) for row in rows)
