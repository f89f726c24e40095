"""The training loop learns, stops, resumes to the very same weights, and keeps the best."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import errata
from errata.errors import ConfigError
from errata.training.loop import LoopSettings, seed_of, train

torch = pytest.importorskip("torch")

SETTINGS = LoopSettings(steps=40, batch=8, lr=0.1, warmup=2, save_every=10, evaluate_every=0)


def line() -> Any:
    torch.manual_seed(0)
    return torch.nn.Linear(1, 1)


def batch_at(source: random.Random) -> Any:
    x = torch.tensor([[source.uniform(-1, 1)] for _ in range(8)])
    return x, 3 * x + 1


def loss_of(module: Any, batch: Any) -> Mapping[str, Any]:
    return {"loss": ((module(batch[0]) - batch[1]) ** 2).mean()}


def weights(module: Any) -> list[float]:
    return [float(value.detach()) for value in (module.weight, module.bias)]


def test_it_learns_the_line(tmp_path: Path) -> None:
    module = line()
    rows = train(module, batch_at, loss_of, LoopSettings(steps=300, lr=0.1, warmup=5), tmp_path)
    assert weights(module) == pytest.approx([3, 1], abs=0.05)
    assert rows[-1]["loss"] < 0.01
    assert [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines()] == rows


def test_adafactor_learns_and_resumes_too(tmp_path: Path) -> None:
    settings = LoopSettings(steps=400, optimizer="adafactor", lr=0.2, warmup=5, save_every=100)
    module, again = line(), line()
    train(module, batch_at, loss_of, settings, tmp_path)
    assert weights(module) == pytest.approx([3, 1], abs=0.1)
    train(again, batch_at, loss_of, settings, tmp_path)
    assert weights(again) == weights(module)


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="adamw"):
        LoopSettings(optimizer="sgd")


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, broken = line(), line()
    train(whole, batch_at, loss_of, SETTINGS, tmp_path / "whole")
    calls = 0

    def interrupted(module: Any, batch: Any) -> Mapping[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 21:
            raise KeyboardInterrupt
        return loss_of(module, batch)

    with pytest.raises(KeyboardInterrupt):
        train(broken, batch_at, interrupted, SETTINGS, tmp_path / "broken")
    resumed = line()
    train(resumed, batch_at, loss_of, SETTINGS, tmp_path / "broken")
    assert weights(resumed) == pytest.approx(weights(whole), abs=1e-6)


def test_the_best_evaluation_is_kept_and_patience_ends_the_run(tmp_path: Path) -> None:
    module, figures = line(), iter([0.1, 0.9, 0.5, 0.4, 0.3, 0.2])
    kept: list[list[float]] = []

    def evaluate(network: Any) -> Mapping[str, float]:
        kept.append(weights(network))
        return {"score": next(figures)}

    settings = LoopSettings(steps=60, lr=0.1, warmup=2, evaluate_every=10, patience=2)
    rows = train(module, batch_at, loss_of, settings, tmp_path, evaluate=evaluate, better="score")
    assert weights(module) == pytest.approx(kept[1])
    assert max(row["step"] for row in rows) == 40


def test_batches_depend_on_seed_step_and_process_only() -> None:
    drawn = [seed_of(*key).random() for key in ((0, 1, 0), (0, 1, 0), (0, 2, 0), (1, 1, 0), (0, 1, 1))]
    assert drawn[0] == drawn[1] and len(set(drawn)) == 4


def test_frozen_parameters_stay_and_are_not_saved(tmp_path: Path) -> None:
    module = line()
    module.bias.requires_grad_(False)
    before = weights(module)[1]
    train(module, batch_at, loss_of, SETTINGS, tmp_path)
    assert weights(module)[1] == before
    assert set(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["module"]) == {"weight"}


@pytest.mark.parametrize("wrong", [{"precision": "fp8"}, {"steps": 0}, {"batch": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LoopSettings(**wrong)


def test_a_polite_kill_keeps_what_was_learnt(tmp_path: Path) -> None:
    def killed_at_five(source: random.Random) -> Any:
        killed_at_five.calls += 1  # type: ignore[attr-defined]
        if killed_at_five.calls == 5:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGTERM)
        return batch_at(source)

    killed_at_five.calls = 0  # type: ignore[attr-defined]
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train(line(), killed_at_five, loss_of, SETTINGS, tmp_path / "run")
    assert signal.getsignal(signal.SIGTERM) is before
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    module = line()
    train(module, batch_at, loss_of, SETTINGS, tmp_path / "run")
    through = line()
    train(through, batch_at, loss_of, SETTINGS, tmp_path / "other")
    assert weights(module) == weights(through)


def test_two_processes_learn_the_same_weights_from_batches_of_their_own(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import json, os, sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_loop import batch_at, line, loss_of, weights\n"
        "from errata.training.loop import LoopSettings, train\n"
        "folder, rank = Path(sys.argv[1]), os.environ['RANK']\n"
        "module = line()\n"
        "settings = LoopSettings(steps=40, batch=8, lr=0.1, warmup=2, evaluate_every=0)\n"
        "train(module, batch_at, loss_of, settings, folder)\n"
        "(folder / f'{rank}.json').write_text(json.dumps(weights(module)))\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {
        "PYTHONPATH": str(Path(errata.__file__).parents[1]), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true",
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    runs = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "run")],
            env=env | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    said = [run.communicate(timeout=300)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    first, second = (json.loads((tmp_path / "run" / f"{rank}.json").read_text()) for rank in (0, 1))
    alone = line()
    train(alone, batch_at, loss_of, SETTINGS, tmp_path / "alone")
    assert first == second  # the gradients were averaged
    assert first != weights(alone)  # over two batches, not over one twice
