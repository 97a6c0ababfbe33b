"""`srsdkupscale`: a GStreamer element that upscales video; loaded by GStreamer's Python plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstBase", "1.0")

import numpy as np  # noqa: E402
from gi.repository import GLib, GObject, Gst, GstBase  # noqa: E402

if TYPE_CHECKING:
    from srsdk import Upscaler
    from srsdk.live import Live

Gst.init(None)

_CAPS = Gst.Caps.from_string(
    "video/x-raw, format=(string){ BGR, RGB }, width=(int)[ 1, MAX ], height=(int)[ 1, MAX ]"
)
_LARGEST = 2**31 - 1
_DEFAULT, _BLAZEFACE = "edge-x4", "blazeface"
_BOTH = GObject.ParamFlags.READWRITE
_PROPERTIES: dict[str, tuple[Any, ...]] = {
    "model": (str, "Model", "Name or file of the model", _DEFAULT, _BOTH),
    "faces": (str, "Faces", "Model for faces; empty: none", "", _BOTH),
    "detector": (str, "Detector", "blazeface, or a YuNet ONNX file", _BLAZEFACE, _BOTH),
    "max-face": (int, "Largest face", "Pixels; 0: the model's own", 0, 65536, 0, _BOTH),
    "strength": (float, "Strength", "Share of the face model's result", 0.0, 1.0, 1.0, _BOTH),
    "guard": (bool, "Guard", "Hold back faces that look like another person", False, _BOTH),
    "face-budget": (float, "Face budget", "Milliseconds; 0: no limit", 0.0, 1e4, 0.0, _BOTH),
    "backend": (str, "Backend", "Backend of srsdk", "auto", _BOTH),
    "precision": (str, "Precision", "auto, fp32 or int8", "auto", _BOTH),
    "threads": (int, "Threads", "Processor threads; 0: all", 0, 1024, 0, _BOTH),
    "live": (bool, "Live", "Lower the quality of frames, not their rate", False, _BOTH),
    "deadline": (float, "Deadline", "Of live, in ms; 0: two frames", 0.0, 6e4, 0.0, _BOTH),
}
"""Name to type, short name, description, range and default."""


def _template(name: str, direction: Gst.PadDirection) -> Gst.PadTemplate:
    return Gst.PadTemplate.new(name, direction, Gst.PadPresence.ALWAYS, _CAPS)


class SrsdkUpscale(GstBase.BaseTransform):  # type: ignore[misc]  # GStreamer has no stubs
    """Upscales every frame by the model's factor; with `live`, as well as the time allows."""

    __gtype_name__ = "SrsdkUpscale"
    __gstmetadata__ = (
        "srsdk upscaler",
        "Filter/Effect/Converter/Scaler/Video",
        "Super resolution of human portraits",
        "srsdk",
    )
    __gsttemplates__ = (
        _template("sink", Gst.PadDirection.SINK),
        _template("src", Gst.PadDirection.SRC),
    )
    __gproperties__: ClassVar = _PROPERTIES

    def __init__(self) -> None:
        super().__init__()
        self._options: dict[str, Any] = {name: spec[-2] for name, spec in _PROPERTIES.items()}
        self._started = False
        self._upscaler: Upscaler | None = None
        self._stream: Any = None
        self._live: Live | None = None
        self._size = (0, 0)
        self._color = "bgr"
        self._fps: float | None = None
        self._failed = ""
        self.set_qos_enabled(True)

    def do_get_property(self, spec: Any) -> Any:
        return self._options[spec.name]

    def do_set_property(self, spec: Any, value: Any) -> None:
        """Take a value: the strength from the next frame on, all else when the element starts."""
        self._options[spec.name] = value
        if spec.name != "strength" and not self._started:
            self._close()  # what was opened to answer a question for the model's scale

    def do_transform_caps(
        self, direction: Gst.PadDirection, caps: Gst.Caps, wanted: Gst.Caps | None
    ) -> Gst.Caps:
        """Sizes on the other side of the element: `scale` times as large, or as small."""
        scale = self._scale()
        result = Gst.Caps.new_empty()
        for index in range(caps.get_size()):
            structure = caps.get_structure(index).copy()
            if not scale:  # any size may be linked; `do_start` says what is wrong
                for name in ("width", "height"):
                    structure.remove_field(name)
            if not scale or _resize(structure, scale, direction):
                result.append_structure(structure)
        return (
            result if wanted is None else wanted.intersect_full(result, Gst.CapsIntersectMode.FIRST)
        )

    def do_fixate_caps(
        self, direction: Gst.PadDirection, caps: Gst.Caps, other: Gst.Caps
    ) -> Gst.Caps:
        return other.fixate()

    def do_get_unit_size(self, caps: Gst.Caps) -> tuple[bool, int]:
        width, height = _size(caps)
        return True, _stride(width) * height

    def do_transform_size(
        self, direction: Gst.PadDirection, caps: Gst.Caps, size: int, other: Gst.Caps
    ) -> tuple[bool, int]:
        width, height = _size(other)
        return True, _stride(width) * height

    def do_set_caps(self, incoming: Gst.Caps, outgoing: Gst.Caps) -> bool:
        self._size = _size(incoming)
        structure = incoming.get_structure(0)
        self._color = structure.get_string("format").lower()
        known, numerator, denominator = structure.get_fraction("framerate")
        self._fps = numerator / denominator if known and numerator else None
        try:
            self._open_stream()
        except Exception as error:
            return self._fail(error)
        return True

    def do_transform(self, incoming: Gst.Buffer, outgoing: Gst.Buffer) -> Gst.FlowReturn:
        width, height = self._size
        scale = self._scale()
        upscaling = self._live or self._stream
        try:
            upscaling.strength = self._options["strength"]
            with (
                incoming.map(Gst.MapFlags.READ) as source,
                outgoing.map(Gst.MapFlags.WRITE) as sink,
            ):
                frame = _pixels(source.data, width, height)
                out = _pixels(sink.data, scale * width, scale * height)
                if self._live is None:
                    self._stream(frame, out=out)
                    return Gst.FlowReturn.OK
                self._live.put(frame)
                self._live.step()
                result = self._live.get(0)
                if result is None:
                    return Gst.FlowReturn.CUSTOM_SUCCESS  # dropped
                out[...] = result.pixels
        except Exception as error:
            self._fail(error)
            return Gst.FlowReturn.ERROR
        return Gst.FlowReturn.OK

    def do_start(self) -> bool:
        self._failed = ""  # said before there was a bus to hear it
        self._started = self._scale() > 0
        return self._started

    def do_stop(self) -> bool:
        self._started = False
        self._close()
        return True

    def _scale(self) -> int:
        """The model's factor; 0 if it cannot be opened, which is then said on the bus."""
        if self._upscaler is None and not self._failed:
            try:
                self._open("bgr")
            except Exception as error:
                self._fail(error)
        return 0 if self._upscaler is None else self._upscaler.scale

    def _open(self, color: str) -> None:
        from srsdk import Upscaler

        options = self._options
        detector = None
        if options["detector"] != _BLAZEFACE:
            from srsdk.faces import YuNetDetector

            detector = YuNetDetector(options["detector"])
        self._upscaler = Upscaler(
            options["model"],
            faces=options["faces"] or None,
            detector=detector,
            max_face=options["max-face"] or None,
            guard=options["guard"],
            face_budget_ms=options["face-budget"] or None,
            backend=options["backend"],
            threads=options["threads"] or None,
            color="rgb" if color == "rgb" else "bgr",
            precision=options["precision"],
        )

    def _open_stream(self) -> None:
        self._close_stream()
        if self._upscaler is None or self._upscaler.info.color != self._color:
            self._close()
            self._open(self._color)
        assert self._upscaler is not None
        if self._options["live"]:
            from srsdk.live import Live

            deadline = self._options["deadline"] / 1e3 or None
            self._live = Live(self._upscaler, deadline=deadline, fps=self._fps)
        else:
            self._stream = self._upscaler.stream()

    def _close_stream(self) -> None:
        for opened in (self._live, self._stream):
            if opened is not None:
                opened.close()
        self._stream = self._live = None

    def _close(self) -> None:
        self._close_stream()
        upscaler, self._upscaler = self._upscaler, None
        self._failed = ""
        if upscaler is not None:
            upscaler.close()

    def _fail(self, error: Exception) -> bool:
        """Say on the bus what went wrong, once; always False."""
        if not self._failed:
            self._failed = str(error)
            failure = GLib.Error.new_literal(
                Gst.StreamError.quark(), self._failed, Gst.StreamError.FAILED
            )
            self.post_message(Gst.Message.new_error(self, failure, type(error).__name__))
        return False


