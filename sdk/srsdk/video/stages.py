"""Threads that work one after another on the same stream of items, and end together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from srsdk.video.channel import Channel, ChannelAbortedError

if TYPE_CHECKING:
    from collections.abc import Callable


class Stages:
    """Runs stages side by side; the first error ends all of them and is the one that is raised.

    Stages talk through channels made here. When a stage fails, every channel is aborted, so every
    other stage wakes up with `ChannelAbortedError` and returns.
    """

    def __init__(self) -> None:
        self._channels: list[Channel[Any]] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def channel(self, capacity: int) -> Channel[Any]:
        """A channel that an error will abort."""
        channel: Channel[Any] = Channel(capacity)
        self._channels.append(channel)
        return channel

    def run(self, here: Callable[[], None], **beside: Callable[[], None]) -> None:
        """Run `here` in this thread and the others beside it, until all have ended.

        Ctrl-C, which Python raises in the main thread, counts as an error of this stage.

        Args:
            here: The stage of the calling thread.
            beside: The other stages by name; each runs in its own thread.

        Raises:
            BaseException: The first error of any stage.
        """
        self._guard(lambda: self._start_all(here, beside))
        while True:
            try:
                for thread in self._threads:
                    while thread.is_alive():
                        thread.join(0.2)
                break
            except BaseException as error:  # Ctrl-C while waiting for the encoder
                self._fail(error)
        if self._error is not None:
            raise self._error

    def _start_all(self, here: Callable[[], None], beside: dict[str, Callable[[], None]]) -> None:
        for name, work in beside.items():
            thread = threading.Thread(
                target=self._guard, args=(work,), name=f"srsdk-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        here()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ChannelAbortedError:
            pass  # another stage failed; its error is the one to show
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
        for channel in self._channels:
            channel.abort()
