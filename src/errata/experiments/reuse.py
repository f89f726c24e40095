"""One trained editor on base models of different kinds, none of which it was trained for (SERAC, section 5.2).

Scope classifier and counterfactual model see text only, so what changes with the base is whether a false fire changes
its answer. The bases but the first have random weights, or repeat the question behind HTTP: this measures the editor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from errata.experiments.experiment import Cell, Experiment, Progress, Result, Shown
from errata.experiments.measuring import evaluation, trio
from errata.experiments.parts import Found, Setting, find
from errata.experiments.problem_tables import not_measured
from errata.experiments.tables import figure, markdown
from errata.models.echo import EchoModel
from errata.models.remote import RemoteModel

SAMPLE = 100
"""Inputs of each kind: what is looked for is a difference between bases, which is none or plain."""
BASES: Mapping[str, str] = {
    "own": "the preset's own base",
    "t5": "another size of T5, random weights",
    "gpt2": "causal (GPT-2), random weights",
    "bart": "encoder-decoder (BART), random weights",
    "http": "behind HTTP: a server that repeats the question",
}
"""The base models by the names of their cells."""
SERVED = Found("http:echo", "http:echo", "http:echo")


def _cells(setting: Setting) -> list[Cell]:
    k = setting.parts("qa").k
    cells = []
    for name in BASES:
        if name == "http":
            served = evaluation(name, setting, "qa", edits=k, parts=trio(setting, "qa", base=SERVED))
            cells.append(replace(served, run=_behind_http(name, setting, k)))
            continue
        base = None if name == "own" else find(f"untrained:{name}", setting.runs)
        cells.append(evaluation(name, setting, "qa", edits=k, parts=trio(setting, "qa", base=base)))
    return cells


def _behind_http(name: str, setting: Setting, k: int) -> Any:
    def run(rows: Path, progress: Progress) -> Mapping[str, Any]:
        with serving(EchoModel()) as url, RemoteModel(url, model="echo", api="chat") as remote:
            parts = trio(setting, "qa", base=SERVED)
            return evaluation(name, setting, "qa", edits=k, parts=parts, model=lambda: remote).run(rows, progress)

    return run


@contextmanager
def serving(model: EchoModel) -> Iterator[str]:
    """A chat server on this machine that answers as a model does; gives its URL.

    Args:
        model: asked with the last message, greedily.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            [text] = model.generate([asked["messages"][-1]["content"]])
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            body = json.dumps({"object": "chat.completion", "model": model.name, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def spread(results: Mapping[str, Result], key: str) -> float | None:
    """The greatest less the least value of a figure; None where fewer than two bases have it."""
    values = [found for result in results.values() if (found := result.figures.get(key)) is not None]
    return max(values) - min(values) if len(values) > 1 else None


def _show(results: Mapping[str, Result]) -> Shown:
    rows = [
        (BASES[name], *(figure(result.figures.get(key), result.figures.get(f"{key}_ci")) for key in ("es", "dd")))
        for name, result in results.items()
    ]
    rows.append(
        ("greatest difference", figure(spread(results, "es"), digits=4), figure(spread(results, "dd"), digits=4))
    )
    note = (
        "QA. The same scope classifier and counterfactual model in front of each base, without retraining; 95 %"
        " intervals in parentheses. The paper tells ES above 0.99 and DD below 0.01 on T5 models of all sizes."
    )
    return Shown(f"{note}\n\n{markdown(('base model', 'ES', 'DD'), rows)}{not_measured(results)}")


REUSE = Experiment("reuse", "One editor, many base models (SERAC, section 5.2)", _cells, _show, SAMPLE)
