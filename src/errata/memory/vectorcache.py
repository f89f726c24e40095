"""The stored vectors that searches read lately, kept so that a far-off database is not asked for them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

SINGLE = 512
"""Vectors asked for at once that count as a search's; more are read to build an index, and are not kept."""

Read = Callable[[Sequence[int]], Iterable[tuple[int, bytes]]]
"""Reads stored vectors by key; unknown keys are left out."""


class VectorCache:
    """Vectors by key, the oldest dropped first; safe among threads.

    Args:
        size: bytes that may be kept; 0 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self._size, self._held = size, 0
        self._kept: dict[int, bytes] = {}

    def clear(self) -> None:
        """Forget all (after a purge)."""
        self._kept, self._held = {}, 0

    def of(self, keys: Sequence[int], read: Read) -> dict[int, bytes]:
        """The vectors of some keys, from what is kept or read now."""
        kept = self._kept
        found = {key: vector for key in keys if (vector := kept.get(key)) is not None}
        missing = list(dict.fromkeys(key for key in keys if key not in found))
        fresh = dict(read(missing)) if missing else {}
        if self._size and len(keys) <= SINGLE:
            for key, vector in fresh.items():
                self._held += len(vector) - len(kept.get(key, b""))
                kept[key] = vector
            while self._held > self._size and kept:
                self._held -= len(kept.pop(next(iter(kept)), b""))
        return found | fresh
