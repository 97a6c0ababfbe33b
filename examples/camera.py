"""A camera app: python examples/camera.py [CAMERA NUMBER, FILE or URL]; Esc ends it."""

import sys

import cv2

from srsdk import Upscaler
from srsdk.live import Live, open_source

source = open_source(sys.argv[1] if len(sys.argv) > 1 else 0)
window = "--no-window" not in sys.argv

with Upscaler("edge-x4", faces="portrait-x4") as upscaler, Live(upscaler) as live:
    for result in live.follow(source):  # the newest frame wins, as good as the time allows
        if window:
            cv2.imshow("srsdk", result.pixels)
            if cv2.waitKey(1) == 27:
                break
print(live.stats)
