"""Signals wait for the end of a block."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from srsdk.signals import signals_held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="raises signals")


def test_ctrl_c_takes_effect_at_the_end_of_the_block() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, the block is what is tested
        with signals_held(lambda: done.append("told")):
            signal.raise_signal(signal.SIGINT)
            done.append("work")
        done.append("never")
    assert done == ["told", "work"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_held(pytest.fail):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_in_the_block_comes_first() -> None:
    with pytest.raises(ValueError, match="full disk"), signals_held():
        raise ValueError("full disk")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_it_does_nothing() -> None:
    def work() -> None:
        with signals_held():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
