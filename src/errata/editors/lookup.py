"""LU: cache look-up, the simplest memory there is (SERAC, section 5).

An input whose mean last hidden state lies within a radius of an edit's is answered with the edit's target, any other by
the base model. SERAC's own path with another scope classifier and another counterfactual model, and nothing trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from errata.counterfactual.verbatim import Verbatim
from errata.editors.serac import Serac
from errata.errors import ConfigError
from errata.models import Model
from errata.scope.hidden import HiddenScope, Seen, check_seen


def lookup(model: Model, *, radius: float | None = None, untold: str = "", **options: Any) -> Serac:
    """Cache look-up in front of a base model.

    Args:
        model: the base model; a local one, since its hidden states are compared.
        radius: Euclidean distance up to which an input is in an edit's scope; must be given, see `tune`.
        untold: the answer under an edit without a target; "" refuses such edits.
        options: as for Serac (memory, space, on_error).

    Raises:
        ConfigError: no radius is given.
        UnsupportedModel: the model shows no hidden states.
    """
    check_seen(model)
    if radius is None:
        raise ConfigError(f"no radius is known for {model.name}; tune one on dev data and give it", key="radius")
    return Serac(model, scope=HiddenScope(model, radius), counterfactual=Verbatim(untold), **options)  # type: ignore[arg-type]


def tune(model: Seen, inside: Sequence[tuple[str, str]], outside: Sequence[tuple[str, str]]) -> float:
    """The radius under which most of either side are on the right one.

    Args:
        model: the base model.
        inside: (input, edit prompt) with the input in the edit's scope.
        outside: the same with the input out of it.

    Raises:
        ConfigError: a side is empty.
    """
    if not inside or not outside:
        raise ConfigError("a radius is tuned on inputs of either side", key="radius")
    near, far = np.sort(_distances(model, inside)), np.sort(_distances(model, outside))
    tried = np.concatenate([near, far])
    tried = (np.sort(tried)[1:] + np.sort(tried)[:-1]) / 2
    right = (
        np.searchsorted(near, tried, side="right") / len(near)
        + 1
        - np.searchsorted(far, tried, side="right") / len(far)
    )
    best = np.flatnonzero(right >= right.max() - 1e-12)
    return float(tried[best[len(best) // 2]])


def _distances(model: Seen, pairs: Sequence[tuple[str, str]]) -> Any:
    left, right = (model.vectors([pair[side] for pair in pairs]) for side in (0, 1))
    return np.linalg.norm(left - right, axis=1)
