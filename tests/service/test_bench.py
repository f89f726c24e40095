"""`errata bench proxy` asks straight and through the service in turns, and tells what the service added."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from errata.errors import ConfigError, ModelError
from errata.service.bench import _added, _measured, bench_proxy
from errata.service.driving import Timed
from serving import Base, running, serving

ASKED = [(kind, f"{kind} question number {number}?") for number in range(20) for kind in ("hit", "near", "far")]


def measured(straight: str, served: str, requests: int = 12) -> dict[str, Any]:
    return asyncio.run(_measured(straight, served, ASKED, requests, 3, 0.5, lambda what, done, total: None))


def test_every_text_is_asked_of_both_and_none_twice_by_one_client() -> None:
    base = Base()
    with serving(base) as (client, _), running(base.app) as straight:
        told = measured(straight, str(client.base_url).rstrip("/"))
    one_by_one = [body for _, _, _, body in base.seen[: 2 * (20 + 12 + 12)]]
    assert all(a.split(b"messages")[1] == b.split(b"messages")[1] for a, b in zip(*[iter(one_by_one)] * 2, strict=True))
    asked = {body.split(b"messages")[1] for body in one_by_one}
    assert len(asked) == 20 + 12 + 12
    assert told["errors"] == 0 and told["clients"] == 3 and told["requests_per_second"] > 1
    for kind in ("out", "near", "far", "hit"):
        for what in ("whole", "stream_first", "stream_whole"):
            assert {f"{what}_{kind}_added_ms_p50", f"{what}_{kind}_added_ms_p99"} <= set(told)
    assert (told["out"], told["out_fired"], told["stream_out_fired"]) == (8, 0, 0)
    assert told["whole_relayed_added_ms_p50"] == told["whole_out_added_ms_p50"]


def test_what_was_relayed_is_told_apart() -> None:
    asked = Timed(0.02, 0.02, 200)
    answers = [Timed(0.03, 0.03, 200), Timed(0.03, 0.03, 200), Timed(0.09, 0.09, 200, {"x-errata-edit": "e"})]
    told = _added([("near", asked, one) for one in answers] + [("hit", asked, answers[2])] * 2, "")
    assert (told["out"], told["out_fired"]) == (3, 1)
    assert told["whole_relayed_added_ms_p99"] == 10 and told["whole_near_added_ms_p99"] > 60
    assert told["whole_hit_added_ms_p50"] == 70


def test_a_failure_is_no_measurement() -> None:
    with (
        serving(Base(plan="fail")) as (client, _),
        running(Base().app) as straight,
        pytest.raises(ModelError, match="a request failed"),
    ):
        measured(straight, str(client.base_url).rstrip("/"))


def test_too_few_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="10 requests"):
        bench_proxy(requests=5)
