"""The experiments, in the order in which `all` runs them."""

from __future__ import annotations

from collections.abc import Mapping

from errata.errors import ConfigError
from errata.experiments.costs import TABLE_6
from errata.experiments.experiment import Experiment
from errata.experiments.many_edits import FIGURE_3
from errata.experiments.order import ORDER
from errata.experiments.problem_tables import TABLE_3, TABLE_4, TABLE_5
from errata.experiments.reuse import REUSE
from errata.experiments.samples import SAMPLES

EXPERIMENTS: Mapping[str, Experiment] = {
    one.name: one for one in (TABLE_3, TABLE_4, TABLE_5, FIGURE_3, REUSE, TABLE_6, ORDER, SAMPLES)
}


def chosen(name: str) -> tuple[Experiment, ...]:
    """The experiments that a name means; "all" means all of them.

    Raises:
        ConfigError: no such experiment.
    """
    if name == "all":
        return tuple(EXPERIMENTS.values())
    if name not in EXPERIMENTS:
        raise ConfigError(f"experiment {name!r} is not known", key=name, accepted=(*EXPERIMENTS, "all"))
    return (EXPERIMENTS[name],)
