"""Comparing two ways to run one generator, on pixels, and the certificate of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexport.runtimes import Party, Pixels, Runner
from srsdk.errors import InputError, SrsdkError
from srsdk.spec import Precision
from srsdk.tensorrt.sidecar import read_record, sidecar_path, write_record

"""Key of the certificate in an ONNX file's metadata."""

FORMAT = 1


class ParityError(SrsdkError, ArithmeticError):
    """Two runtimes disagree about a generator's output."""


@dataclass(frozen=True)
class Tolerance:
    """How far two results may be apart.

    Attributes:
        largest: Largest difference of a value, in grey levels.
        share_above_1: Share of values that may differ by more than 1.
        psnr: Least PSNR between the two, in dB.
    """

    largest: int = 1
    share_above_1: float = 0.0
    psnr: float = 0.0


TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(largest=1),
    "fp16": Tolerance(largest=2, share_above_1=0.001),
    "int8": Tolerance(largest=255, share_above_1=1.0, psnr=40.0),
}
"""What is accepted where the less exact side has this precision; why: export/README.md."""


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

    def problem(self, tolerance: Tolerance) -> str:
        """What is past the tolerance, in words; empty where nothing is."""
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
        a: One side.
        b: The other side.
        frames: What was compared on, for instance "built-in, 4 of 45x39".
        parity: The measured difference.
        tolerance: What was allowed.
    """

    a: Party
    b: Party
    frames: str
    parity: Parity
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return not self.parity.problem(self.tolerance)

    def check(self) -> None:
        """Raise `ParityError` where the difference is past the tolerance."""
        problem = self.parity.problem(self.tolerance)
        if problem:
            raise ParityError(
                f"{self.a.file} ({self.a.runtime}) and {self.b.file} ({self.b.runtime}): {problem}"
            )

    def renamed(self, file: str) -> Certificate:
        """The same with another file name for `b`."""
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

        An engine's sidecar, where there is one, gets the certificate too.
        """
        target = certificate_path(model)
        temporary = target.with_name(target.name + ".tmp")
        temporary.write_text(json.dumps(self.record(), indent=2) + "\n", "utf-8")
        temporary.replace(target)
        if sidecar_path(model).is_file():
            engine = dataclasses.replace(read_record(model), parity=self.record())
            write_record(model, engine)
        return target


def certificate_path(model: Path) -> Path:
    """Where the certificate of a model lies: `x.onnx` has `x.parity.json`."""
    return model.with_suffix(".parity.json")


def certify(
    a: Runner, b: Runner, frames: Pixels, source: str, tolerance: Tolerance | None = None
) -> Certificate:
    """Run both on the same frames.

    Args:
        a: The one that is believed.
        b: The one in question.
        frames: `(N, H, W, 3)` u8 RGB.
        source: Where the frames come from, for the certificate.
        tolerance: What is allowed; None takes that of the less exact side's precision.

    Raises:
        InputError: The two differ in architecture or scale, so they are not one generator.
    """
    ours, theirs = (f"{one.spec.architecture} x{one.spec.scale}" for one in (a, b))
    if ours != theirs:
        raise InputError(
            f"{a.party.file} is {ours}, {b.party.file} is {theirs}: "
            "compare two forms of one generator"
        )
    count, height, width, _ = frames.shape
    exactness: list[Precision] = ["fp32", "fp16", "int8"]
    coarser = max(a.party.precision, b.party.precision, key=exactness.index)
    return Certificate(
        a.party,
        b.party,
        f"{source}, {count} of {width}x{height}",
        compare(a, b, frames),
        tolerance or TOLERANCES[coarser],
    )


def compare(a: Runner, b: Runner, frames: Pixels) -> Parity:
    """Run both on the same `(N, H, W, 3)` u8 RGB frames and measure how far they are apart."""
    ours, theirs = a.run(frames), b.run(frames)
    return parity_of([(ours.pixels, ours.non_finite)], [(theirs.pixels, theirs.non_finite)])


def parity_of(ours: Sequence[tuple[Pixels, int]], theirs: Sequence[tuple[Pixels, int]]) -> Parity:
    """Measure pairs of results, each a u8 array and its number of values that are not finite."""
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
        non_finite=sum(strange for _, strange in (*ours, *theirs)),
    )
