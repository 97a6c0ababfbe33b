"""What the three command lines share: one line for an error, and the exit code that goes with it.

| code | meaning |
|---|---|
| 0 | done |
| 1 | a failure while working: damaged data, a full disk, a missing backend |
| 2 | bad input, refused before any work: unknown options, missing files, unusable models |
| 130 | Ctrl-C; nothing is left half-written |
| 143 | SIGTERM or SIGHUP; likewise |

Nothing heavy is imported here.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from srsdk.errors import SrsdkError

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
TERMINATED = 143

_PARAMETER = re.compile(r"""(?<![\w.-])([a-z][a-z_]*)=(?:"([^"\s]+)"|True\b)""")

console = Console(stderr=True, highlight=False)
"""Where people read: progress, messages and errors, on stderr."""

stdout = Console(
    highlight=False, width=None if sys.stdout is not None and sys.stdout.isatty() else 160
)
"""Where results go: tables and JSON. Into a pipe or a file they go unfolded."""

# Typer carries its own copy of Click from 0.26 on, so its exceptions are reached through Typer's.
_ClickException: type[Any] = typer.BadParameter.__mro__[2]


def run(
    app: typer.Typer, arguments: Sequence[str] | None = None, *, level: int = logging.WARNING
) -> None:
    """Run a command line and exit; the body of every `main`.

    Args:
        app: The command line.
        arguments: What follows the program's name; None for `sys.argv`. `--debug` is taken out
            wherever it stands, and shows tracebacks and log messages.
        level: Log messages below this are not shown.

    Raises:
        SystemExit: Always; see the table above.
    """
    _fill_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    given = [item for item in options if item != "--debug"] + given[len(options) :]
    logging.basicConfig(
        level=logging.DEBUG if debug else level,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_path=debug, show_time=debug)],
    )
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)
    try:
        code = app(args=given, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as stop:  # see `_terminate`
        code = stop.code
    except _ClickException as error:
        code = _usage(error)
    except Exception as error:
        if _is_broken_pipe(error):
            # Nobody reads on; let the interpreter's last flush go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        if debug:
            traceback.print_exc()
        else:
            say_error(describe(error))
        code = exit_code(error)
    if code == INTERRUPTED:
        say_error("interrupted")
    if code in (INTERRUPTED, TERMINATED) and any(it.daemon for it in threading.enumerate()):
        # What a daemon thread still waits for may be in FFmpeg, which must not wake up in an
        # interpreter that is coming down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code if isinstance(code, int) else 0)


def exit_code(error: BaseException) -> int:
    """2 for bad input, 1 for a failure."""
    bad = isinstance(error, SrsdkError) and isinstance(error, (ValueError, FileNotFoundError))
    return 2 if bad else 1


def describe(error: BaseException) -> str:
    """An error in words; names of files in it are as they are.

    The library names its parameters as Python writes them, name="value" or name=True; here they are
    flags of the command line.
    """
    if isinstance(error, SrsdkError):
        return _PARAMETER.sub(_flag, str(error))
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        text = f"{named}{error.strerror}"
    elif isinstance(error, ModuleNotFoundError):
        text = f"this needs the package {error.name}: run `pip install {error.name}`"
    elif isinstance(error, MemoryError):
        text = f"out of memory ({error}); close other programs, or give smaller input"
    else:
        text = (
            f"unexpected {type(error).__name__}: {error} "
            "(a bug: run again with --debug and report what it prints)"
        )
    return " ".join(text.split("\n"))


def _flag(found: re.Match[str]) -> str:
    name, value = found[1].replace("_", "-"), found[2]
    return f"--{name}" if value is None else f"--{name} {value}"


def say(text: str, style: str | None = None) -> None:
    """One line for people, never wrapped or read as markup.

    What is not printable, such as a line break or an escape sequence in a file's name, is escaped.
    """
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    console.print(shown, style=style, markup=False, soft_wrap=True)


def say_error(text: str) -> None:
    """One line that begins with "error:"."""
    say(f"error: {text}", "red")


def say_warning(text: str) -> None:
    """One line that begins with "warning:"."""
    say(f"warning: {text}", "yellow")


def _usage(error: Any) -> int:
    """A command line that cannot be understood: one line and where to read on."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" or not error.format_message():
        error.show()
        return 2
    text = " ".join(error.format_message().split()).rstrip(".")
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    say_error(f"{text}{hint}")
    return int(error.exit_code)


def _fill_closed_streams() -> None:
    """Put the null device where a standard stream was closed.

    Otherwise the next file to be opened takes its number, and gets what C libraries print.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _terminate(*_: object) -> None:
    raise SystemExit(TERMINATED)


def _is_broken_pipe(error: BaseException) -> bool:
    return isinstance(error, BrokenPipeError) and not isinstance(error, SrsdkError)
