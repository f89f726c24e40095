"""Seq2SeqCounterfactual: SERAC's own counterfactual model h_psi, any encoder-decoder (T5, BART).

It reads the edit and the input as one text and writes the answer. It never asks the base model, with which it
shares neither tokenizer nor vocabulary, and never sees the memory or the scope classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from errata.counterfactual import SETTINGS, check_pairs, read_settings, write_settings
from errata.edit import Edit, Match
from errata.errors import ConfigError, EditError, ModelError, UnsupportedEdit, UnsupportedModel
from errata.models import Model
from errata.models.local import LocalModel
from errata.models.pretrained import first_line, torch_module

if TYPE_CHECKING:
    from torch import Tensor


class Seq2SeqCounterfactual:
    """Answers inputs under an edit by an encoder-decoder of its own (implements `OpenCounterfactual`).

    What it reads is prompt, target and input joined by `separator` (SERAC, section 3.1: "the concatenated
    edit example and new input"; the authors' code joins by a space). An empty target is left out.

    Args:
        module: a transformers encoder-decoder; training changes it, answering does not.
        tokenizer: its tokenizer.
        separator: what stands between the parts; saved with the weights.
        batch_size: inputs in one forward pass.
        max_new_tokens: most tokens an answer has.
        name: how logs and results call it.

    Raises:
        UnsupportedModel: the module is no encoder-decoder.
        ConfigError: an option's value is not accepted.
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        *,
        separator: str = " ",
        batch_size: int = 16,
        max_new_tokens: int = 32,
        name: str = "",
    ) -> None:
        if not getattr(module.config, "is_encoder_decoder", False):
            raise UnsupportedModel(f"{type(module).__name__} is no encoder-decoder; take a T5 or a BART")
        if not isinstance(separator, str) or not separator:
            raise ConfigError(f"separator must be text that is not empty, not {separator!r}", key="separator")
        self.separator = separator
        self.model = LocalModel(
            module, tokenizer, kind="seq2seq", batch_size=batch_size, max_new_tokens=max_new_tokens, name=name
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | PathLike[str],
        *,
        separator: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: Any = None,
        batch_size: int = 16,
        max_new_tokens: int = 32,
        name: str = "",
    ) -> Self:
        """Load one that was saved, or any encoder-decoder to train.

        Args:
            name_or_path: a folder or a hub id.
            separator: None takes the saved one, or a space.
            revision: branch, tag or commit on the hub.
            device: "auto", "cpu", "cuda:1" ...
            dtype: a torch dtype or its name; None keeps the checkpoint's.
            batch_size: as for the class.
            max_new_tokens: as for the class.
            name: as for the class.

        Raises:
            ModelError: nowhere to be found, damaged or no encoder-decoder.
            ConfigError: its settings file is another kind's, or a value is not accepted.
        """
        local = LocalModel.from_pretrained(
            name_or_path, kind="seq2seq", revision=revision, device=device, dtype=dtype, name=name
        )
        if separator is None:
            file = _settings_file(str(name_or_path), revision)
            separator = read_settings(file, "seq2seq", ["separator"]).get("separator", " ") if file else " "
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "max_new_tokens": max_new_tokens,
            "name": local.name,
        }
        return cls(local.module, local.tokenizer, separator=separator, **options)

    @property
    def tokenizer(self) -> Any:
        """The Hugging Face tokenizer."""
        return self.model.tokenizer

    @property
    def options(self) -> dict[str, Any]:
        """How it answers and is called; kept when an editor is saved."""
        return {"max_new_tokens": self.model.max_new_tokens, "name": self.model.name}

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Save weights, tokenizer and settings in `folder`.

        Raises:
            ModelError: a file cannot be written.
        """
        try:
            self.model.module.save_pretrained(folder)
            self.model.tokenizer.save_pretrained(folder)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"cannot save {self.model.name} in {str(folder)!r}: {first_line(error)}") from error
        write_settings(folder, "seq2seq", {"separator": self.separator})

    def push_to_hub(self, repo_id: str, *, private: bool = False, revision: str | None = None) -> str:
        """Upload what `save_pretrained` saves; returns the commit's URL.

        Raises:
            ModelError: the hub refused; says what to do.
        """
        from tempfile import TemporaryDirectory

        from huggingface_hub import HfApi

        try:
            with TemporaryDirectory() as folder:
                self.save_pretrained(folder)
                api = HfApi()
                api.create_repo(repo_id, private=private, exist_ok=True)
                return str(api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision))
        except ModelError:
            raise
        except Exception as error:  # offline, not logged in, malformed id and a score of other kinds
            raise ModelError(
                f"the hub did not take {repo_id!r}: {first_line(error)}. Log in with `hf auth login`; an"
                " id is user/name"
            ) from error

    def text(self, edit: Edit, text: str) -> str:
        """What the model reads: prompt, target (where there is one) and input, joined by the separator."""
        parts = [edit.prompt, edit.target, text] if edit.target.strip() else [edit.prompt, text]
        return self.separator.join(parts)

    def check(self, edit: Edit) -> None:
        """Accept any edit, with or without a target, that leaves room for an input.

        Raises:
            UnsupportedEdit: the edit alone is longer than the model takes.
        """
        try:
            self.model.target_ids([self.text(edit, "?")], [edit.target])
        except EditError as error:
            raise UnsupportedEdit(f"edit {edit.id} does not fit this counterfactual model: {error}") from error

    def respond(self, inputs: Sequence[str], matches: Sequence[Match], base: Model, **options: Any) -> list[str]:
        """One answer for each (input, match) pair, in order; the base model is not asked.

        Args:
            inputs: n texts.
            matches: n matches.
            base: not used.
            options: fields of `errata.models.Options`.

        Raises:
            EditError: not as many inputs as matches, or one is blank or, with its edit, too long.
            ModelError: out of memory, or the model failed.
        """
        return self.model.generate(self._texts(inputs, [match.edit for match in matches]), **options)

    def token_log_probs(
        self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        """Teacher-forced log p(. | edit, input): one array of shape (target tokens, vocabulary) a triple.

        Raises:
            EditError: the three are not equally many, or one is over-long.
            ModelError: out of memory, or the model failed.
        """
        return self.model.token_log_probs(self._texts(inputs, edits), targets)

    def target_log_probs(
        self, inputs: Sequence[str], edits: Sequence[Edit], targets: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        """Teacher-forced log-probability of each target token: one array of shape (target tokens,) a triple.

        Raises:
            EditError, ModelError: as `token_log_probs`.
        """
        return self.model.target_log_probs(self._texts(inputs, edits), targets)

    def log_likelihood_loss(
        self,
        inputs: Sequence[str],
        edits: Sequence[Edit],
        targets: Sequence[str],
        *,
        reduction: Literal["token", "example"] = "token",
    ) -> Tensor:
        """Loss to train with: -log p(y_in | z_e, x_in) (SERAC, Equation 3), a differentiable scalar.

        Args:
            inputs: n in-scope inputs.
            edits: n edits, one for each input.
            targets: n right answers.
            reduction: "token" averages over all target tokens, as the authors' code does; "example" sums over
                an answer's tokens and averages over the answers, as Equation 3 is written.

        Raises:
            EditError: the three are not equally many, empty, or one is over-long.
            ConfigError: an unknown reduction.
            ModelError: out of memory, or the model failed.
        """
        if reduction not in ("token", "example"):
            raise ConfigError(f"unknown reduction {reduction!r}", key=str(reduction), accepted=("token", "example"))
        texts = self._texts(inputs, edits)
        if not texts:
            raise EditError("a loss needs at least one example")
        torch = torch_module()
        rows, ids = zip(*self.model.logits(texts, targets), strict=True)
        total: Tensor = torch.nn.functional.cross_entropy(torch.cat(rows).float(), torch.cat(ids), reduction="sum")
        return total / (len(texts) if reduction == "example" else sum(len(row) for row in ids))

    def _texts(self, inputs: Sequence[str], edits: Sequence[Edit]) -> list[str]:
        return [self.text(edit, x) for edit, x in zip(edits, check_pairs(inputs, edits, "edits"), strict=True)]


def _settings_file(name_or_path: str, revision: str | None) -> Path | None:
    """The settings file of a folder or a hub id; None where there is none, as in a plain T5."""
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return folder / SETTINGS if (folder / SETTINGS).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name_or_path, SETTINGS, revision=revision))
    except (OSError, ValueError, EntryNotFoundError) as error:
        if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
            return None  # the hub was asked and has none; offline nobody knows
        raise ModelError(
            f"cannot tell which separator {name_or_path!r} was trained with: {first_line(error)}. Fetch it"
            f" with `hf download {name_or_path}`, or give separator= (a space for a plain T5 or BART)"
        ) from error
