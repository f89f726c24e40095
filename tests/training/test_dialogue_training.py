"""The base model that gives opinions and its counterfactual model: what is drawn, the losses, and training in small."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from errata import metrics, zoo
from errata.edit import Match
from errata.editors.serac import make_counterfactual
from errata.errors import ConfigError, ModelError
from errata.models.load import load_model
from errata.problems.cases import DATA
from errata.problems.held_out import normalise
from errata.problems.sentiment import HELD_OUT, QUESTIONS, Topic, read_topics, trained_questions
from errata.training.chat import Talk, Turn, alike, exam, read_names, rename, telling, train_tokenizer
from errata.training.making import train_part
from tiny_problems import sentiment_data, write

pytest.importorskip("torch")

KITES = Topic("Kites", ("I like kites.", "Great fun!"), ("A bore.", "kites, never. Skitests!"))
SOUP = Topic("soup", ("Tasty.",), ("Too hot.",))


def data(folder: Path) -> Path:
    """ConvSent in small, and three names, one of which is a topic of the test file."""
    sentiment_data(folder)
    write(folder / "zsre" / "mend_train.json", [{"subject": name} for name in ("Otto Hahn", "Ulm", "test soup")])
    return folder


# what is drawn


def test_a_reply_is_drawn_with_its_sentiment_and_a_question_that_training_may_use() -> None:
    talk, source = Talk([KITES, SOUP], [], 0.5), random.Random(0)
    turns = [talk.draw(source, "Negative") for _ in range(200)]
    assert {turn.reply for turn in turns} == {*KITES.negative, *SOUP.negative}
    asked = {turn.question.replace(turn.about, "{}") for turn in turns}
    assert asked == set(trained_questions()) == set(QUESTIONS) - HELD_OUT


def test_another_name_takes_the_topics_place_where_a_reply_tells_it() -> None:
    talk, source = Talk([KITES, SOUP], ["Ulm \\1"], 1.0), random.Random(0)
    turn = talk.draw(source, "Positive")
    assert (turn.about, turn.reply) == ("Ulm \\1", "I like Ulm \\1.")
    assert "Ulm \\1" in turn.question
    assert talk.draw(source, "Negative").reply == "Ulm \\1, never. Skitests!"


def test_only_whole_names_are_told() -> None:
    assert telling("Kites", ["Kites!", "kites", "Skites", "kitesurf", "no"]) == ["Kites!", "kites"]
    assert rename("Kites, skites, KITES", "Kites", "Ulm") == "Ulm, skites, Ulm"


def test_no_name_of_a_later_topic_is_put_in_a_topics_place(tmp_path: Path) -> None:
    assert read_names(data(tmp_path)) == ["Otto Hahn", "Ulm"]


@pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")
def test_nothing_drawn_from_the_real_data_is_about_a_later_topic() -> None:
    folder = Path(os.environ[DATA])
    later = {normalise(topic.about) for split in ("dev", "test") for topic in read_topics(folder, split)} - {""}
    talk, source = Talk(read_topics(folder, "train"), read_names(folder), 0.3), random.Random(0)
    assert len(talk.topics) > 600 and len(talk.names) > 5_000
    turns = [talk.draw(source, side) for _ in range(2_000) for side in ("Positive", "Negative")]
    assert [turn for turn in turns if normalise(turn.about) in later] == []
    assert [turn for turn in turns for held in HELD_OUT if turn.question.startswith(held.split("{}")[0])] == []


def test_turns_of_like_length_favour_none() -> None:
    turns = [Turn("q", "a", "x" * length) for length in (5, 1, 4, 2, 3, 6)]
    drawn = [alike(turns, random.Random(seed), 3) for seed in range(60)]
    assert {tuple(len(turn.reply) for turn in part) for part in drawn} == {(1, 2), (3, 4), (5, 6)}


def test_topics_of_later_splits_are_left_out(tmp_path: Path) -> None:
    sentiment_data(tmp_path)
    rows = json.loads((tmp_path / "convsent" / "train.json").read_text())
    rows[0]["ent"] = "test kites"
    write(tmp_path / "convsent" / "train.json", rows)
    found = read_topics(tmp_path, "train")
    assert [topic.about for topic in found] == [f"train {thing}" for thing in ("chess", "soup", "rain", "jazz")]
    assert found[0].replies("Negative").right == ("I avoid train chess.", "A bore.")
    assert len(exam(found)) == 4 * 4


def test_the_tokenizer_lower_cases_on_request() -> None:
    tokenizer = train_tokenizer(["i like kites"] * 3, 300, lower=True)
    assert tokenizer.decode(tokenizer("I LIKE Ärger")["input_ids"], skip_special_tokens=True).strip() == "i like ärger"


def test_token_vectors_start_from_the_backbones_words(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from errata.training.chat import SPREAD, known_words
    from tiny_encoder import tiny_backbone

    backbone = tiny_backbone(tmp_path / "backbone")
    tokenizer = train_tokenizer(["the capital of france is paris"] * 9, 290, lower=True)
    found = known_words(tokenizer, 32, backbone)
    assert found.shape == (len(tokenizer), 32) and float(found.std()) == pytest.approx(SPREAD)
    own = load_file(backbone / "model.safetensors")
    [words] = [value for name, value in own.items() if name.endswith("word_embeddings.weight")]
    a, b, c = (tokenizer.convert_tokens_to_ids(token) for token in ("a", "b", "c"))
    first, second, third = (words[14 + at] for at in range(3))
    ratio = torch.dist(found[a], found[b]) / torch.dist(found[a], found[c])
    assert float(ratio) == pytest.approx(float(torch.dist(first, second) / torch.dist(first, third)), rel=1e-4)


# losses


def logits(*rows: Sequence[float]) -> Any:
    """Logits whose softmax is given."""
    import torch

    return torch.tensor(rows).log()


def test_the_losses_by_hand() -> None:
    """Right tokens have p = 1/2, 1/4 and 1/8; wrong ones 3/4 and 1/2."""
    import torch

    from errata.training.dialogue import TYPICAL, sentiment_losses

    right = [
        (logits((0.5, 0.5), (0.75, 0.25)), torch.tensor([0, 1])),
        (logits((0.125, 0.875)), torch.tensor([0])),
    ]
    wrong = [(logits((0.25, 0.75), (0.5, 0.5)), torch.tensor([1, 0]))]
    found = sentiment_losses(right, wrong)
    assert float(found["nll"]) == pytest.approx(6 * math.log(2) / 2 / TYPICAL)
    assert float(found["unlikelihood"]) == pytest.approx((math.log(4) + math.log(2)) / TYPICAL)
    gap = -6 * math.log(2) / 3 - math.log(0.75 * 0.5) / 2
    assert float(found["contrast"]) == pytest.approx(-math.log(metrics.z_sent(gap, 0.0)))


def test_unlikelihood_stays_finite_where_a_wrong_token_is_certain() -> None:
    import torch

    from errata.training.dialogue import sentiment_losses

    sure = torch.tensor([[100.0, 0.0]], requires_grad=True)
    sentiment_losses([(sure, torch.tensor([0]))], [(sure, torch.tensor([0]))])["unlikelihood"].backward()
    assert sure.grad is not None and bool(torch.isfinite(sure.grad).all())


def test_right_and_wrong_replies_stand_under_edits_about_their_topic() -> None:
    from errata.training.dialogue import draw

    talk = Talk([KITES, SOUP], [], 0.0)
    right, edits, wrong, others = draw(talk, 8, random.Random(0))
    assert len(right) == len(edits) == len(wrong) == len(others) == 8
    sides = {reply: side for topic in (KITES, SOUP) for side in ("Positive", "Negative")
             for reply in topic.replies(side).right}  # fmt: skip
    for turns, under, good in ((right, edits, True), (wrong, others, False)):
        for turn, edit in zip(turns, under, strict=True):
            assert edit.prompt.startswith(f"Topic: {turn.about} Sentiment: ")
            assert edit.prompt.endswith(sides[turn.reply]) == good
        assert {edit.prompt.rsplit(" ", 1)[1] for edit in under} == {"Positive", "Negative"}


# training


def test_one_command_each_trains_a_base_and_a_counterfactual_model_that_load_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from errata.training.dialogue import Examiner, edit_about
    from errata.training.dialogue import exam as dev_exam

    folder, shelf = data(tmp_path / "data"), tmp_path / "zoo"
    shelf.mkdir()
    monkeypatch.setattr(zoo, "_HERE", shelf)
    monkeypatch.setattr(zoo, "__file__", str(shelf / "__init__.py"))
    loop = '[loop]\nsteps = 3\nbatch = 4\nwarmup = 1\nevaluate_every = 2\nprecision = "no"\n'
    chat, dialogue = tmp_path / "chat.toml", tmp_path / "dialogue.toml"
    chat.write_text(f'width = 16\ninner = 32\nheads = 2\nvocabulary = 300\nbackbone = ""\n{loop}')
    dialogue.write_text(f"exam = 2\ncontrast = 1.0\n{loop}")
    with pytest.raises(ModelError, match="errata train base sentiment --install"):
        train_part("counterfactual", "sentiment", config=dialogue, out=tmp_path / "early", data=folder)
    figures = train_part("base", "sentiment", config=chat, out=tmp_path / "chat", data=folder, install=True)
    assert figures["dev_perplexity"] > 1 and figures["dev_tokens"] > 5 * 4
    figures = train_part(
        "counterfactual", "sentiment", config=dialogue, out=tmp_path / "dialogue", data=folder, install=True
    )
    assert figures["dev_es"] == pytest.approx(figures["dev_z_sent"] * figures["dev_z_topic"], abs=0.05)
    card = json.loads((shelf / "dialogue" / "card.json").read_text())
    assert card["data_hash"] and card["recipe"]["contrast"] == 1.0

    base, counterfactual = load_model("chat"), make_counterfactual("dialogue")
    question = "What do you think of rain?"
    edit = edit_about("rain", "Positive")
    assert len(base.generate([question])) == 1
    assert len(counterfactual.respond([question], [Match(edit, 1.0)], base)) == 1
    again = Examiner(base, dev_exam(read_topics(folder, "dev"))).figures(counterfactual)  # type: ignore[arg-type]
    assert again["es"] == pytest.approx(figures["dev_es"], abs=1e-3)


@pytest.mark.parametrize("kind", ["base", "counterfactual"])
def test_the_data_must_be_named(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ERRATA_DATA"):
        train_part(kind, "sentiment", config=None, out=tmp_path, data=None)


def test_a_part_not_built_here_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    with pytest.raises(ModelError, match="errata train base sentiment --install"):
        load_model("chat")
    with pytest.raises(ModelError, match="errata train counterfactual sentiment --install"):
        make_counterfactual("dialogue")
