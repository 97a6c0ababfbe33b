"""Signals that wait for a piece of work to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_HELD = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def signals_held(stop: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold Ctrl-C, SIGTERM and SIGHUP back, and raise them again when the block ends.

    Their usual handlers raise at once, which would be in the middle of a frame that is encoded, or
    inside a callback of a library. In other threads than the main one this does nothing, because
    signals do not arrive there.

    Args:
        stop: Called when one arrives, to make the block end early.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        if stop is not None:
            stop()

    numbers = [getattr(signal, name) for name in _HELD if hasattr(signal, name)]
    usual = {number: signal.getsignal(number) for number in numbers}
    # What is ignored stays so; a handler that is not Python's (None) could not be put back.
    usual = {number: it for number, it in usual.items() if it not in (signal.SIG_IGN, None)}
    for number in usual:
        signal.signal(number, note)
    try:
        yield
    finally:
        for held, handler in usual.items():
            signal.signal(held, handler)
    for number in arrived[:1]:
        signal.raise_signal(number)
