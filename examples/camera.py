"""A camera app: python examples/camera.py [NUMBER, FILE or URL] [--no-window]; Esc ends it."""

import sys

from srsdk import SrsdkError, Upscaler
from srsdk.live import Live, open_source
from srsdk.live.sinks import NoSink, Window

given = [argument for argument in sys.argv[1:] if argument != "--no-window"]

try:
    source = open_source(given[0] if given else 0)
    sink = NoSink() if "--no-window" in sys.argv else Window()
    with Upscaler("edge-x4", faces="portrait-x4") as upscaler, Live(upscaler) as live:
        for result in live.follow(source):  # the newest frame wins, as good as the time allows
            if not sink.show(result):  # result.pixels is uint8 BGR
                break
    print(live.stats)
except SrsdkError as error:  # its message says what to do
    raise SystemExit(f"error: {error}") from error
