"""SeProG's own network: from edit descriptors and what the base makes of an input to a prefix for the base.

An edit encoder gives a vector to each edit descriptor, cross-attention selects among them, one head tells whether the
input is in the scope of any, another writes the prefix (SeProG, section 3.2). Knows tokens and tensors, never a memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from errata.errors import ConfigError
from errata.models.backbone import MINILM, find_backbone
from errata.models.network import NetworkConfig, load_weights, new_network
from errata.models.prompted import Prompted, spelt
from errata.models.saving import resolve
from errata.models.text import Texts, Tokens

if TYPE_CHECKING:
    from torch import Tensor

VARIANTS = ("", "finetune", "no_classifier", "no_select")
READERS = ("base", "encoder")
LONGEST = 32
"""Most prefix embeddings (SeProG, appendix B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeprogSettings:
    """The network. The paper: t5-small, BERT-base or BART-base as edit encoder, 768 units, at most 32 embeddings."""

    backbone: str = MINILM
    """Pretrained encoder of the edit encoder: a folder or a hub id."""
    layers: int = 0
    """Layers of it that are kept; 0 keeps all."""
    rank: int = 16
    """LoRA rank on its linear layers; 0 trains none."""
    start: str = ""
    """A trained dual network that the edit encoder begins with ("dual", a folder or a hub id); "" begins anew."""
    max_length: int = 72
    """Tokens kept of an edit's prompt and target."""
    spells: int = 6
    """Tokens of an edit's target whose embeddings, the base's own, are put into its vector one by one; 0 for none."""
    width: int = 768
    """Units of every layer, and of an edit's vector."""
    prefix: int = 16
    """Embeddings that are put before the base's own, p; 32 at most."""
    reads: str = "base"
    """What an input is encoded by for the selection: the frozen "base" (the paper), or the edit "encoder"."""
    compares: bool = False
    """Whether the classifier is also shown the product of what is selected and what selects, unit by unit; the paper's
    is shown the two apart."""
    variant: str = ""
    """The paper's ablations: "finetune", "no_classifier" or "no_select"; "" is SeProG itself."""
    tuning_lr: float = 1e-4
    """Learning rate of the base's weights in the variant "finetune"."""

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ConfigError(f"variant {self.variant!r} is not known", key=self.variant, accepted=VARIANTS)
        if self.reads not in READERS:
            raise ConfigError(f"reads {self.reads!r} is not known", key=self.reads, accepted=READERS)
        if not 1 <= self.prefix <= LONGEST:
            raise ConfigError(f"prefix must be 1 to {LONGEST}, not {self.prefix}", key="prefix")
        if (
            self.width < 1
            or min(self.rank, self.layers, self.spells) < 0
            or self.max_length < 1
            or not self.tuning_lr > 0
        ):
            raise ConfigError(
                "width, max_length and tuning_lr must be above 0, rank, layers and spells 0 or more", key="width"
            )


def cross_attention(queries: Tensor, vectors: Tensor, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention over edit vectors, which are keys and values alike (SeProG, Equation 2).

    Args:
        queries: W_att b(x), shape (n, width).
        vectors: H_e, shape (k, width).
        allowed: which edits each input may attend to, shape (n, k); None is all.

    Returns:
        (what is selected, shape (n, width); the attention weights, shape (n, k)).
    """
    scores = queries @ vectors.T / vectors.shape[-1] ** 0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    weights = scores.softmax(-1)
    return weights @ vectors, weights


def even(rows: Tensor) -> Tensor:
    """Rows brought to mean 0 and deviation 1, so that one rate of learning serves whatever base and encoder."""
    import torch

    return torch.nn.functional.layer_norm(rows, rows.shape[-1:])


def new_prompter(base: Prompted, settings: SeprogSettings, *, fresh: bool = True) -> Any:
    """An untrained network for a base model: a torch module.

    Its `encode(edits)` gives vectors (k, width), `look(inputs)` what inputs are encoded by, and its forward takes these
    and gives the attention weights (n, k), the log-odds of being in scope (n,) and prefixes (n, p, d).

    Args:
        base: the base model, which stays as it is.
        settings: the network's.
        fresh: whether it is to be trained, and so begins with what `start` names.

    Raises:
        ModelError: the encoder cannot be read, or `start` does not fit.
    """
    import torch

    class Prompter(torch.nn.Module):
        """See `new_prompter`."""

        size: Tensor

        def __init__(self) -> None:
            super().__init__()
            width = settings.width
            config = NetworkConfig(
                backbone=settings.backbone, layers=settings.layers, rank=settings.rank, normalise=False
            )
            self.encoder = new_network(config)
            if fresh and settings.start:
                load_weights(self.encoder, resolve(settings.start))
            for unused in (self.encoder.scale, self.encoder.bias):  # the distance's
                unused.requires_grad_(False)
            self._texts = Texts(find_backbone(settings.backbone), max_length=settings.max_length)
            seen = self.encoder.width if settings.reads == "encoder" else base.vectors(["?"]).shape[1]
            vocabulary = base.embedding.weight
            spelt_size = settings.spells * vocabulary.shape[1]
            self.last = torch.nn.Linear(self.encoder.width + spelt_size, width)
            self.attend = torch.nn.Linear(seen, width, bias=False)
            if settings.reads == "encoder":  # one and the same space from the start
                self.attend.load_state_dict({"weight": self.last.weight[:, : self.encoder.width]})
            layers: list[Any] = []
            for wide in (width + seen + width * settings.compares, width):
                layers += [torch.nn.Linear(wide, width), torch.nn.ReLU()]
            self.scope = torch.nn.Sequential(*layers, torch.nn.Linear(width, 1))
            self.prompt = torch.nn.Sequential(
                torch.nn.Linear(width, width),
                torch.nn.ReLU(),
                torch.nn.Linear(width, settings.prefix * vocabulary.shape[1]),
            )
            self.register_buffer("size", vocabulary.detach().float().pow(2).mean().sqrt())

        def encode(self, edits: Sequence[tuple[str, str]]) -> Tensor:
            """E_edit(z_e) of each (prompt, target), shape (k, width) (Equation 1).

            A linear layer over the mean of the encoder's states and the base's embeddings of the target's first tokens.
            """
            parts = [even(self._run(self._texts.edits(edits)))]
            if settings.spells:
                said = spelt(base, [target for _, target in edits], settings.spells).flatten(1)
                parts.append(said.to(parts[0].device) / self.size)
            return even(self.last(torch.cat(parts, -1)))

        def look(self, inputs: Sequence[str]) -> Tensor:
            """b(x) of each input, shape (n, seen); without gradients where the base reads."""
            if settings.reads == "encoder":
                return self._run(self._texts.singles(inputs))
            return torch.from_numpy(base.vectors(inputs)).to(self.last.weight.device)

        def _run(self, tokens: Tokens) -> Tensor:
            """The mean of the encoder's last states, without padding."""
            place = self.last.weight.device
            parts = (torch.from_numpy(part).to(place) for part in (tokens.ids, tokens.mask, tokens.types))
            return self.encoder(*parts).float()  # type: ignore[no-any-return]

        def forward(
            self, vectors: Tensor, seen: Tensor, allowed: Tensor | None = None
        ) -> tuple[Tensor, Tensor, Tensor]:
            """Equations 2 to 4."""
            seen = even(seen)
            query = even(self.attend(seen))
            selected, weights = cross_attention(query, vectors, allowed)
            shown = [selected, seen, *([selected * query] if settings.compares else [])]
            odds = self.scope(torch.cat(shown, -1)).squeeze(-1)
            return weights, odds, self.written(selected)

        def written(self, selected: Tensor) -> Tensor:
            """The prefixes of what is selected, shape (n, p, d), as large as the base's own embeddings (Equation 4)."""
            rows: Tensor = self.prompt(selected).unflatten(-1, (settings.prefix, -1))
            return rows * self.size

    return Prompter().to(base.embedding.weight.device)
