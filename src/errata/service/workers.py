"""Several processes that serve one address: each is the whole service, and one that dies is started again.

What they share lies in the memory and the ledger, and for as long as they run in a folder of their own: metrics, and
who sent how much within the minute.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
from collections.abc import Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI

from errata.service.app import make_service, untold
from errata.service.counts import SHARED
from errata.service.settings import Settings, load_settings
from errata.service.telemetry import log_to_stderr

GIVEN = "ERRATA_SERVE"
"""Environment variable that tells a worker which file and options its settings come from, as JSON."""
METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that tells prometheus_client, when it is first imported, where processes keep their numbers."""
DRAIN = 30
"""Seconds that streams in progress have to end."""
HEALTH = 60
"""Seconds after which a worker that does not answer its parent is replaced."""


def serve(settings: Settings, bound: socket.socket, app: FastAPI) -> None:
    """One process that serves until it is told to end."""
    uvicorn.Server(_config(settings, app)).run(sockets=[bound])


def serve_many(settings: Settings, bound: socket.socket, config: str | None, given: Mapping[str, Any]) -> None:
    """So many processes as the settings say, until they are told to end.

    Args:
        settings: the service's.
        bound: what all of them listen on.
        config: the settings' file; None as for `load_settings`.
        given: what overrules it.
    """
    os.environ[GIVEN] = json.dumps([config, given])
    told = _config(settings, f"{__name__}:made", factory=True, workers=settings.listen.workers,
                   timeout_worker_healthcheck=HEALTH)  # fmt: skip
    bound.listen(told.backlog)
    with tempfile.TemporaryDirectory(prefix="errata-") as shared:
        os.environ |= {SHARED: shared, METRICS: shared}
        uvicorn.supervisors.Multiprocess(told, sockets=[bound]).run()


def made() -> FastAPI:
    """A worker's application."""
    config, given = json.loads(os.environ[GIVEN])
    settings = load_settings(config, **given)
    logs(settings)
    return make_service(settings).app


def logs(settings: Settings) -> None:
    """Where a process's log goes."""
    log_to_stderr(settings.telemetry.log_format)
    logging.getLogger("uvicorn.error").addFilter(untold)


def _config(settings: Settings, app: FastAPI | str, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, host=settings.listen.host, port=settings.listen.port, log_level="warning", access_log=False,
        server_header=False, date_header=False, timeout_graceful_shutdown=DRAIN,
        timeout_keep_alive=75,  # longer than the 60 s of usual gateways, which else use what we just closed
        **more,
    )  # fmt: skip
