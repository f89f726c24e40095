"""The experiments, in the order in which `all` runs them."""

from __future__ import annotations

from collections.abc import Mapping

from errata.errors import ConfigError
from errata.experiments.compare import EDITORS, EDITORS_BY_K, EDITORS_SINGLE
from errata.experiments.costs import TABLE_6
from errata.experiments.editing_costs import COSTS
from errata.experiments.experiment import Experiment
from errata.experiments.many_edits import FIGURE_3
from errata.experiments.order import ORDER
from errata.experiments.problem_tables import TABLE_3, TABLE_4, TABLE_5
from errata.experiments.reuse import REUSE
from errata.experiments.samples import SAMPLES
from errata.experiments.seprog_tables import ABLATIONS, SEPROG_TABLE
from errata.experiments.tuning import TUNING

EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one for one in (TABLE_3, TABLE_4, TABLE_5, FIGURE_3, REUSE, TABLE_6, ORDER, SAMPLES)
}

COMPARE: Mapping[str, Experiment] = {
    one.name: one for one in (TUNING, EDITORS, EDITORS_BY_K, EDITORS_SINGLE, SEPROG_TABLE, ABLATIONS, COSTS)
}
"""The comparisons of editors, which `compare` runs."""


def chosen(name: str) -> tuple[Experiment, ...]:
    """The experiments that a name means; "all" means all of SERAC's, "compare" all comparisons of editors.

    Raises:
        ConfigError: no such experiment.
    """
    if name == "all":
        return tuple(EXPERIMENTS.values())
    if name == "compare":
        return tuple(COMPARE.values())
    known = {**EXPERIMENTS, **COMPARE}
    if name not in known:
        raise ConfigError(f"experiment {name!r} is not known", key=name, accepted=(*known, "all", "compare"))
    return (known[name],)
