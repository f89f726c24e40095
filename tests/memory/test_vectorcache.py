"""What is kept is not read again, and no more is kept than may be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from errata.memory.vectorcache import SINGLE, VectorCache


class Store:
    """Vectors of 4 bytes; tells what was read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, keys: Sequence[int]) -> Iterable[tuple[int, bytes]]:
        self.read += keys
        return [(key, bytes([key % 256] * 4)) for key in keys if key >= 0]


def test_what_was_read_is_not_read_again() -> None:
    cache, store = VectorCache(100), Store()
    assert cache.of([1, 2, 1], store) == {1: b"\1" * 4, 2: b"\2" * 4}
    assert cache.of([2, 3], store) == {2: b"\2" * 4, 3: b"\3" * 4}
    assert store.read == [1, 2, 3]
    cache.clear()
    cache.of([2], store)
    assert store.read[-1] == 2


def test_the_oldest_make_room() -> None:
    cache, store = VectorCache(12), Store()
    cache.of([1, 2, 3], store)
    cache.of([4], store)
    store.read.clear()
    assert set(cache.of([2, 3, 4], store)) == {2, 3, 4}
    assert store.read == []
    assert cache.of([1], store) == {1: b"\1" * 4}
    assert store.read == [1]


@pytest.mark.parametrize(("size", "count"), [(0, 2), (1 << 20, SINGLE + 1)])
def test_nothing_is_kept_of_large_reads_or_without_room(size: int, count: int) -> None:
    cache, store = VectorCache(size), Store()
    for _ in range(2):
        assert len(cache.of(range(count), store)) == count
    assert len(store.read) == 2 * count


def test_unknown_keys_are_left_out_and_asked_for_again() -> None:
    cache, store = VectorCache(100), Store()
    assert cache.of([-1, 5], store) == {5: b"\5" * 4}
    cache.of([-1], store)
    assert store.read == [-1, 5, -1]
