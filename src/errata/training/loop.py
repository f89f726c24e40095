"""One training loop for every trained part: resumable, interruptible, the same on a CPU, a GPU or several.

A batch is a pure function of (seed, step, process), so a resumed run sees exactly the batches it would have seen. The
loop never knows what is being trained: it gets a module, a loss and a function that makes batches.
"""

from __future__ import annotations

import json
import logging
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from errata.errors import ConfigError, MissingExtra

log = logging.getLogger(__name__)

Batch = Any
Losses = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How long, how fast and how often."""

    steps: int = 1000
    """Optimizer steps."""
    batch: int = 32
    """Examples (or groups) a step and process."""
    optimizer: str = "adamw"
    """"adamw", or "adafactor", whose steps are in proportion to each weight's own size (T5 from scratch needs it)."""
    lr: float = 1e-3
    """Peak learning rate, reached after `warmup` steps, then falling linearly to zero."""
    warmup: int = 100
    """Steps of linear warm-up."""
    clip: float = 1.0
    """Largest gradient norm."""
    weight_decay: float = 0.0
    """The optimizer's weight decay."""
    seed: int = 0
    """Seed of the weights, the batches and the dropout."""
    save_every: int = 200
    """Steps between checkpoints (the newest is kept)."""
    evaluate_every: int = 500
    """Steps between evaluations on dev data; 0 for none."""
    patience: int = 0
    """Evaluations without gain after which training stops; 0 never stops early."""
    precision: str = "no"
    """"no" (float32) or "bf16"."""
    minutes: float = 0.0
    """Wall-clock budget; the schedule still runs over `steps`. 0 means none."""

    def __post_init__(self) -> None:
        if self.precision not in ("no", "bf16"):
            raise ConfigError(f"precision {self.precision!r} is not known", key="precision", accepted=("no", "bf16"))
        if self.optimizer not in ("adamw", "adafactor"):
            raise ConfigError(
                f"optimizer {self.optimizer!r} is not known", key="optimizer", accepted=("adamw", "adafactor")
            )
        if self.steps < 1 or self.batch < 1:
            raise ConfigError("steps and batch must be at least 1", key="steps")


def seed_of(seed: int, step: int, process: int = 0) -> random.Random:
    """The random source of one step's batch."""
    return random.Random(f"{seed}/{step}/{process}")


def train(
    module: Any,
    batch_at: Callable[[random.Random], Batch],
    loss_of: Callable[[Any, Batch], Losses],
    settings: LoopSettings,
    folder: Path,
    *,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    better: str = "",
    resume: bool = True,
) -> list[dict[str, Any]]:
    """Train `module` in place; returns the rows it also appends to `folder/log.jsonl`.

    Args:
        module: torch module; only its parameters that require gradients are trained and saved. Its `rates`, where it
            has some, multiply the learning rate of parameters by name.
        batch_at: makes one batch from a random source.
        loss_of: returns named losses; "loss" is minimised, the others are only logged.
        settings: see LoopSettings.
        folder: where checkpoint.pt, best.pt and log.jsonl live.
        evaluate: called with the module in eval mode; returns named figures.
        better: the figure (higher is better) that chooses best.pt and early stopping; "" keeps the last.
        resume: go on from folder/checkpoint.pt if it is there.
    """
    try:
        import torch
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingExtra("accelerate", "train") from error
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(mixed_precision=settings.precision)
    torch.manual_seed(settings.seed)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    make = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adafactor
    optimizer: Any = make(_groups(module, settings.lr) or trained, lr=settings.lr, weight_decay=settings.weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, settings))
    state = _State(folder, accelerator.is_main_process, better)
    start = state.load(module, optimizer, scheduler) if resume else 0
    wrapped, optimizer = accelerator.prepare(module, optimizer)
    wrapped.train()
    sums: dict[str, float] = {}
    began = last = time.monotonic()
    done, counted = start, 0
    try:
        with _termination():
            for step in range(start + 1, settings.steps + 1):
                batch = batch_at(seed_of(settings.seed, step, accelerator.process_index))
                with accelerator.autocast():
                    losses = loss_of(wrapped, batch)
                accelerator.backward(losses["loss"])
                accelerator.clip_grad_norm_(trained, settings.clip)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad(set_to_none=True)
                done, counted = step, counted + 1
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + float(value.detach())
                if step % 50 == 0 or step == settings.steps:
                    now = time.monotonic()
                    state.row(
                        {"step": step, "seconds_a_step": (now - last) / counted}
                        | {name: value / counted for name, value in sums.items()}
                    )
                    sums, last, counted = {}, now, 0
                if settings.evaluate_every and evaluate and step % settings.evaluate_every == 0:
                    state.judge(step, module, evaluate)
                    last = time.monotonic()
                if step % settings.save_every == 0:
                    state.save(step, module, optimizer, scheduler)
                spent = settings.minutes and time.monotonic() - began > settings.minutes * 60
                if spent or (settings.patience and state.stale >= settings.patience):
                    break
    finally:  # an interrupt keeps what was learnt
        state.save(done, module, optimizer, scheduler)
    if evaluate and (not settings.evaluate_every or done % settings.evaluate_every):
        state.judge(done, module, evaluate)
    state.restore_best(module)
    return state.rows


