"""SLAG's objective: an edit and its rephrase must hold, and other answers stay, after every step of the optimiser.

The mean, by their weights, of the edits' own negative log-likelihood, that of an input in the scope of each, and the
divergence of the answers to inputs out of scope and to other edits' prompts from the base's (Hase et al., 2021),
added up over the steps. Every term is a mean over tokens, padding left out; all are asked in one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from errata.editors.weights import Editable
from errata.training.diets import Told

if TYPE_CHECKING:
    from torch import Tensor

    from errata.training.editing import SlagTraining, Trial

LIKELY = ("told", "edit")
"""Terms that are likelihoods; the others are divergences from the base."""


def slag_losses(network: Any, model: Editable, trial: Trial, settings: SlagTraining) -> Mapping[str, Tensor]:
    """The losses of one trial.

    Args:
        network: see `new_slag`.
        model: the base model.
        trial: its edits are made at once; one after another where the settings say so, and then each starts from the
            weights that the one before it left, no gradient flowing back through these.
        settings: the terms' weights.

    Returns:
        "loss", and of its terms "told", "edit", "kept" and "other" the means over the steps taken.
    """
    import torch

    pairs = list(zip(trial.told, trial.inside, strict=True))
    turns = [[pair] for pair in pairs] if settings.successive else [pairs]
    weights = {
        "told": settings.told_weight,
        "edit": settings.edit_weight,
        "kept": settings.kept_weight,
        "other": settings.other_weight,
    }
    asked = {"kept": trial.outside, "other": trial.others}
    with torch.no_grad():
        before = {name: _joined(model, told).log_softmax(-1) for name, told in asked.items() if told}
    now, found = model, []
    for turn in turns:
        asked = asked | {"told": [told for told, _ in turn], "edit": [inside for _, inside in turn]}
        used = {name: told for name, told in asked.items() if told and weights[name]}
        steps = network(now, asked["told"], least=1)
        found += [_terms(model.through(tensors), used, before) for tensors in steps]
        now = model.with_weights({name: value.detach() for name, value in steps[-1].items()})
    total = sum(weights[name] for name in found[0])
    losses = {name: torch.stack([terms[name] for terms in found]).sum() for name in found[0]}
    loss = torch.stack([weights[name] / total * value for name, value in losses.items()]).sum()
    return {"loss": loss} | {name: value / len(found) for name, value in losses.items()}


def _joined(model: Editable, asked: Told) -> Tensor:
    """The logits of all answers' tokens, one below the other."""
    import torch

    rows = model.logits([text for text, _ in asked], [answer for _, answer in asked])
    return torch.cat([logits for logits, _ in rows]).float()


def _terms(moved: Editable, asked: Mapping[str, Told], before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every term, all asked in one pass."""
    import torch

    every = [pair for told in asked.values() for pair in told]
    rows = iter(moved.logits([text for text, _ in every], [answer for _, answer in every]))
    terms = {}
    for name, told in asked.items():
        logits, ids = map(list, zip(*(next(rows) for _ in told), strict=True))
        if name in LIKELY:
            each = [torch.nn.functional.cross_entropy(row.float(), due) for row, due in zip(logits, ids, strict=True)]
            terms[name] = torch.stack(each).mean()
        else:
            after = torch.cat(logits).float().log_softmax(-1)
            terms[name] = torch.nn.functional.kl_div(after, before[name], reduction="batchmean", log_target=True)
    return terms
