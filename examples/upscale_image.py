"""One image, four times as large: `python examples/upscale_image.py in.png out.png`."""

from __future__ import annotations

import sys

import cv2

from srsdk import Upscaler


def main(source: str, target: str) -> None:
    image = cv2.imread(source, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise SystemExit(f"cannot read {source}")
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler:
        cv2.imwrite(target, upscaler(image))


if __name__ == "__main__":
    main(*sys.argv[1:3])
