"""LocalModel: a transformers model on this machine (encoder-decoder, causal or classifier) as a black box.

It pads and batches prompts, decodes greedily and gives teacher-forced likelihoods. It never changes module or
tokenizer, and never sees edits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from os import PathLike
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from errata.errors import ConfigError, ErrataError, ModelError
from errata.models import Options, Turn, check_prompts
from errata.models.codec import Codec, Ids
from errata.models.pretrained import (
    Kind,
    check_kind,
    detect_kind,
    first_line,
    load_pretrained,
    short_name,
    torch_module,
)
from errata.models.saving import Source
from errata.models.weights import Substituted, overlaid

if TYPE_CHECKING:
    from torch import Tensor

_PLAIN: Mapping[str, Any] = {  # whatever a checkpoint recommends: several of its settings count padding as text
    "num_beams": 1,
    "num_return_sequences": 1,
    "min_new_tokens": 0,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "return_dict_in_generate": False,
    "use_cache": True,
}
_locks: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_locks_guard = threading.Lock()


class LocalModel:
    """A model already loaded, as a base model (implements `errata.models.OpenModel`).

    Args:
        module: a transformers model; never changed, moved or copied.
        tokenizer: its tokenizer; never changed.
        kind: what the module is; read from its class and config when None.
        name: how logs and results call it; the checkpoint's own name when empty.
        batch_size: prompts in one forward pass.
        max_new_tokens: most tokens an answer has.
        system: instruction put before every prompt.
        chat: whether the tokenizer's chat template is used; None means where it has one (causal only).
        template_options: further arguments of the chat template, such as {"enable_thinking": False}.

    Raises:
        ConfigError: an option's value is not accepted.
        ModelError: the kind cannot be told, or chat is wanted and there is no template.
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        *,
        kind: Kind | None = None,
        name: str = "",
        batch_size: int = 16,
        max_new_tokens: int = 32,
        system: str | None = None,
        chat: bool | None = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(f"batch_size must be a whole number above 0, not {batch_size!r}", key="batch_size")
        self._module, self._tokenizer = module, tokenizer
        self.kind: Kind = check_kind(kind) or detect_kind(module.config, type(module).__name__)
        self._name = name or short_name(getattr(module.config, "_name_or_path", "")) or type(module).__name__
        self.batch_size = batch_size
        self.source: Source | None = None
        self._options = Options(max_new_tokens=max_new_tokens, system=system)
        self._max_new_tokens = max_new_tokens
        self._codec = Codec(module, tokenizer, self.kind, self._name, chat=chat, template_options=template_options)
        with _locks_guard:
            self._lock = _locks.setdefault(module, threading.RLock())

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | PathLike[str],
        *,
        kind: Kind | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: Any = None,
        name: str = "",
        batch_size: int = 16,
        max_new_tokens: int = 32,
        system: str | None = None,
        chat: bool | None = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Load a model from a folder, the Hugging Face cache or the hub.

        Args:
            name_or_path: a folder or a hub id.
            kind: which head to load; read from the checkpoint's config when None.
            revision: branch, tag or commit on the hub.
            device: "auto" (a GPU where there is one), "cpu", "cuda:1" ...
            dtype: a torch dtype or its name; None keeps the checkpoint's.
            name: as for the class, like all that follow.
            batch_size: prompts in one forward pass.
            max_new_tokens: most tokens an answer has.
            system: instruction put before every prompt.
            chat: whether the chat template is used.
            template_options: further arguments of the chat template.

        Raises:
            ModelError: nowhere to be found, damaged, without weights for this kind, or no such device.
            ConfigError: an unknown kind, device or dtype.
            MissingExtra: torch or transformers is not installed.
        """
        module, tokenizer, found = load_pretrained(
            name_or_path, kind=check_kind(kind), revision=revision, device=device, dtype=dtype
        )
        model = cls(
            module,
            tokenizer,
            kind=found,
            name=name or short_name(str(name_or_path)),
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            system=system,
            chat=chat,
            template_options=template_options,
        )
        model.source = Source.of(
            str(name_or_path), kind=kind, revision=revision, dtype=dtype, name=name, max_new_tokens=max_new_tokens,
            system=system, chat=chat, template_options=template_options and dict(template_options),
        )  # fmt: skip
        return model

    def with_weights(self, changed: Mapping[str, Tensor]) -> Self:
        """This model with some weights changed; all others are shared, and this one stays as it is.

        Args:
            changed: new values by the module's parameter names.

        Raises:
            ConfigError: there is no such parameter, or it has another shape.
        """
        return self._running(overlaid(self._module, changed))

    def through(self, tensors: Mapping[str, Tensor]) -> Self:
        """This model run with tensors in the place of some weights, so that the gradients of `logits` reach them."""
        return self._running(Substituted(self._module, tensors))

    def _running(self, module: Any) -> Self:
        """This model with another module."""
        return type(self)(
            module,
            self._tokenizer,
            kind=self.kind,
            name=self._name,
            batch_size=self.batch_size,
            max_new_tokens=self._max_new_tokens,
            system=self._options.system,
            chat=self._codec.chat,
            template_options=self._codec.template_options,
        )

    @property
    def name(self) -> str:
        """How logs and results call it."""
        return self._name

    @property
    def module(self) -> Any:
        """The torch module."""
        return self._module

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        return self._tokenizer

    @property
    def chat(self) -> bool:
        """Whether prompts go through the tokenizer's chat template."""
        return self._codec.chat

    @property
    def max_new_tokens(self) -> int:
        """Most tokens an answer has, unless `generate` is told otherwise."""
        return self._max_new_tokens

    def __repr__(self) -> str:
        return f"LocalModel({self._name!r}, kind={self.kind!r})"

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Greedy continuation, reply or label name for each prompt, in order; only the new text.

        Padding is masked, so an answer does not depend on its batch mates (beyond rounding). Sampling
        (temperature above 0) takes one prompt at a time from `seed` (0 when None); the process's random state
        stays as it was.

        Args:
            prompts: any number of texts.
            options: fields of `errata.models.Options`.

        Raises:
            EditError: a prompt is blank, not text, or longer than the model takes (never cut in silence).
            ConfigError: an unknown option.
            ModelError: out of memory, or the model failed.
        """
        texts, wish = check_prompts(prompts), self._options.updated(options)
        if not texts:
            return []
        with self._lock, self._named_errors():
            return self._answers(self._codec.prompt_ids(self._codec.texts(texts, wish.system)), wish)

    def reply(self, talks: Sequence[Sequence[Turn]], **options: Any) -> list[str]:
        """The next turn of each conversation, in order, through the chat template; else as `generate`.

        Args:
            talks: conversations, each oldest turn first; a system turn, if there is one, stands in the place of the
                option `system`.
            options: fields of `errata.models.Options`.

        Raises:
            EditError: a conversation is empty, its last turn is blank, or it is longer than the model takes.
            ConfigError: an unknown option.
            ModelError: there is no chat template, it failed (some refuse a system turn), or the model did.
        """
        check_prompts([talk[-1].content if talk else "" for talk in talks], "the last turn of conversation")
        wish = self._options.updated(options)
        if not talks:
            return []
        with self._lock, self._named_errors():
            return self._answers(self._codec.prompt_ids(self._codec.talks(talks, wish.system)), wish)

    def _answers(self, ids: list[Ids], wish: Options, begins: Sequence[Ids] = ()) -> list[str]:
        """Answers to prompts of these ids; what an encoder-decoder's decoder reads first, see `_forward`."""
        new = 0 if self.kind == "classifier" else (wish.max_new_tokens or self._max_new_tokens)
        self._codec.check_room(ids, [new + len(begins[0] if begins else ())] * len(ids))
        lengths = [len(row) for row in ids]
        if self.kind == "classifier":
            return self._batched(lengths, lambda batch: self._labels([ids[i] for i in batch]))
        size = 1 if wish.temperature else self.batch_size
        return self._batched(
            lengths,
            lambda batch: self._decode([ids[i] for i in batch], wish, [begins[i] for i in batch] if begins else ()),
            size,
        )

    def token_log_probs(self, prompts: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.float32]]:
        """Teacher-forced log-probabilities of the whole vocabulary at every target token, end included.

        Returns:
            One float32 array of shape (target tokens, vocabulary) a pair; (1, labels) for a classifier.
            That is 4 bytes x tokens x vocabulary: ask for some hundreds at a time, or for `target_log_probs`.

        Raises:
            EditError: not as many targets as prompts, one of them over-long, or a target that is not a label.
            ModelError: out of memory, or the model failed.
        """
        return self._scored(prompts, targets, lambda scores, ids: scores)

    def target_log_probs(self, prompts: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.float32]]:
        """Teacher-forced log-probability of each target token: an array of shape (target tokens,) a pair.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        return self._scored(prompts, targets, lambda scores, ids: scores[range(len(ids)), ids])

    def target_matches(self, prompts: Sequence[str], targets: Sequence[str]) -> list[NDArray[np.bool_]]:
        """Teacher-forced, whether the likeliest token is the target's: an array of shape (target tokens,) a pair.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        found = self._scored(prompts, targets, lambda scores, ids: scores.argmax(-1) == np.array(ids))
        return [np.asarray(row, np.bool_) for row in found]

    def target_ids(self, prompts: Sequence[str], targets: Sequence[str]) -> list[Ids]:
        """Token ids of each target as it follows its prompt, end included: the rows of `token_log_probs`.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        return self._codec.pair_ids(prompts, targets, self._options.system)[1]

    def vectors(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of the last hidden state over each prompt's tokens, padding aside; shape (n, width).

        An encoder-decoder's is its encoder's. A row does not depend on its batch mates (beyond rounding).

        Raises:
            EditError: a prompt is blank, not text, or longer than the model takes.
            ModelError: out of memory, or the model failed.
        """
        texts = check_prompts(prompts)
        with self._lock, self._named_errors():
            ids = self._codec.prompt_ids(self._codec.texts(texts, self._options.system))
            self._codec.check_room(ids, [0] * len(ids))
            rows = self._batched([len(row) for row in ids], lambda batch: self._means([ids[i] for i in batch]))
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def _means(self, prompts: list[Ids]) -> list[NDArray[np.float32]]:
        ids, mask = self._padded(prompts)
        if self.kind == "seq2seq":
            hidden = self._module.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        else:
            hidden = self._module(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        weights = mask[:, :, None].to(hidden.dtype)
        return list(((hidden * weights).sum(1) / weights.sum(1)).float().cpu().numpy())

    def logits(self, prompts: Sequence[str], targets: Sequence[str]) -> list[tuple[Tensor, Tensor]]:
        """One differentiable teacher-forced pass, for training; mode and gradients are the caller's.

        Returns:
            (logits of shape (target tokens, vocabulary), token ids of shape (target tokens,)) for each pair.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        with self._named_errors():
            prompt_ids, target_ids = self._codec.pair_ids(prompts, targets, self._options.system)
            rows = self._forward(prompt_ids, target_ids) if prompt_ids else []
            return [(row, self._tensor(ids)) for row, ids in zip(rows, target_ids, strict=True)]

    def embedded(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The texts' tokens as the model's own input embeddings, no gradient; of any length, as nothing is run.

        Returns:
            Embeddings (n, t, width), and the mask (n, t), 1 where there is text and 0 where there is padding.

        Raises:
            EditError: a text is blank or not text.
        """
        with self._named_errors(), torch_module().no_grad():
            ids, mask = self._padded(self._codec.prompt_ids(check_prompts(texts, "text")))
            return self._module.get_input_embeddings()(ids), mask

    def _batched(
        self, lengths: Sequence[int], run: Callable[[list[int]], list[Any]], size: int | None = None
    ) -> list[Any]:
        """Run batches of like length, longest first (out of memory shows at once); results in order."""
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        results: dict[int, Any] = {}
        for start in range(0, len(order), size or self.batch_size):
            batch = order[start : start + (size or self.batch_size)]
            with _frozen(self._module):
                results.update(zip(batch, run(batch), strict=True))
        return [results[i] for i in range(len(lengths))]

    def _tensor(self, ids: Sequence[Any]) -> Tensor:
        tensor: Tensor = torch_module().tensor(ids, device=next(self._module.parameters()).device)
        return tensor

    def _padded(self, rows: Sequence[Ids], *, left: bool = False) -> tuple[Tensor, Tensor]:
        """Ids and attention mask, both of shape (rows, longest)."""
        pad, width = self._codec.pad(), max(len(row) for row in rows)

        def fill(row: Sequence[int], filler: int) -> Ids:
            gap = [filler] * (width - len(row))
            return [*gap, *row] if left else [*row, *gap]

        return self._tensor([fill(row, pad) for row in rows]), self._tensor([fill([1] * len(r), 0) for r in rows])

    def _decode(self, prompts: list[Ids], wish: Options, begins: Sequence[Ids] = ()) -> list[str]:
        """Answers of one batch; a causal model goes on at the right end, so it is padded on the left."""
        from transformers import GenerationConfig

        ids, mask = self._padded(prompts, left=self.kind == "causal")
        ends = self._codec.ends()
        settings = dict(_PLAIN, eos_token_id=ends or None, pad_token_id=self._codec.pad())
        settings["max_new_tokens"] = wish.max_new_tokens or self._max_new_tokens
        settings["do_sample"] = bool(wish.temperature)
        if wish.temperature:
            settings.update(temperature=float(wish.temperature), top_p=wish.top_p, top_k=0)
        begun: dict[str, Tensor] = {}
        if begins:  # told that its answers start with the first of them, it puts nothing before
            settings["decoder_start_token_id"] = begins[0][0]
            begun["decoder_input_ids"] = self._tensor([[*begin, self._codec.decoder_start()] for begin in begins])
        how = GenerationConfig(**settings)
        with _seeded(wish.seed or 0) if wish.temperature else nullcontext():
            out = self._module.generate(input_ids=ids, attention_mask=mask, generation_config=how, **begun)
        first = 1 + len(begins[0] if begins else ())  # an encoder-decoder's first token only starts it
        skip = ids.shape[1] if self.kind == "causal" else first
        rows = [list(takewhile(lambda token: token not in ends, row)) for row in out[:, skip:].tolist()]
        return [wish.cut(self._tokenizer.decode(row, skip_special_tokens=True)) for row in rows]

    def _labels(self, prompts: list[Ids]) -> list[str]:
        best = [int(row[0].argmax()) for row in self._forward(prompts, [[0]] * len(prompts))]
        return [str(self._module.config.id2label[i]) for i in best]

    def _scored(
        self, prompts: Sequence[str], targets: Sequence[str], pick: Callable[[NDArray[np.float32], Ids], Any]
    ) -> list[NDArray[np.float32]]:
        def run(batch: list[int]) -> list[Any]:
            rows = self._forward([prompt_ids[i] for i in batch], [target_ids[i] for i in batch])
            scores = [row.float().log_softmax(-1).cpu().numpy() for row in rows]
            return [pick(score, target_ids[i]) for i, score in zip(batch, scores, strict=True)]

        with self._lock, self._named_errors():
            prompt_ids, target_ids = self._codec.pair_ids(prompts, targets, self._options.system)
            return self._batched([len(a) + len(b) for a, b in zip(prompt_ids, target_ids, strict=True)], run)

    def _forward(self, prompts: list[Ids], targets: list[Ids], begins: Sequence[Ids] = ()) -> list[Tensor]:
        """Teacher-forced logits of one batch, each (target tokens, vocabulary); row t predicts token t.

        An encoder-decoder's decoder reads `begins`, of one length, before the token that starts its answer.
        """
        pairs = list(zip(prompts, targets, strict=True))
        if self.kind == "classifier":
            return self._class_logits(prompts)
        if self.kind == "causal":  # the token before a target token predicts it
            ids, mask = self._padded([prompt + target[:-1] for prompt, target in pairs])
            logits = self._module(input_ids=ids, attention_mask=mask, use_cache=False).logits
            return [row[len(p) - 1 : len(p) - 1 + len(t)] for row, (p, t) in zip(logits, pairs, strict=True)]
        ids, mask = self._padded(prompts)
        first, start = begins or [[] for _ in targets], self._codec.decoder_start()
        decoder_ids, decoder_mask = self._padded(
            [[*begin, start, *target[:-1]] for begin, target in zip(first, targets, strict=True)]
        )
        logits = self._module(
            input_ids=ids,
            attention_mask=mask,
            decoder_input_ids=decoder_ids,
            decoder_attention_mask=decoder_mask,
            use_cache=False,
        ).logits
        skip = len(first[0])
        return [row[skip : skip + len(target)] for row, target in zip(logits, targets, strict=True)]

    def _class_logits(self, prompts: list[Ids]) -> list[Tensor]:
        """Label logits, each (1, labels); without a pad id a model may not find where a padded row ends."""
        singly = getattr(self._module.config, "pad_token_id", None) is None
        batches = [[prompt] for prompt in prompts] if singly else [prompts]
        outputs = [self._module(input_ids=ids, attention_mask=mask).logits for ids, mask in map(self._padded, batches)]
        return [row[None] for logits in outputs for row in logits]

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Give torch's failures a name of ours."""
        try:
            yield
        except ErrataError:
            raise
        except (RuntimeError, MemoryError, IndexError, ValueError, TypeError) as error:
            if isinstance(error, MemoryError | torch_module().OutOfMemoryError) or "can't allocate memory" in str(
                error
            ):
                raise ModelError(f"{self._name} is out of memory; lower batch_size (now {self.batch_size})") from error
            raise ModelError(f"{self._name} failed: {first_line(error)}") from error


@contextmanager
def _frozen(module: Any) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule gets its own mode back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch_module().no_grad():
            yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers from `seed`; the process's own random state is put back."""
    torch = torch_module()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