def _resize(structure: Gst.Structure, scale: int, direction: Gst.PadDirection) -> bool:
    """Change the sizes of caps to those of the other side; False if nothing is left of them."""
    for name in ("width", "height"):
        low, high = _range(structure, name)
        if direction == Gst.PadDirection.SINK:
            low, high = min(low * scale, _LARGEST), min(high * scale, _LARGEST)
        else:
            low, high = -(-low // scale), high // scale
        if low > high:
            return False
        structure.set_value(name, low if low == high else Gst.IntRange(range(low, high)))
    return True


def _range(structure: Gst.Structure, name: str) -> tuple[int, int]:
    """Least and largest value of a field; 1 to the largest number where it is not given."""
    value = structure.get_value(name) if structure.has_field(name) else None
    if isinstance(value, int):
        return value, value
    if isinstance(value, Gst.IntRange):
        return value.range.start, value.range.stop
    return 1, _LARGEST


def _size(caps: Gst.Caps) -> tuple[int, int]:
    structure = caps.get_structure(0)
    return structure.get_value("width"), structure.get_value("height")


def _stride(width: int) -> int:
    """Bytes of a row: GStreamer pads them to whole words."""
    return (3 * width + 3) // 4 * 4


def _pixels(data: memoryview, width: int, height: int) -> Any:
    """The frame in a buffer, without a copy."""
    return np.ndarray((height, width, 3), np.uint8, data, strides=(_stride(width), 3, 1))


GObject.type_register(SrsdkUpscale)
__gstelementfactory__ = ("srsdkupscale", Gst.Rank.NONE, SrsdkUpscale)
