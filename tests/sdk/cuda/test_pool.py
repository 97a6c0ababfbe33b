"""`srsdk.cuda.pool` by itself."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from srsdk.cuda.pool import Pool
from srsdk.errors import CudaError


class Item:
    def __init__(self) -> None:
        self.size: Any = None
        self.bound = False


def taken(pool: Pool[Any], size: Any, *, bound: bool = False) -> Any:
    item = pool.take(size)
    assert item is not None
    item.size, item.bound = size, item.bound or bound
    return item


A, B, C = (1, 2, 3), (1, 2, 4), (1, 2, 5)


def test_pool_prefers_what_fits_best() -> None:
    pool: Pool[Item] = Pool(Item, 4)
    free, same, bound = (taken(pool, size) for size in (B, A, A))
    bound.bound = True
    for item in (bound, same, free):
        pool.give_back(item)
    assert [pool.take(A), pool.take(A), pool.take(A)] == [bound, same, free]
    assert pool.take(A) not in (None, bound, same, free)
    assert pool.take(A) is None


def test_pool_lets_the_oldest_go() -> None:
    pool: Pool[Item] = Pool(Item, 2)
    first, second = taken(pool, A, bound=True), taken(pool, B, bound=True)
    assert pool.take(C) is None
    pool.give_back(second)
    pool.give_back(first)
    third = taken(pool, C, bound=True)
    assert third not in (first, second)
    assert pool.take(A) is first, "B was used longest ago"
    assert pool.take(B) is None


def test_pool_counts_failures() -> None:
    calls: list[int] = []

    def make() -> Item:
        calls.append(1)
        if len(calls) < 5:
            raise CudaError("no")
        return Item()

    pool = Pool(make, 1)
    for _ in range(4):
        with pytest.raises(CudaError):
            pool.take(A)
    assert pool.take(A) is not None
    assert pool.take(A) is None
    pool.drop()
    assert pool.take(A) is not None
    with pytest.raises(ValueError, match="limit"):
        Pool(Item, 0)


def test_pool_wakes_those_who_wait() -> None:
    pool: Pool[Item] = Pool(Item, 1)
    item = taken(pool, A)
    got: list[Item] = []

    def wait() -> None:
        while (found := pool.take(A)) is None:
            pool.wait()
        got.append(found)

    thread = threading.Thread(target=wait)
    thread.start()
    pool.give_back(item)
    thread.join(10)
    assert got == [item]
