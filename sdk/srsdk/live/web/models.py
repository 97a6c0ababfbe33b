"""The models that the page offers, opened when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from srsdk import zoo
from srsdk.errors import InputError
from srsdk.live.live import Live
from srsdk.stream import check_strength
from srsdk.upscaler import Upscaler


@dataclass(frozen=True)
class PageModel:
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
    """Upscalers by name, and how they run; for several threads.

    Args:
        model: The one that the page begins with.
        faces: Its face model; None: the bundled one of its scale, if there is one.
        open_upscaler: Opens a model and its face model; None: `Upscaler`.
        deadline: As for `Live`.
        fps: As for `Live`.
        strength: What the page begins with; see `Live.strength`.

    Raises:
        ModelNotFoundError: There is no such model.
        InputError: The two models' scales differ, or an option is out of its range.
    """

    def __init__(
        self,
        model: str,
        *,
        faces: str | None = None,
        open_upscaler: Callable[[str, str | None], Upscaler] | None = None,
        deadline: float | None = None,
        fps: float | None = None,
        strength: float = 1.0,
    ) -> None:
        check_strength(strength)
        self.strength = strength
        self._open = open_upscaler or (lambda name, faces: Upscaler(name, faces=faces))
        self._deadline, self._fps = deadline, fps
        self._lock = threading.Lock()
        self._opened: dict[str, Upscaler] = {}
        bundled = {entry.name: entry for entry in zoo.models()}

        def portrait(scale: int) -> str | None:
            name = f"portrait-x{scale}"
            return name if name in bundled else None

        with self._open(model, None) as first:
            scale = first.scale
        choices = [PageModel(model, scale, faces or portrait(scale))]
        for entry in bundled.values():
            if entry.use == "frames" and entry.name != model:
                choices.append(PageModel(entry.name, entry.scale, portrait(entry.scale)))
        self.choices = {choice.name: choice for choice in choices}
        """What the page offers, the one to begin with first."""
        self.live(model).close()  # options that cannot be used are said now

    def live(self, name: str) -> Live:
        """A `Live` of a choice.

        Raises:
            InputError: There is no such choice.
            SrsdkError: It cannot be opened.
        """
        live = Live(self.get(name), deadline=self._deadline, fps=self._fps)
        live.strength = self.strength
        return live

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
                self._opened[name] = self._open(name, choice.faces)
            return self._opened[name]

    def close(self) -> None:
        """Free all of them."""
        with self._lock:
            for upscaler in self._opened.values():
                upscaler.close()
            self._opened.clear()
