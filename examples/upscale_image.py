"""One image, four times as large: `python examples/upscale_image.py in.png out.png`."""

from __future__ import annotations

import sys

import cv2

from srsdk import SrsdkError, Upscaler


def main(source: str, target: str) -> None:
    image = cv2.imread(source, cv2.IMREAD_UNCHANGED)
    if image is None:  # OpenCV does not raise
        raise SystemExit(f"cannot read {source}")
    if not cv2.haveImageWriter(target):
        raise SystemExit(f"cannot write {target}: choose an ending such as .png or .jpg")
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler:
        if not cv2.imwrite(target, upscaler(image)):
            raise SystemExit(f"cannot write {target}: check its folder")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python examples/upscale_image.py IN OUT")
    try:
        main(*sys.argv[1:])
    except SrsdkError as error:  # its message says what to do
        raise SystemExit(f"error: {error}") from error
