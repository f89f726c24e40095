"""Decisions for many requests at once: what waits while one batch is judged makes the next batch.

An input's decision does not depend on what else is in its batch (vectors are made row by row), so waiting together
changes nothing but the time it takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from errata.errors import AccessError

MOST = 32
"""Inputs of a batch."""


@dataclass(slots=True)
class _Waiting:
    text: str
    space: str
    found: asyncio.Future[Any]


class Batches:
    """Runs a function of many texts for callers that each have one.

    Args:
        work: makes one result a text of a space; called in a thread of its own, one batch at a time.
        most: texts of a batch.
        waiting: texts that may wait.
    """

    def __init__(
        self, work: Callable[[Sequence[str], str], Sequence[Any]], *, most: int = MOST, waiting: int = 512
    ) -> None:
        self._work, self._most, self._limit = work, most, waiting
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="errata-scope")

    def check_room(self) -> None:
        """Refuse a request while too many texts wait: it would be answered too late to be of use.

        Raises:
            AccessError: so.
        """
        if len(self._waiting) >= self._limit:
            raise AccessError(
                f"{len(self._waiting)} texts wait for a decision already; try again soon",
                status=503, code="overloaded", retry_after=1,
            )  # fmt: skip

    async def __call__(self, text: str, space: str) -> Any:
        """The result for one text.

        Raises:
            Exception: what `work` raised for the batch the text was in, or for the text alone where the batch failed.
        """
        one = _Waiting(text, space, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await one.found

    async def _run(self) -> None:
        while self._waiting:
            space = self._waiting[0].space
            batch = [self._waiting.popleft()]
            while self._waiting and self._waiting[0].space == space and len(batch) < self._most:
                batch.append(self._waiting.popleft())
            await self._settle([one for one in batch if not one.found.done()], space)

    async def _settle(self, batch: Sequence[_Waiting], space: str) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, self._work, [one.text for one in batch], space)
        except Exception as error:
            if len(batch) > 1:  # one bad text does not fail its neighbours
                for one in batch:
                    await self._settle([one], space)
            elif not batch[0].found.done():
                batch[0].found.set_exception(error)
            return
        for one, result in zip(batch, found, strict=True):
            if not one.found.done():
                one.found.set_result(result)

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
