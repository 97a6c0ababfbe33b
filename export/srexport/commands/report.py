"""Wording that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srexport.verify import Parity


def agreement(parity: Parity) -> str:
    """A parity in one line."""
    return (
        f"within {parity.largest} of 255 (mean {parity.mean:.5f}, PSNR {parity.psnr:.1f} dB, "
        f"{parity.share_above_1:.3%} above 1)"
    )
