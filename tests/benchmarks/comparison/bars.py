"""The bars: what was promised, and by how much it is met or missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.comparison.account import Account, Entry

FRAME_MODEL, FACE_MODEL = "edge-x4", "srresnet-x4"


@dataclass(frozen=True)
class Bar:
    """One promise.

    Attributes:
        number: Of the bar; several lines may share one.
        text: What is promised.
        needed: The least, or with `at_most` the most, that keeps it.
        measured: What was found; None: a row that it needs is missing.
        met: Whether it is kept; None: not judged.
        note: Why it is not judged, or what else to know.
        at_most: Whether less is better.
    """

    number: int
    text: str
    needed: float
    measured: float | None
    met: bool | None
    note: str = ""
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """In words."""
        if self.met is None or self.measured is None:
            return "not judged" + (f": {self.note}" if self.note else "")
        by = abs(self.measured - self.needed) / abs(self.needed) if self.needed else 0.0
        how = f" ({by:.0%} {'to spare' if self.met else 'short'})" if by else ""
        return ("met" if self.met else "missed") + how + (f"; {self.note}" if self.note else "")


def bars(found: Account) -> list[Bar]:
    """All of them, in order."""
    return [
        *_first(found),
        *_videos(found),
        *_peers(found),
        *_ceiling(found),
        *_own_cost(found),
        *_int8(found),
        *_challenge(found),
    ]


def _first(found: Account) -> Iterator[Bar]:
    ours = found.default("frame", FRAME_MODEL)
    obvious = found.get(f"frame/{FRAME_MODEL}/obvious")
    text = f'Upscaler("{FRAME_MODEL}")(frame): times the speed of the same weights the obvious way'
    yield _at_least(1, text, 2.0, _ratio(obvious, ours))
    product = found.ceilings.get("matrix_product_gflops")
    text = "the same: frames per second, where the matrix product gives 100 GFLOP/s or more"
    fps = ours.fps if ours else None
    if product is None or product >= 100:
        yield _at_least(1, text, 60.0, fps)
    else:
        note = f"the matrix product gives {product:.0f} GFLOP/s, in this run of this machine"
        yield Bar(1, text, 60.0, fps, None, note)


def _videos(found: Account) -> Iterator[Bar]:
    off, on = found.get("video/faces-off"), found.get("video/faces-on")
    text = "srsdk enhance, 320x180 H.264 with sound to 720p H.264, faces off: frames per second"
    yield _at_least(2, text, 60.0, off.fps if off else None)
    wanted = "portrait-x4"
    used = on.row.face_model if on else wanted
    note = "" if used == wanted else f"with {used}, since {wanted} is not in the zoo"
    text = f"the same, one face through {used}: frames per second"
    yield _at_least(2, text, 40.0, on.fps if on else None, note)


def _peers(found: Account) -> Iterator[Bar]:
    ours = found.default("frame", FRAME_MODEL)
    esrgan = found.get("frame/realesrgan")
    text = f"{FRAME_MODEL}: times the speed of Real-ESRGAN general v3"
    yield _at_least(3, text, 10.0, _ratio(esrgan, ours))
    yield from _psnr(ours, esrgan, "Real-ESRGAN general v3")
    for name, label in (("fsrcnn", "FSRCNN"), ("espcn", "ESPCN")):
        other = found.get(f"frame/{name}")
        yield _at_least(3, f"{FRAME_MODEL}: times the speed of {label}", 1.0, _ratio(other, ours))
        yield from _psnr(ours, other, label)


def _psnr(ours: Entry | None, other: Entry | None, label: str) -> Iterator[Bar]:
    sets = [] if ours is None or other is None else sorted(set(ours.row.psnr) & set(other.row.psnr))
    if not sets or ours is None or other is None:
        yield _at_least(3, f"{FRAME_MODEL}: PSNR above {label}", 0.0, None)
        return
    for name in sets:
        better = ours.row.psnr[name] - other.row.psnr[name]
        text = f"{FRAME_MODEL}: dB above {label} on {name}"
        yield Bar(3, text, 0.0, better, better > 0)


def _ceiling(found: Account) -> Iterator[Bar]:
    ours = found.default("faces", FACE_MODEL)
    text = f"{FACE_MODEL}, four 32x32 faces: share of the matrix product, report's multiply-adds"
    yield _at_least(4, text, 0.85, ours.row.ceiling_share if ours else None)


def _own_cost(found: Account) -> Iterator[Bar]:
    text = "cost of a call over its graph alone, {}, ONNX Runtime"
    for group, model in (("frame", FRAME_MODEL), ("faces", FACE_MODEL)):
        ratio = _ratio(
            found.get(f"{group}/{model}/onnxruntime"), found.get(f"{group}/{model}/graph-alone")
        )
        cost = None if ratio is None else ratio - 1
        yield _at_most(5, text.format(model), 0.15, cost)
    ours = found.default("frame", FRAME_MODEL)
    stages = ours.row.stages if ours else {}
    network = sum(stage.p50 for name, stage in stages.items() if "layer" in name or name == "graph")
    if ours is not None and network and "total" in stages:
        cost = stages["total"].p50 / network - 1
        backend = ours.row.backend
        yield _at_most(5, f"the same, {FRAME_MODEL}, {backend} over its layers", 0.15, cost)


def _int8(found: Account) -> Iterator[Bar]:
    ours = found.get(f"frame/{FRAME_MODEL}/native")
    names = ("onnxruntime-int8-graph", "openvino-int8-graph", "ncnn")
    others = [found.get(f"frame/{FRAME_MODEL}/{name}") for name in names]
    best = min((one for one in others if one), key=lambda one: one.p50, default=None)
    text = f"{FRAME_MODEL} in int8, whole call: times the speed of the best other, graph alone"
    yield _at_least(6, text, 1.5, _ratio(best, ours), best.label if best else "")


def _challenge(found: Account) -> Iterator[Bar]:
    """Whether an entry of the NTIRE 2026 challenge is above our line in the picture."""
    ours = [one for one in found.entries.values() if one.group == "frame" and one.kind == "ours"]
    for name in ("span", "disp", "pds"):
        other = found.get(f"frame/{name}")
        text = f"dB of the best srsdk model that is as fast as {name.upper()} above it"
        as_fast = [one for one in ours if other and one.p50 <= other.p50 and one.row.psnr]
        if other is None or not other.row.psnr or not as_fast:
            yield _at_least(7, text, 0.0, None)
            continue
        best = max(as_fast, key=_quality)
        yield _at_least(7, text, 0.0, _quality(best) - _quality(other), best.label)


def _quality(entry: Entry) -> float:
    """Mean PSNR of the sets."""
    return sum(entry.row.psnr.values()) / max(1, len(entry.row.psnr))


def _ratio(slow: Entry | None, fast: Entry | None) -> float | None:
    """Of the medians."""
    return None if slow is None or fast is None else slow.p50 / fast.p50


def _at_least(number: int, text: str, needed: float, measured: float | None, note: str = "") -> Bar:
    if measured is None:
        return Bar(number, text, needed, None, None, "a row that it needs was not measured")
    return Bar(number, text, needed, measured, measured >= needed, note)


def _at_most(number: int, text: str, needed: float, measured: float | None) -> Bar:
    if measured is None:
        note = "a row that it needs was not measured"
        return Bar(number, text, needed, None, None, note, at_most=True)
    return Bar(number, text, needed, measured, measured <= needed, at_most=True)