def _groups(module: Any, lr: float) -> list[dict[str, Any]]:
    """The parameters with learning rates of their own; none where all have the same."""
    rates = getattr(module, "rates", {})
    named = [(name, value) for name, value in module.named_parameters() if value.requires_grad] if rates else []
    return [{"params": [value], "lr": lr * rates.get(name, 1.0)} for name, value in named]


@contextmanager
def _termination() -> Iterator[None]:
    """A polite kill (SIGTERM) interrupts like Ctrl-C meanwhile, so that it too keeps what was learnt."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only it may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _rate(step: int, settings: LoopSettings) -> float:
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    return max(0.0, (settings.steps - step) / max(1, settings.steps - settings.warmup))


class _State:
    """Checkpoints, the log, and which evaluation was best."""

    def __init__(self, folder: Path, main: bool, better: str) -> None:
        self.folder, self.main, self.better = folder, main, better
        self.rows: list[dict[str, Any]] = []
        self.best = float("-inf")
        self.stale = 0

    def row(self, row: dict[str, Any]) -> None:
        row = {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}
        self.rows.append(row)
        if self.main:
            log.info("%s", row)
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")

    def judge(self, step: int, module: Any, evaluate: Callable[[Any], Mapping[str, float]]) -> None:
        module.eval()
        figures = dict(evaluate(module))
        module.train()
        self.row({"step": step} | figures)
        if not self.better:
            return
        if figures[self.better] > self.best:
            self.best, self.stale = figures[self.better], 0
            if self.main:
                _write(self.folder / "best.pt", _trained_state(module))
        else:
            self.stale += 1

    def restore_best(self, module: Any) -> None:
        path = self.folder / "best.pt"
        if self.better and path.exists():
            import torch

            module.load_state_dict(torch.load(path, weights_only=True), strict=False)
        module.eval()

    def save(self, step: int, module: Any, optimizer: Any, scheduler: Any) -> None:
        if self.main:
            state = {
                "step": step,
                "module": _trained_state(module),
                "optimizer": optimizer.state_dict(),
                "scheduler": scheduler.state_dict(),
                "best": self.best,
                "stale": self.stale,
            }
            _write(self.folder / "checkpoint.pt", state)

    def load(self, module: Any, optimizer: Any, scheduler: Any) -> int:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return 0
        import torch

        state = torch.load(path, weights_only=True)
        module.load_state_dict(state["module"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        self.best, self.stale = state["best"], state["stale"]
        log.info("resuming after step %d", state["step"])
        return int(state["step"])


def _trained_state(module: Any) -> dict[str, Any]:
    wanted = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    wanted |= {name for name, _ in module.named_buffers()}  # such as running means
    return {name: value for name, value in module.state_dict().items() if name in wanted}


def _write(path: Path, state: Any) -> None:
    import torch

    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def describe(settings: Any) -> dict[str, Any]:
    """Settings as plain values, for the card beside the weights."""
    return asdict(settings)
