"""Codec: where a prompt ends and its target begins, in tokens."""

from types import SimpleNamespace
from typing import Any

import pytest

import tiny
from errata.errors import EditError
from errata.models.codec import Codec


def pieces(*words: str, template: str | None = None) -> Any:
    """A word-piece tokenizer over these pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", "</s>", *words])}
    fast = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = template
    return tokenizer


def codec(tokenizer: Any, **options: Any) -> Codec:
    """A codec for a causal model without limits."""
    config = SimpleNamespace()
    config.get_text_config = lambda: config
    return Codec(SimpleNamespace(config=config), tokenizer, "causal", "m", **options)


SAME = "{{ messages[0]['content'] }}"


def test_a_chats_target_is_tokenized_as_it_follows_the_prompt() -> None:
    tokenizer = pieces("hello", "world", "##world", template=SAME)
    assert codec(tokenizer).pair_ids(["hello"], ["world"]) == ([[2]], [[4, 1]])


def test_a_target_is_tokenized_apart_where_a_token_would_span_the_border() -> None:
    tokenizer = pieces("hello", "world", "helloworld", template=SAME)
    assert codec(tokenizer).pair_ids(["hello"], ["world"]) == ([[2]], [[3, 1]])


def test_a_plain_target_is_a_word_of_its_own() -> None:
    tokenizer = pieces("hello", "world", "##world")
    assert codec(tokenizer).pair_ids(["hello"], ["world"]) == ([[2]], [[3, 1]])


def test_an_empty_target_is_the_end_of_text() -> None:
    assert codec(pieces("hello")).pair_ids(["hello"], [""]) == ([[2]], [[1]])


def test_a_causal_prompt_goes_on_although_its_tokenizer_closes_texts() -> None:
    tokenizer = tiny.words_tokenizer("t5")
    closed = tokenizer("hello")["input_ids"]
    assert codec(tokenizer).prompt_ids(["hello"]) == [closed[:-1]]


def test_template_options_reach_the_template() -> None:
    tokenizer = pieces("a", "b", template="{{ 'a' if thinking else 'b' }}")
    told = codec(tokenizer, template_options={"thinking": True}).texts(["x"], None)
    assert (told, codec(tokenizer).texts(["x"], None)) == (["a"], ["b"])


def test_a_prompt_without_a_token_is_refused() -> None:
    with pytest.raises(EditError, match="prompt 0 has no token"):
        codec(pieces("hello", template="")).prompt_ids([" "])
