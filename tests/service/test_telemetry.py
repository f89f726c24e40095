"""Metrics count what became of requests; logs are JSON; a stop lets streams end."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

from errata.service.telemetry import Lines
from serving import Base, free_port, key, running, serving, value

IN = "What is the capital of France?"


def test_metrics_count_hits_misses_and_errors() -> None:
    with serving(Base(plan="slow"), upstream={"read_seconds": 0.2}) as (client, made):
        client.post("/v1/edits", json={"prompt": IN, "target": "Lyon"}, headers=key(made))
        for text in (IN, IN, "Who painted it all?"):
            client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
        told = client.get("/metrics").text
    assert value(told, 'errata_requests_total{api="chat",outcome="hit"}') == 2
    assert value(told, 'errata_requests_total{api="chat",outcome="miss"}') == 1
    assert value(told, 'errata_errors_total{kind="UpstreamError"}') == 1
    assert value(told, 'errata_decision_seconds_count{api="chat"}') == 3
    assert value(told, 'errata_edits{space="default",state="in force"}') == 1


def test_health_tells_whether_the_memory_can_be_read() -> None:
    with serving() as (client, made):
        assert client.get("/health/live").json()["status"] == "live"
        assert client.get("/health/ready").json() == {"status": "ready", "revision": 0}
        made.editor.memory.close()
        broken = client.get("/health/ready")
        assert broken.status_code == 503 and broken.json()["status"] == "not ready"
        assert client.get("/health/live").status_code == 200


def test_logs_are_lines_of_json() -> None:
    record = logging.LogRecord("errata.service", logging.WARNING, "x.py", 1, "it %s", ("failed",), None)
    told = json.loads(Lines().format(record))
    assert (told["level"], told["logger"], told["message"]) == ("warning", "errata.service", "it failed")


def test_a_stop_lets_a_stream_end(tmp_path: Path) -> None:
    port = free_port()
    with running(Base().app) as behind:
        command = [sys.executable, "-m", "errata.cli", "serve", "--upstream", f"{behind}/v1", "--port", str(port)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "ERRATA_SHEET__SCOPE": "dual",
            "ERRATA_SHEET__RUNTIME": "torch",
        }
        process = subprocess.Popen(
            [*command, "--memory", str(tmp_path / "m.db")], env=environment, stdout=subprocess.DEVNULL, cwd=tmp_path
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 120
            while True:
                try:
                    httpx2.get(f"{url}/health/live")
                    break
                except httpx2.ConnectError:
                    assert process.poll() is None and time.monotonic() < until
                    time.sleep(0.1)
            stop = threading.Timer(0.02, lambda: process.send_signal(signal.SIGTERM))
            asked = {"stream": True, "messages": [{"role": "user", "content": IN}]}
            with httpx2.stream("POST", f"{url}/v1/chat/completions", json=asked, timeout=30) as answer:
                stop.start()
                assert b"".join(answer.iter_raw()).endswith(b"data: [DONE]\n\n")
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.wait()
