"""The soak counts what it says it counts: lost edits, ghosts, wrong statuses; and a sound service has none."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from errata.cli import main
from errata.errors import ConfigError
from errata.experiments.crowd import Query
from errata.service import soak
from errata.service.app import Service
from errata.service.driving import DELAY, FAILED, Line, Timed, fake_upstream
from errata.service.soak import Soak, bench_soak, resident
from serving import Base, serving

ASKED = [("hit", "What is the capital of France?"), ("far", "Who painted the Night Watch?")]


def soaked(made: Service, url: str, *, rate: float = 40, seconds: float = 1.0, changes: float = 30) -> dict[str, Any]:
    _, secret = made.keys.make("soak", "editor")
    unknown = [Query(f"alpha{number} beta{number} gamma{number}", None) for number in range(30)]
    run = Soak(url, os.getpid(), secret, ASKED, unknown)
    return asyncio.run(run.run(rate, seconds, changes, lambda what, done, total: None))


def test_a_sound_service_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "IN_FORCE", 3)
    monkeypatch.setattr(soak, "GROWTH", 100.0)
    with serving(Base()) as (client, made):
        client.post(
            "/v1/edits", json={"prompt": ASKED[0][1], "target": "Lyon"}, headers=_admin(made)
        ).raise_for_status()
        told = soaked(made, str(client.base_url))
    assert told["passed"] and "first_error" not in told
    assert (told["requests"], told["fired_hit"], told["fired_far"]) == (40, 1.0, 0.0)
    assert told["added"] > 5 and told["retracted"] == told["added"] - 3
    assert told["ms_p99"] >= told["ms_p50"] > 0 and told["mb_end"] > 10


def test_edits_that_are_lost_or_do_not_go_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "IN_FORCE", 0)
    with serving(Base()) as (client, made):
        memory: Any = made.editor.memory
        monkeypatch.setattr(type(memory), "retract", lambda self, ids, *, terms=None: [self.get(id) for id in ids])
        told = soaked(made, str(client.base_url), rate=5)
    assert told["ghosts"] == told["retracted"] == told["added"] > 0
    assert told["lost"] == 0 and not told["passed"]
    with serving(Base()) as (client, made):
        real = made.editor.memory.add

        def forgetful(edits: Any, *given: Any, **named: Any) -> Any:
            done = real(edits, *given, **named)
            made.editor.memory.disable([edit.id for edit in edits])
            return done

        monkeypatch.setattr(made.editor.memory, "add", forgetful)
        told = soaked(made, str(client.base_url), rate=5)
    assert told["lost"] == told["added"] > 0 and not told["passed"]


def test_refusals_and_broken_answers_are_counted() -> None:
    base = Base(plan="fail")
    with serving(base) as (client, made):
        told = soaked(made, str(client.base_url), rate=10, seconds=0.5, changes=0.1)
        assert told["wrong_statuses"] >= 5 and told["errors"] == 0 and not told["passed"]
        base.plan = "cut"
        told = soaked(made, str(client.base_url), rate=10, seconds=0.5, changes=0.1)
        assert told["errors"] >= 5 and told["first_error"] and told["ms_p50"] is None


def test_the_client_reads_answers_whole_and_takes_a_break_for_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))

    async def ask(url: str, *streams: bool) -> list[Timed]:
        line = Line(url)
        try:
            return [await line.ask("a", stream=stream) for stream in streams]
        finally:
            line.close()

    with fake_upstream() as upstream:
        plain, streamed = asyncio.run(ask(upstream.url, False, True))
    assert plain.status == streamed.status == 200 and b"An answer." in plain.body
    assert DELAY <= streamed.first <= streamed.whole
    with serving(Base(plan="cut")) as (client, _), pytest.raises(FAILED):
        asyncio.run(ask(str(client.base_url), True))


def test_what_cannot_be_soaked_is_told() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        bench_soak(rate=0)
    with pytest.raises(ConfigError, match="on Linux"):
        resident(2**31)


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_verb_fails_where_the_soak_does(passed: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*, rate: float = 1.0, runtime: str = "auto") -> dict[str, Any]:
        return {"rate": rate, "passed": passed}

    monkeypatch.setattr(soak, "bench_soak", run)
    shown = CliRunner().invoke(main, ["bench", "soak", "--rate", "7", "--json"])
    assert (shown.exit_code, '"rate": 7.0' in shown.output) == (code, True), shown.output


def _admin(made: Service) -> dict[str, str]:
    _, secret = made.keys.make("admin", "admin")
    return {"x-errata-key": secret}
