"""The figures that SERAC's paper tells (Mitchell et al., 2022), as far as our tables stand beside them.

Figure 3 and the reuse of editors are told there as a plot and in words; where the paper has no number, there is none
here.
"""

from __future__ import annotations

from collections.abc import Mapping

TABLE3: Mapping[str, tuple[float, float]] = {
    "qa": (0.986, 0.009),
    "qa_hard": (0.913, 0.028),
    "fact_check": (0.877, 0.051),
    "sentiment": (0.991, 0.0),
}
"""ES and DD of SERAC by problem (Table 3)."""

EDITORS3: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "qa": {
        "ft": (0.572, 0.054),
        "lookup": (0.944, 0.051),
        "mend": (0.823, 0.187),
        "enn": (0.786, 0.354),
        "retrieve_prompt": (0.487, 0.030),
        "serac": TABLE3["qa"],
    },
    "qa_hard": {
        "ft": (0.321, 0.109),
        "lookup": (0.515, 0.132),
        "mend": (0.478, 0.255),
        "enn": (0.509, 0.453),
        "retrieve_prompt": (0.278, 0.027),
        "serac": TABLE3["qa_hard"],
    },
    "fact_check": {
        "ft": (0.601, 0.002),
        "lookup": (0.565, 0.010),
        "mend": (0.598, 0.021),
        "enn": (0.594, 0.042),
        "retrieve_prompt": (0.627, 0.010),
        "serac": TABLE3["fact_check"],
    },
    "sentiment": {
        "mend": (0.494, 2.149),
        "enn": (0.502, 3.546),
        "retrieve_prompt": (0.506, 0.0),
        "serac": TABLE3["sentiment"],
    },
}
"""ES and DD of every editor by problem (Table 3)."""

TABLE4: Mapping[tuple[str, str, bool], tuple[float | None, float | None]] = {
    ("qa_hard", "in", False): (0.985, 0.996),
    ("qa_hard", "in", True): (0.855, 0.987),
    ("qa_hard", "out", False): (0.996, 0.123),
    ("qa_hard", "out", True): (0.967, 0.042),
    ("fact_check", "in", False): (0.909, 0.875),
    ("fact_check", "out", False): (0.993, None),
    ("fact_check", "out", True): (0.706, None),
}
"""Accuracy of scope classifier and counterfactual model by problem, side and hard (Table 4; FC's in-scope inputs are
pooled there, and stand as hard ones in its table)."""

TABLE5: Mapping[tuple[str, str, str], tuple[float, float]] = {
    ("qa_hard", "Embed", "small"): (0.921, 0.029),
    ("qa_hard", "Cross", "small"): (0.983, 0.009),
    ("qa_hard", "Embed", "large"): (0.945, 0.034),
    ("qa_hard", "Cross", "large"): (0.983, 0.007),
    ("fact_check", "Embed", "small"): (0.792, 0.247),
    ("fact_check", "Cross", "small"): (0.831, 0.074),
    ("fact_check", "Embed", "large"): (0.792, 0.247),
    ("fact_check", "Cross", "large"): (0.855, 0.0964),
}
"""ES and DD by problem, kind of scope classifier and size: DistilBERT (small) and BERT-base (large) (Table 5)."""

TABLE6: Mapping[str, tuple[float, float]] = {"base": (87.0, 2.96), "out": (92.0, 3.47), "in": (31.0, 3.46)}
"""Milliseconds and GB of one forward pass on QA, T5-large and T5-small on a GPU, after 10 edits (Table 6)."""
