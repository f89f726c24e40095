"""Turn texts and (input, edit) pairs into token ids for an encoder, and token positions back into characters.

Uses the `tokenizers` library alone, so that answering needs neither torch nor transformers. Never sees a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errata.errors import ModelError
from errata.models.numbers import compared

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A padded batch, three int64 arrays of shape (n, t)."""

    ids: Ids
    mask: Ids
    types: Ids


@dataclass(frozen=True, slots=True)
class PairSpans:
    """Where the edit's tokens of one pair lie: for token i, (part, start, end); part 0 is the prompt, 1 the target."""

    first: int
    offsets: tuple[tuple[int, int, int], ...]


class Texts:
    """A tokenizer with the two text formats errata uses.

    A single text is `[CLS] text [SEP]`; an edit in it is `prompt [SEP] target`. A pair is
    `[CLS] input [SEP] prompt [SEP] target [SEP]`, token type 1 from the prompt on. An input has at most
    `max_length` tokens, and so has an edit: of a longer input the beginning and the end are kept, where questions
    stand. With `numbers`, a pair's input tells beside each of its numbers how the edit's compare with it.
    """

    format = "errata-text-1"

    def __init__(self, folder: Path, *, max_length: int = 160, numbers: bool = False) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        try:
            self.tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for a missing or broken file
            raise ModelError(f"cannot read the tokenizer {path}: {error}") from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.max_length = max_length
        self.numbers = numbers
        known = [
            [number for number in map(self.tokenizer.token_to_id, names) if number is not None]
            for names in (("[CLS]", "[SEP]", "[PAD]"), ("<s>", "</s>", "<pad>"))
        ]
        whole = [numbers for numbers in known if len(numbers) == 3]
        if not whole:
            raise ModelError(f"the tokenizer {path} has neither [CLS]/[SEP]/[PAD] nor <s>/</s>/<pad>")
        self.cls, self.sep, self.pad = whole[0]

    def singles(self, texts: Sequence[str]) -> Tokens:
        """Inputs as one batch."""
        coded = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return self._pad([([self.cls, *_ends(code.ids, self.max_length), self.sep], 0) for code in coded])

    def edits(self, edits: Sequence[tuple[str, str]]) -> Tokens:
        """Edit descriptors (prompt, target) as one batch."""
        limit = self.max_length
        coded = self.tokenizer.encode_batch([text for edit in edits for text in edit], add_special_tokens=False)
        rows = []
        for prompt, target in zip(coded[::2], coded[1::2], strict=True):
            tail = [self.sep, *target.ids[: limit // 2]] if target.ids else []
            rows.append(([self.cls, *prompt.ids[: limit - len(tail) + 1], *tail, self.sep], 0))
        return self._pad(rows)

    def pairs(self, pairs: Sequence[tuple[str, str, str]]) -> tuple[Tokens, list[PairSpans]]:
        """(input, prompt, target) triples as one batch, and where each edit's tokens lie."""
        limit = self.max_length
        if self.numbers:
            pairs = [(compared(said, f"{prompt} {target}"), prompt, target) for said, prompt, target in pairs]
        coded = self.tokenizer.encode_batch([text for triple in pairs for text in triple], add_special_tokens=False)
        rows, spans = [], []
        for at in range(0, len(coded), 3):
            said, prompt, target = coded[at : at + 3]
            after = target.ids[: limit // 2]
            before = prompt.ids[: limit - len(after)]
            head = [self.cls, *_ends(said.ids, limit), self.sep]
            offsets = [(0, *prompt.offsets[i]) for i in range(len(before))] + [(-1, 0, 0)]
            offsets += [(1, *target.offsets[i]) for i in range(len(after))]
            rows.append(([*head, *before, self.sep, *after, self.sep], len(head)))
            spans.append(PairSpans(len(head), tuple(offsets)))
        return self._pad(rows), spans

    def _pad(self, rows: Sequence[tuple[list[int], int]]) -> Tokens:
        width = max((len(ids) for ids, _ in rows), default=0)
        ids = np.full((len(rows), width), self.pad, np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        types = np.zeros((len(rows), width), np.int64)
        for at, (row, second) in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
            if second:
                types[at, second : len(row)] = 1
        return Tokens(ids, mask, types)


def _ends(ids: list[int], limit: int) -> list[int]:
    """So many tokens at most: half of them from the beginning, half from the end."""
    return ids if len(ids) <= limit else [*ids[: limit - limit // 2], *ids[len(ids) - limit // 2 :]]
