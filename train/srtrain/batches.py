"""Batches, drawn ahead of the loop."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from typing_extensions import Self

from srtrain.data import Batch, Faces, sample_batch


class Batches:
    """The batches of a run, in order, made by threads while the loop computes.

    Decoding, resizing and the codecs of the camera degradation release Python's lock, so threads
    are enough and the pictures need not be copied between processes. What a batch holds depends
    on (seed, step, turn) alone: neither on the number of threads nor on where a run was resumed.

    Args:
        faces: The training set.
        batch: Faces in a batch, over all processes.
        patch: Side of the low-resolution patches.
        seed: The run's seed.
        turns: Batches in a step.
        workers: Threads; 0 draws each batch when it is asked for.
        rank: Number of this process.
        processes: How many share a batch.
    """

    def __init__(
        self,
        faces: Faces,
        batch: int,
        patch: int,
        seed: int,
        *,
        turns: int = 1,
        workers: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._faces, self._batch, self._patch, self._seed = faces, batch, patch, seed
        self._turns, self._part = turns, slice(rank, None, processes)
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._ahead = 2 * workers
        self._queue: deque[tuple[int, Future[Batch]]] = deque()

    def at(self, step: int, turn: int = 0) -> Batch:
        """Batch number `turn` of a step; ahead are those in the order of turns 1, 2, ... 0.

        That is the loop's order: the critic's turns, then the generator's, which is number 0.
        """
        number = step * self._turns + (turn - 1) % self._turns
        if self._pool is None:
            return self._draw(number)
        if self._queue and self._queue[0][0] != number:
            self._queue.clear()
        while len(self._queue) <= self._ahead:
            following = number + len(self._queue)
            self._queue.append((following, self._pool.submit(self._draw, following)))
        return self._queue.popleft()[1].result()

    def _draw(self, number: int) -> Batch:
        step, place = divmod(number, self._turns)
        turn = (place + 1) % self._turns
        return sample_batch(
            self._faces, self._batch, self._patch, self._seed, step, turn, part=self._part
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
