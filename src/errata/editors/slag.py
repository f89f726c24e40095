"""SLAG: a learned optimiser that reads the edit and takes several steps (Hase et al., 2021, after De Cao et al., 2021).

A small bidirectional LSTM reads the prompt, the model's old answer and the new one, over the base's own input
embeddings. From what it read a network for each edited weight matrix makes two row vectors r, two column vectors c and
a gate g, which reshape the gradient of the edit's loss (the hyper-network of De Cao et al., as SLAG's released code
has it):

    dW = sigmoid(g) * (gradient * (softmax(r_a)^T c_a) + softmax(r_b)^T c_b),  W <- W - dW

The gradient is taken anew at the moved weights up to K times, until every edit is right. Edits made together move the
weights by the sum of their own dW: each has its own reading and its own gradient, and none sees another's but through
the weights it is taken at. Gradients stay in factors, a pair of vectors a token, so none is made for each edit apart.

Unlike there, the column vectors are told in units in which an untrained network takes plain gradient steps of a chosen
size (the released code's further factor of dW, which is 1, is left out), and only the feed-forward weights of the last
blocks change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from errata.editors.gradients import Rank, Ridged, factors, hold_partings, sides, watched
from errata.editors.learned import Learned, trained
from errata.editors.weights import Editable
from errata.errors import ConfigError
from errata.models import Model
from errata.models.weights import feed_forward, place

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class SlagSettings:
    """The network and its steps. The released code: K = 5, an LSTM of 128 each way, then 1,024 and 128 wide."""

    last: int = 2
    """Blocks of either stack whose feed-forward weights change; 0 is all (the released code: all, and attention's)."""
    steps: int = 5
    """Steps at most, K."""
    reader: int = 128
    """Width of the LSTM each way."""
    condition: int = 1024
    """Width of what it read."""
    hidden: int = 128
    """Width within each weight's network."""
    step: float = 0.01
    """Size of the gradient steps that training starts from."""
    drift: float = 1e-4
    """Unit of the other part of the update, b's: an entry of it is a fraction of this at first."""

    ridge: float = 0.0
    """Above 0, a layer's inputs are divided by their second moments, as MEND's are; 0 in the paper."""

    def __post_init__(self) -> None:
        if not self.ridge >= 0:
            raise ConfigError("ridge must be 0 or more", key="ridge")
        if self.last < 0 or min(self.steps, self.reader, self.condition, self.hidden) < 1:
            raise ConfigError("steps, reader, condition and hidden must be above 0, last 0 or more", key="steps")
        if not (self.step > 0 and self.drift > 0):
            raise ConfigError("step and drift must be above 0", key="step")


@dataclass(frozen=True, slots=True)
class Reshape:
    """What a weight's network makes of n edits, for a matrix of so many rows and columns.

    Args:
        rows_a: softmaxed, shape (n, rows).
        columns_a: shape (n, columns).
        rows_b: as rows_a.
        columns_b: as columns_a.
        gates: between 0 and 1, shape (n,).
    """

    rows_a: Tensor
    columns_a: Tensor
    rows_b: Tensor
    columns_b: Tensor
    gates: Tensor

    def update(self, left: Tensor, right: Tensor, edits: Tensor) -> Tensor:
        """The sum over edits of gate * (gradient * (rows_a^T columns_a) + rows_b^T columns_b), shape (rows, columns).

        An outer product times another, entry by entry, is that of the products, so no edit's own gradient is made.

        Args:
            left: the gradients' factors by rows, shape (tokens, rows).
            right: and by columns, shape (tokens, columns).
            edits: the edit that each token is of, shape (tokens,).
        """
        gates = self.gates[:, None]
        reshaped = (left * (gates * self.rows_a)[edits]).T @ (right * self.columns_a[edits])
        return reshaped + (gates * self.rows_b).T @ self.columns_b


def new_slag(model: Editable, settings: SlagSettings) -> Any:
    """An untrained network for a model's layers: a torch module whose updates are plain gradient steps, but for noise.

    Its `path(model, told)` gives the weights after each step, differentiable in the network's own but not through the
    gradients taken; `tensors` gives the last of them.
    """
    import torch
    from torch.nn.utils.parametrizations import weight_norm

    class Reader(torch.nn.Module):
        """A vector for each text, from both ends' last states."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(width, settings.reader, batch_first=True, bidirectional=True)
            self.out = torch.nn.Linear(2 * settings.reader, settings.condition)

        def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
            lengths = mask.sum(1).cpu()
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                embedded.float(), lengths, batch_first=True, enforce_sorted=False
            )
            _, (last, _) = self.lstm(packed)
            read: Tensor = self.out(torch.cat([last[0], last[1]], -1)).tanh()
            return read

    class Shaper(torch.nn.Module):
        """From what was read to how a weight matrix's gradient is reshaped."""

        def __init__(self, rows: int, columns: int) -> None:
            super().__init__()
            self.sizes = [rows, columns, rows, columns, 1]
            self.layers = torch.nn.Sequential(
                weight_norm(torch.nn.Linear(settings.condition, settings.hidden)),
                torch.nn.Tanh(),
                weight_norm(torch.nn.Linear(settings.hidden, sum(self.sizes))),
            )

        def forward(self, read: Tensor) -> Reshape:
            rows_a, columns_a, rows_b, columns_b, gates = self.layers(read).split(self.sizes, -1)
            unit = 2 * self.sizes[0]  # a softmax sums to 1, and a gate starts half open
            return Reshape(
                rows_a.softmax(-1),
                unit * settings.step * (1 + columns_a),
                rows_b.softmax(-1),
                unit * settings.drift * columns_b,
                gates.squeeze(-1).sigmoid(),
            )

    class Optimiser(Ridged, torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names, self.ridge = feed_forward(model.module, settings.last), settings.ridge
            self.reader = Reader(model.embedded(["a"])[0].shape[-1])
            self.shapers = torch.nn.ModuleList(Shaper(*model.module.get_parameter(name).shape) for name in self.names)
            if settings.ridge:
                hold_partings(self, model, self.names)

        def path(self, base: Editable, told: Sequence[tuple[str, str]], *, least: int = 0) -> list[dict[str, Tensor]]:
            """The weights after each step taken; none where every edit is right already and none is asked for.

            Args:
                base: the model as it is now.
                told: (prompt, answer) of every edit.
                least: steps taken even so.
            """
            read = self.reader(*base.embedded(conditions(base, told)))
            reshapes = {name: shaper(read) for name, shaper in zip(self.names, self.shapers, strict=True)}
            now = {name: base.module.get_parameter(name).detach() for name in self.names}
            taken: list[dict[str, Tensor]] = []
            while len(taken) < settings.steps:
                ranks, right = _slopes(base.through({name: value.detach() for name, value in now.items()}), told, now)
                if right and len(taken) >= least:
                    break
                for at, (name, rank) in enumerate(ranks.items()):
                    if settings.ridge:
                        rank = Rank(rank.inputs @ self.get_buffer(f"parting{at}"), rank.deltas, rank.edits)
                    layer = base.module.get_submodule(name.rpartition(".")[0])
                    now[name] = now[name] - reshapes[name].update(*sides(layer, rank), rank.edits)
                taken.append(dict(now))
            return taken

        def tensors(self, base: Editable, told: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
            """The weights after the last step, or as they are where none is taken."""
            own = {name: base.module.get_parameter(name) for name in self.names}
            return [own, *self.path(base, told)][-1]

        forward = path

    return Optimiser().to(place(model.module))


def conditions(model: Model, told: Sequence[tuple[str, str]]) -> list[str]:
    """What is read of each edit: the prompt, the model's answer as it is now, and the answer due."""
    before = model.generate([prompt for prompt, _ in told])
    return [f"{prompt} {old} -> {new}" for (prompt, new), old in zip(told, before, strict=True)]


def _slopes(
    model: Editable, told: Sequence[tuple[str, str]], names: Mapping[str, Any]
) -> tuple[Mapping[str, Rank], bool]:
    """The factors of each edit's own gradient, and whether every edit's likeliest tokens are its answer's."""
    import torch

    with torch.enable_grad(), watched(model, tuple(names)) as seen:
        rows = model.logits([prompt for prompt, _ in told], [answer for _, answer in told])
        right = all(bool((logits.argmax(-1) == ids).all()) for logits, ids in rows)
        loss = torch.stack([torch.nn.functional.cross_entropy(logits.float(), ids) for logits, ids in rows]).sum()
        return factors(loss, seen), right


class Slag(Learned):
    """SLAG with a trained network; see Learned."""

    name = "slag"
    settings: SlagSettings
    defaults = SlagSettings()
    new = staticmethod(new_slag)


def slag(model: Model, *, weights: str | Path = "", untold: str = "") -> Slag:
    """SLAG in front of the base model that its network was trained for.

    Args:
        model: the base model.
        weights: the folder that `errata train editor slag PROBLEM` left (`out/model`).
        untold: see WeightEditor.

    Raises:
        ConfigError: no folder is named.
        ModelError, UnsupportedModel: see `Learned.from_pretrained`.
    """
    found: Slag = trained(Slag, model, weights, untold)
    return found
