"""Batches: drawn ahead of the loop by threads, or out of clips that lie on the device."""

from __future__ import annotations

import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from srtrain.clips import Clips
from srtrain.config import DataConfig
from srtrain.data import Batch, Faces, sample_batch
from srtrain.degrade import Pixels


class BatchSource(Protocol):
    """Gives the batches of a run, each a pure function of (seed, step, critic step)."""

    def at(self, step: int, critic_step: int = 0) -> Batch:
        """A batch of a step: the critic's are 1, 2, ..., the generator's is 0."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Batches:
    """The batches of a run, in order, made by threads while the loop computes.

    Decoding, resizing and the codecs of the camera degradation release Python's lock, so threads
    are enough and the pictures need not be copied between processes. What a batch holds depends
    on (seed, step, critic_step) alone: neither on the number of threads nor on where a run was
    resumed.

    Args:
        faces: The training set.
        batch: Faces in a batch, over all processes.
        patch: Side of the low-resolution patches.
        seed: The run's seed.
        per_step: Batches in a step.
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
        per_step: int = 1,
        workers: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._faces, self._batch, self._patch, self._seed = faces, batch, patch, seed
        self._per_step, self._part = per_step, slice(rank, None, processes)
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._ahead = 2 * workers
        self._queue: deque[tuple[int, Future[Batch]]] = deque()

    def at(self, step: int, critic_step: int = 0) -> Batch:
        """A batch of a step: the critic's are 1, 2, ..., the generator's is 0.

        That is also the order in which they are drawn ahead: the generator's comes last.
        """
        number = step * self._per_step + (critic_step - 1) % self._per_step
        if self._pool is None:
            return self._draw(number)
        if self._queue and self._queue[0][0] != number:
            self._queue.clear()
        while len(self._queue) <= self._ahead:
            following = number + len(self._queue)
            self._queue.append((following, self._pool.submit(self._draw, following)))
        return self._queue.popleft()[1].result()

    def _draw(self, number: int) -> Batch:
        step, place = divmod(number, self._per_step)
        critic_step = (place + 1) % self._per_step
        return sample_batch(
            self._faces, self._batch, self._patch, self._seed, step, critic_step, part=self._part
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class ClipBatches:
    """Batches of clips, mirrored or not, cut and put together on the device that trains.

    Args:
        clips: The clips; they are copied to the device.
        config: `clean_share` and `whole_share` of each batch.
        batch: Clips in a batch, over all processes.
        seed: The run's seed.
        device: Where the batches are made.
        rank: Number of this process.
        processes: How many share a batch.
    """

    def __init__(
        self,
        clips: Clips,
        config: DataConfig,
        batch: int,
        seed: int,
        device: torch.device,
        *,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._hr, self._clean, self._camera = (
            _on_device(part, device) for part in (clips.hr, clips.clean, clips.camera)
        )
        self._whole, self._parts = np.flatnonzero(clips.whole), np.flatnonzero(~clips.whole)
        self._batch, self._seed, self._device = batch, seed, device
        self._clean_share, self._part = config.clean_share, slice(rank, None, processes)
        self._whole_count = round(batch * config.whole_share) if len(self._whole) else 0
        if not len(self._parts):
            self._whole_count = batch

    def at(self, step: int, critic_step: int = 0) -> Batch:
        """A batch of a step: the critic's are 1, 2, ..., the generator's is 0."""
        random = np.random.default_rng([self._seed, step, critic_step])
        whole = random.choice(self._whole, self._whole_count)
        parts = random.choice(self._parts, self._batch - self._whole_count)
        mirrored = random.random(self._batch) < 0.5
        plain = random.random(self._batch) < self._clean_share
        count = len(range(self._whole_count)[self._part])
        chosen = torch.from_numpy(np.concatenate([whole, parts])[self._part])
        flags = torch.from_numpy(np.stack([mirrored, plain])[:, self._part])
        chosen, flags = chosen.to(self._device), flags.to(self._device)
        shape = (-1, 1, 1, 1, 1)
        clean, camera = self._clean[chosen], self._camera[chosen]
        lr = torch.where(flags[1].reshape(shape), clean, camera)
        hr = self._hr[chosen]
        lr, hr = (torch.where(flags[0].reshape(shape), x.flip(3), x) for x in (lr, hr))
        lr, hr = (x.transpose(0, 1).flatten(0, 1) for x in (lr, hr))
        return Batch(lr, hr, clips=len(chosen), whole=count, plain=flags[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


def _on_device(pixels: Pixels, device: torch.device) -> Tensor:
    """Copy pixels to the device. On the CPU nothing is copied: a memory-mapped file stays one."""
    writable = np.array(pixels) if device.type != "cpu" else pixels
    with warnings.catch_warnings():  # torch warns of read-only memory; nothing writes into it
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(writable).to(device)
