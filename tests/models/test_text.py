"""Texts become tokens in the two documented formats, and spans come back in the exact spelling."""

from __future__ import annotations

from pathlib import Path

import pytest

from errata.errors import ModelError
from errata.models.backbone import find_backbone
from errata.models.text import Texts


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts(find_backbone(), max_length=12)


def test_a_single_text_stands_between_cls_and_sep(texts: Texts) -> None:
    tokens = texts.singles(["who wrote emma"])
    assert tokens.ids[0, 0] == texts.cls and tokens.ids[0, -1] == texts.sep
    assert tokens.mask.sum() == tokens.ids.size and tokens.types.sum() == 0


def test_a_shorter_row_is_padded_and_masked(texts: Texts) -> None:
    tokens = texts.singles(["who", "who wrote emma"])
    assert tokens.mask[0].tolist() == [1, 1, 1, 0, 0] and tokens.ids[0, -1] == texts.pad


def test_an_edit_without_a_target_has_one_separator(texts: Texts) -> None:
    with_target, without = texts.edits([("a b", "c"), ("a b", "")]).ids
    assert (with_target == texts.sep).sum() == 2 and (without == texts.sep).sum() == 1


def test_long_texts_are_cut(texts: Texts) -> None:
    long = "word " * 100
    assert texts.singles([long]).ids.shape[1] == 14
    assert texts.edits([(long, long)]).ids.shape[1] <= 15
    assert texts.pairs([(long, long, long)])[0].ids.shape[1] <= 12 + 12 + 4


def test_of_a_long_input_the_beginning_and_the_end_are_kept(texts: Texts) -> None:
    words = [*"abcdefghij", *"abcdefg"]
    said = " ".join(words)
    ids = texts.tokenizer.encode(said, add_special_tokens=False).ids
    assert len(ids) == len(words)
    kept = [texts.cls, *ids[:6], *ids[-6:], texts.sep]
    assert texts.singles([said]).ids[0].tolist() == kept
    assert texts.pairs([(said, "a", "b")])[0].ids[0].tolist()[:14] == kept
    assert texts.edits([(said, "")]).ids[0].tolist() == [texts.cls, *ids[:13], texts.sep]


def test_a_pair_marks_the_edit_with_type_one(texts: Texts) -> None:
    tokens, spans = texts.pairs([("who", "wrote emma", "jane austen")])
    assert tokens.types[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert spans[0].first == 3


def test_offsets_point_at_the_exact_spelling(texts: Texts) -> None:
    prompt, target = "Who  wrote ÉMMA?", "Jane Austen"
    _, (spans,) = texts.pairs([("x", prompt, target)])
    words = [(prompt, target)[part][start:end] for part, start, end in spans.offsets if part >= 0]
    assert words[:2] == ["Who", "wrote"] and words[-2:] == ["Jane", "Austen"] and "?" in words


def test_a_folder_without_tokenizer_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        Texts(tmp_path)
