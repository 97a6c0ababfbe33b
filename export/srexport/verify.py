"""Compares two ways to run a generator, on pixels, and certifies the difference."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexport.runtimes import Runner, Side
from srsdk.errors import InputError, SrsdkError
from srsdk.files import write_whole
from srsdk.spec import Precision
from srsdk.tensorrt.sidecar import read_record, sidecar_path, write_record
from srsdk.types import Pixels

FORMAT = 1


class ParityError(SrsdkError, ArithmeticError):
    """Two runtimes disagree about a generator's output."""


@dataclass(frozen=True)
class Tolerance:
    """How far two results may be apart.

    Attributes:
        largest: Largest allowed difference of a value, in grey levels.
        share_above_1: Share of values that may differ by more than 1.
        psnr: Lowest allowed PSNR between the two, in dB.
    """

    largest: int = 1
    share_above_1: float = 0.0
    psnr: float = 0.0


TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(largest=1),
    "fp16": Tolerance(largest=2, share_above_1=0.001),
    "int8": Tolerance(largest=255, share_above_1=1.0, psnr=40.0),
}
"""Tolerance for a comparison whose less exact side has this precision; see export/README.md."""


@dataclass(frozen=True)
class Parity:
    """How far two results are apart, in grey levels of u8.

    Attributes:
        largest: Largest difference of a value.
        mean: Mean difference.
        share_above_1: Share of values that differ by more than 1.
        psnr: PSNR between the two in dB; infinite where they are equal.
        non_finite: Values that were NaN or infinite on either side.
    """

    largest: int
    mean: float
    share_above_1: float
    psnr: float
    non_finite: int = 0

    def __str__(self) -> str:
        """The difference in one line."""
        return (
            f"within {self.largest} of 255 (mean {self.mean:.5f}, PSNR {self.psnr:.1f} dB, "
            f"{self.share_above_1:.3%} above 1)"
        )

    def problem(self, tolerance: Tolerance) -> str:
        """How the difference exceeds the tolerance, in words; empty if it does not."""
        if self.non_finite:
            return f"{self.non_finite} values are NaN or infinite"
        if self.largest > tolerance.largest:
            return (
                f"results differ by up to {self.largest} grey levels, {tolerance.largest} allowed "
                f"({self.share_above_1:.2%} of values by more than 1)"
            )
        if self.share_above_1 > tolerance.share_above_1:
            return (
                f"{self.share_above_1:.3%} of values differ by more than one grey level, "
                f"{tolerance.share_above_1:.3%} allowed"
            )
        if self.psnr < tolerance.psnr:
            return f"PSNR between the results is {self.psnr:.1f} dB, {tolerance.psnr:g} needed"
        return ""


@dataclass(frozen=True)
class Certificate:
    """The record of a comparison, which ships with the model.

    Attributes:
        a: The trusted side.
        b: The side that was checked.
        frames: The frames, for instance "built-in, 4 of 45x39".
        parity: The measured difference.
        tolerance: The allowed difference.
    """

    a: Side
    b: Side
    frames: str
    parity: Parity
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return not self.parity.problem(self.tolerance)

    def check(self) -> None:
        """Raise `ParityError` if the difference exceeds the tolerance."""
        problem = self.parity.problem(self.tolerance)
        if problem:
            raise ParityError(
                f"{self.a.file} ({self.a.runtime}) and {self.b.file} ({self.b.runtime}): {problem}"
            )

    def renamed(self, file: str) -> Certificate:
        """A copy with another file name for `b`."""
        return dataclasses.replace(self, b=dataclasses.replace(self.b, file=file))

    def record(self) -> dict[str, Any]:
        """The certificate as JSON values; an infinite PSNR is null."""
        facts = {"format": FORMAT, **dataclasses.asdict(self), "passed": self.passed}
        facts["parity"] = {
            key: None if value == float("inf") else value for key, value in facts["parity"].items()
        }
        return facts

    def write(self, model: Path) -> Path:
        """Write `MODEL.parity.json` beside the model and return its path.

        The certificate is also written into an engine's sidecar, if there is one.
        """
        target = certificate_path(model)
        write_whole(target, (json.dumps(self.record(), indent=2) + "\n").encode("utf-8"))
        if sidecar_path(model).is_file():
            engine = dataclasses.replace(read_record(model), parity=self.record())
            write_record(model, engine)
        return target


def certificate_path(model: Path) -> Path:
    """Path of a model's certificate: `x.parity.json` for `x.onnx`."""
    return model.with_suffix(".parity.json")


def certify(
    a: Runner, b: Runner, frames: Pixels, source: str, tolerance: Tolerance | None = None
) -> Certificate:
    """Run both on the same frames.

    Args:
        a: The trusted side.
        b: The side to check.
        frames: `(N, H, W, 3)` u8 RGB.
        source: Name of the frames, for the certificate.
        tolerance: The allowed difference; None: by the precision of the less exact side.

    Raises:
        InputError: The two differ in architecture or scale, so they are different generators.
    """
    ours, theirs = (f"{one.spec.architecture} x{one.spec.scale}" for one in (a, b))
    if ours != theirs:
        raise InputError(
            f"{a.side.file} is {ours}, {b.side.file} is {theirs}: "
            "compare two forms of one generator"
        )
    count, height, width, _ = frames.shape
    exactness: list[Precision] = ["fp32", "fp16", "int8"]
    coarser = max(a.side.precision, b.side.precision, key=exactness.index)
    return Certificate(
        a.side,
        b.side,
        f"{source}, {count} of {width}x{height}",
        compare(a, b, frames),
        tolerance or TOLERANCES[coarser],
    )


def compare(a: Runner, b: Runner, frames: Pixels) -> Parity:
    """Run both on the same `(N, H, W, 3)` u8 RGB frames and measure how far they are apart."""
    ours, theirs = a.run(frames), b.run(frames)
    return parity_of([(ours.pixels, ours.non_finite)], [(theirs.pixels, theirs.non_finite)])


def parity_of(ours: Sequence[tuple[Pixels, int]], theirs: Sequence[tuple[Pixels, int]]) -> Parity:
    """Measure pairs of results. A result is a u8 array and its number of non-finite values."""
    error = np.concatenate(
        [
            np.abs(a.astype(np.int16) - b.astype(np.int16)).ravel()
            for (a, _), (b, _) in zip(ours, theirs, strict=True)
        ]
    )
    square = float(np.mean(error.astype(np.float64) ** 2))
    return Parity(
        largest=int(error.max()),
        mean=float(error.mean()),
        share_above_1=float(np.mean(error > 1)),
        psnr=float("inf") if square == 0 else float(10 * np.log10(255.0**2 / square)),
        non_finite=sum(non_finite for _, non_finite in (*ours, *theirs)),
    )
