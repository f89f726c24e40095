"""Continuations on articles that we made up, and on the real ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from errata.errors import ConfigError
from errata.problems import wikipedia
from errata.problems.cases import DATA, DataFolder, Problem
from errata.problems.held_out import normalise
from errata.problems.sampler import split
from errata.problems.wikipedia import BEGINNING, CONTINUATION, FILES, articles, load_wikipedia, passages, trained_runs
from tiny_wiki import paragraph, wiki_data

real = pytest.mark.skipif(not os.environ.get(DATA), reason=f"{DATA} is not set: the public data is not at hand")


def test_articles_without_headings_and_marks(tmp_path: Path) -> None:
    text = " = Mill = \n \n A red @-@ brick mill of 1 @,@ 200 <unk> . \n = = Wheels = = \n"
    text += " It had 2 @.@ 5 . \n = Pond = \n Wet . \n"
    (tmp_path / "wikitext2").mkdir()
    (tmp_path / FILES["test"]).write_text(text)
    assert articles(DataFolder(tmp_path), "test") == [
        [["A", "red-brick", "mill", "of", "1,200", "<unk>", "."], ["It", "had", "2.5", "."]],
        [["Wet", "."]],
    ]


def test_every_fourth_article_of_the_first_file_is_devs(tmp_path: Path) -> None:
    folder = DataFolder(wiki_data(tmp_path, valid=9))
    first = [article[0][0] for article in articles(folder, "train")]
    assert first == ["v0", "v1", "v2", "v4", "v5", "v6", "v8"]
    assert [article[0][0] for article in articles(folder, "dev")] == ["v3", "v7"]


def test_a_passage_begins_a_sentence_that_known_words_follow(tmp_path: Path) -> None:
    """The first sentence lacks a word in its window; the second has 22 words; the last two paragraphs are too short."""
    (tmp_path / "wikitext2").mkdir()
    late = ["w", "<unk>", "."] + [f"b{at}" for at in range(12)] + [f"c{at}" for at in range(10)] + ["d"]
    short = [f"s{at}" for at in range(21)]
    (tmp_path / FILES["test"]).write_text(f" = A = \n {' '.join(late)} \n {' '.join(short)} \n {' '.join(late)} \n")
    (passage,) = passages(DataFolder(tmp_path), "test")
    assert passage.beginning == tuple(late[3:15]) and passage.follows == tuple(late[15:25])


def test_text_to_train_on_is_cut_where_a_word_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "wikitext2").mkdir()
    (tmp_path / FILES["train"]).write_text(" = A = \n a b <unk> c <unk> 2 @,@ <unk> d e \n")
    assert trained_runs(DataFolder(tmp_path)) == [["a", "b"], ["c"], ["d", "e"]]


def test_edits_strangers_and_their_labels(tmp_path: Path) -> None:
    wiki_data(tmp_path, valid=8, test=30)
    problem = load_wikipedia(tmp_path)
    followed = {" ".join(paragraph(f"t{at}")[:12]): " ".join(paragraph(f"t{at}")[12:22]) for at in range(30)}
    edited = {case.edit.prompt for case in problem.cases}
    strangers = {one.text for one in problem.shared}
    assert edited and strangers and not edited & strangers and edited | strangers == set(followed)
    for case in problem.cases:
        (inside,) = case.in_scope
        assert (inside.text, inside.answer, inside.kind) == (case.edit.prompt, case.edit.target, "same")
        assert len(case.edit.target.split()) == CONTINUATION
        assert case.edit.meta["answer"] == followed[case.edit.prompt] != case.edit.target
    assert all(one.answer == followed[one.text] and one.kind == "other_passage" for one in problem.shared)
    assert problem.success == {"same"}


def test_the_seed_draws_the_continuations_alone(tmp_path: Path) -> None:
    wiki_data(tmp_path, valid=8, test=10)
    one, other = load_wikipedia(tmp_path), load_wikipedia(tmp_path, seed=1)
    assert one == load_wikipedia(tmp_path) and one.shared == other.shared
    assert [case.edit.prompt for case in one.cases] == [case.edit.prompt for case in other.cases]
    assert [case.edit.target for case in one.cases] != [case.edit.target for case in other.cases]


def test_bad_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wikipedia has no split 'valid'; accepted: train, dev, test"):
        load_wikipedia(tmp_path, split="valid")
    with pytest.raises(ConfigError, match="cannot read wikitext2/valid.txt"):
        load_wikipedia(tmp_path)
    wiki_data(tmp_path)
    (tmp_path / FILES["test"]).write_text(" = A = \n too short \n")
    with pytest.raises(ConfigError, match="holds no passage of 22 known words"):
        load_wikipedia(tmp_path)
    (tmp_path / FILES["test"]).write_text("  \n")
    with pytest.raises(ConfigError, match="holds no text"):
        load_wikipedia(tmp_path)
    (tmp_path / FILES["test"]).write_bytes(b"a\n\xff")
    with pytest.raises(ConfigError, match="line 2 is not UTF-8"):
        load_wikipedia(tmp_path)


# the real data


@pytest.fixture(scope="module")
def problems() -> Mapping[str, Problem]:
    return {name: load_wikipedia(split=name) for name in FILES}


@real
def test_counts_of_the_real_data(problems: Mapping[str, Problem]) -> None:
    assert {name: (len(problem.cases), len(problem.shared)) for name, problem in problems.items()} == {
        "train": (436, 288),
        "dev": (219, 118),
        "test": (658, 430),
    }
    assert len(split(problems["test"], 128)) == 5


@real
def test_the_real_splits_share_no_beginning(problems: Mapping[str, Problem]) -> None:
    asked = [
        {normalise(text) for text in (*(case.edit.prompt for case in one.cases), *(out.text for out in one.shared))}
        for one in problems.values()
    ]
    assert sum(map(len, asked)) == len(set().union(*asked)) == 436 + 288 + 219 + 118 + 658 + 430


@real
def test_real_beginnings_are_known_words_and_no_continuation_is_the_texts(problems: Mapping[str, Problem]) -> None:
    for problem in problems.values():
        for case in problem.cases:
            assert len(case.edit.prompt.split()) == BEGINNING and len(case.edit.target.split()) == CONTINUATION
            assert wikipedia.UNKNOWN not in f"{case.edit.prompt} {case.edit.target}"
            assert case.edit.target != case.edit.meta["answer"]
