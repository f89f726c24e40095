"""`errata serve` tells where the console is, and signs in who sits at the machine."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner

from errata.cli import main
from errata.service import app
from errata.service.app import Service, untold
from errata.service.upstream import Cut
from serving import service


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_link_signs_in_on_a_loopback_address_only(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Service] = []

    def fake(settings: Any) -> Service:
        made.append(service())
        return made[-1]

    def run(server: uvicorn.Server, sockets: Any) -> None:
        for one in sockets:
            one.close()

    monkeypatch.setattr(app, "make_service", fake)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    shown = CliRunner().invoke(main, ["serve", "--host", host, "--port", "0"])
    assert shown.exit_code == 0, shown.output
    found = re.search(rf"console: http://{re.escape(host)}:\d+/console(?:/\?token=(\S+))?", shown.output)
    assert found
    if host == "0.0.0.0":
        assert found[1] is None and made[0].ledger.rows("SELECT * FROM links") == []
    else:
        assert made[0].sessions.follow(found[1]) is not None


def test_a_cut_answer_is_not_told_twice() -> None:
    for error, new in ((Cut("the upstream's answer broke off"), False), (ValueError("a bug"), True)):
        info = (type(error), error, None)
        assert untold(logging.LogRecord("uvicorn.error", logging.ERROR, "x.py", 1, "it failed", (), info)) is new
