"""The models that the page offers, opened when they are first asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from srsdk import zoo
from srsdk.errors import InputError
from srsdk.upscaler import Upscaler


@dataclass(frozen=True)
class Choice:
    """A model on the page.

    Attributes:
        name: What `Upscaler` takes.
        scale: Its factor.
        faces: The face model that goes with it; None: it has none.
    """

    name: str
    scale: int
    faces: str | None


class Models:
    """Upscalers by name; for several threads.

    Args:
        model: The one that the page begins with.
        faces: Its face model; None: the bundled one of its scale, if there is one.
        backend: As for `Upscaler`.
        threads: As for `Upscaler`.

    Raises:
        ModelNotFoundError: There is no such model.
        InputError: The two models' scales differ.
    """

    def __init__(
        self,
        model: str,
        *,
        faces: str | None = None,
        backend: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._backend, self._threads = backend, threads
        self._lock = threading.Lock()
        self._opened: dict[str, Upscaler] = {}
        bundled = {entry.name: entry for entry in zoo.models()}

        def portrait(scale: int) -> str | None:
            name = f"portrait-x{scale}"
            return name if name in bundled else None

        with Upscaler(model, backend=backend, threads=threads) as first:
            scale = first.scale
        choices = [Choice(model, scale, faces or portrait(scale))]
        for entry in bundled.values():
            if entry.use == "frames" and entry.name != model:
                choices.append(Choice(entry.name, entry.scale, portrait(entry.scale)))
        self.choices = {choice.name: choice for choice in choices}
        """What the page offers, the one to begin with first."""
        self.get(model)

    def get(self, name: str) -> Upscaler:
        """The upscaler of a choice, with its face model.

        Raises:
            InputError: There is no such choice.
            SrsdkError: It cannot be opened.
        """
        choice = self.choices.get(name)
        if choice is None:
            raise InputError(f"no model {name!r} on this page; known: {', '.join(self.choices)}")
        with self._lock:
            if name not in self._opened:
                self._opened[name] = Upscaler(
                    name, faces=choice.faces, backend=self._backend, threads=self._threads
                )
            return self._opened[name]

    def close(self) -> None:
        """Free all of them."""
        with self._lock:
            for upscaler in self._opened.values():
                upscaler.close()
            self._opened.clear()
