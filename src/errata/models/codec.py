"""Turn prompts and targets into token ids for a transformers model, and check that they fit.

Knows the tokenizer, its chat template and the config's limits. It never pads, never runs the model, changes
neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from errata.edit import check_text
from errata.errors import EditError, MissingExtra, ModelError
from errata.models import MAX_PROMPT, Turn, check_prompts
from errata.models.pretrained import Kind, first_line

Ids = list[int]

_UNLIMITED = 10**9  # tokenizers without a limit of their own claim 10**30


class Codec:
    """Text to token ids for one model.

    Args:
        module: a transformers model, read for its config only.
        tokenizer: its Hugging Face tokenizer.
        kind: what the module is.
        name: how error messages call the model.
        chat: whether prompts go through the chat template; None means where there is one (causal only).
        template_options: further arguments of the chat template.

    Raises:
        ModelError: chat is wanted and there is no template.
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        kind: Kind,
        name: str,
        *,
        chat: bool | None = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._module, self._tokenizer, self._kind, self._name = module, tokenizer, kind, name
        template = kind == "causal" and bool(getattr(tokenizer, "chat_template", None))
        if chat and not template:
            raise ModelError(f"{name} has no chat template; leave chat out")
        self.chat = template if chat is None else chat
        self.template_options = dict(template_options or {})

    def texts(self, prompts: Sequence[str], system: str | None) -> list[str]:
        """What the tokenizer gets: each prompt after the system text, in the chat template if there is one.

        Raises:
            ModelError: the template failed (some refuse a system message).
        """
        if not self.chat:
            return [f"{system}\n\n{prompt}" if system else prompt for prompt in prompts]
        return self.talks([[Turn("user", prompt)] for prompt in prompts], system)

    def talks(self, talks: Sequence[Sequence[Turn]], system: str | None) -> list[str]:
        """What the tokenizer gets of conversations; the system text comes first where they have none of their own.

        Raises:
            ModelError: there is no chat template, or it failed (some refuse a system message).
        """
        if not self.chat:
            raise ModelError(f"{self._name} has no chat template, or it is switched off; it reads single prompts only")
        options = {**self.template_options, "tokenize": False, "add_generation_prompt": True}
        before = [Turn("system", system)] if system else []
        told = [[one._asdict() for one in (talk if talk[0].role == "system" else [*before, *talk])] for talk in talks]
        try:
            return [str(self._tokenizer.apply_chat_template(talk, **options)) for talk in told]
        except ImportError as error:
            raise MissingExtra("jinja2", "local") from error
        except Exception as error:  # a template is a program of the checkpoint's own and may raise anything
            raise ModelError(f"the chat template of {self._name} failed: {first_line(error)}") from error

    def _tokenize(self, texts: Sequence[str], *, special: bool, what: str = "text") -> list[Ids]:
        encoded = self._tokenizer(
            **{what: list(texts)}, add_special_tokens=special, padding=False, truncation=False, verbose=False
        )
        return [list(ids) for ids in encoded["input_ids"]]

    def prompt_ids(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of what `texts` gave, special tokens included.

        Raises:
            EditError: not a single token.
        """
        ids = self._tokenize(texts, special=not self.chat)
        if self._kind == "causal" and not self.chat:  # some tokenizers close every text; here it goes on
            ends = self.ends()
            ids = [row[:-1] if row and row[-1] in ends else row for row in ids]
        begin = self._tokenizer.bos_token_id
        for i, row in enumerate(ids):
            if not row and begin is None:
                raise EditError(f"prompt {i} has no token that {self._name} knows")
        return [row or [begin] for row in ids]

    def pair_ids(
        self, prompts: Sequence[str], targets: Sequence[str], system: str | None = None
    ) -> tuple[list[Ids], list[Ids]]:
        """Ids of prompts and of their targets, end of text included; a label's number for a classifier.

        Raises:
            EditError: not as many targets as prompts, one of them over-long, or a target that is not a label.
            ModelError: there is no end-of-text token.
        """
        prompts = check_prompts(prompts)
        if isinstance(targets, str) or len(targets) != len(prompts):
            raise EditError(f"give a list with one target for each of the {len(prompts)} prompts")
        for i, target in enumerate(targets):
            check_text(target, f"target {i}", empty=True, limit=MAX_PROMPT)
        if not prompts:
            return [], []
        texts = self.texts(prompts, system)
        prompt_ids = self.prompt_ids(texts)
        if self._kind == "classifier":
            self.check_room(prompt_ids, [0] * len(prompt_ids))
            return prompt_ids, [[self._label_id(target)] for target in targets]
        if self._kind == "seq2seq":
            target_ids = self._ended(self._tokenize(targets, special=True, what="text_target"))
        else:
            target_ids = self._ended(self._continuations(texts, prompt_ids, targets))
        self.check_room(prompt_ids, [len(row) for row in target_ids])
        return prompt_ids, target_ids

    def _continuations(self, texts: Sequence[str], prompt_ids: Sequence[Ids], targets: Sequence[str]) -> list[Ids]:
        """Ids of targets after their prompts: read together, or apart where a token would span the border."""
        pairs = list(zip(texts, targets, strict=True))
        glued = [self.chat or not target or text[-1].isspace() or target[0].isspace() for text, target in pairs]
        tails = [target if glue else f" {target}" for target, glue in zip(targets, glued, strict=True)]
        whole = self._tokenize([a + b for a, b in zip(texts, tails, strict=True)], special=not self.chat)
        alone = self._tokenize(tails, special=False)
        return [
            both[len(prompt) :] if both[: len(prompt)] == prompt else tail
            for both, prompt, tail in zip(whole, prompt_ids, alone, strict=True)
        ]

    def _ended(self, rows: Sequence[Ids]) -> list[Ids]:
        """Each target with its end-of-text token, which some tokenizers add themselves."""
        ends = self.ends()
        if not ends:
            raise ModelError(f"{self._name} has no end-of-text token, so a target's end cannot be scored")
        end = ends[0] if self._tokenizer.eos_token_id is None else int(self._tokenizer.eos_token_id)
        return [row if row and row[-1] == end else [*row, end] for row in rows]

    def ends(self) -> list[int]:
        """Every token that ends an answer, as generation config and tokenizer say."""
        told = getattr(getattr(self._module, "generation_config", None), "eos_token_id", None)
        given = [*(told if isinstance(told, list | tuple) else [told]), self._tokenizer.eos_token_id]
        return list(dict.fromkeys(int(end) for end in given if end is not None))

    def pad(self) -> int:
        """What fills up a batch; it is masked, so any token will do where the tokenizer has none for it."""
        pad = self._tokenizer.pad_token_id
        return int(pad) if pad is not None else next(iter(self.ends()), 0)

    def _label_id(self, label: str) -> int:
        labels = {str(name): int(i) for i, name in self._module.config.id2label.items()}
        if label not in labels:
            raise EditError(f"{label!r} is not a label of {self._name}; it has {', '.join(labels)}")
        return labels[label]

    def check_room(self, prompts: Sequence[Ids], answers: Sequence[int]) -> None:
        """Refuse what does not fit; a causal model's prompt and answer share its positions.

        Raises:
            EditError: says which one, how long it is and what the model takes.
        """
        positions = getattr(self._module.config.get_text_config(), "max_position_embeddings", None)
        known = [positions, getattr(self._tokenizer, "model_max_length", None)]
        limit = min([n for n in known if isinstance(n, int) and 0 < n < _UNLIMITED], default=_UNLIMITED)
        for i, (prompt, new) in enumerate(zip(prompts, answers, strict=True)):
            if self._kind == "causal" and len(prompt) + new > limit:
                raise EditError(
                    f"prompt {i} has {len(prompt):,} tokens and its answer up to {new:,};"
                    f" {self._name} takes {limit:,} together"
                )
            if len(prompt) > limit or (positions and new > positions):
                what, size = (f"prompt {i}", len(prompt)) if len(prompt) > limit else (f"answer {i}", new)
                raise EditError(f"{what} has {size:,} tokens; {self._name} takes {limit:,}")

    def decoder_start(self) -> int:
        """The token that starts an encoder-decoder's answers.

        Raises:
            ModelError: the checkpoint does not say.
        """
        config, generation = self._module.config, getattr(self._module, "generation_config", None)
        for holder, key in (
            (generation, "decoder_start_token_id"),
            (config, "decoder_start_token_id"),
            (config, "bos_token_id"),
        ):
            start = getattr(holder, key, None)
            if start is not None:
                return int(start)
        raise ModelError(f"{self._name} does not say which token starts its decoder (decoder_start_token_id)")
