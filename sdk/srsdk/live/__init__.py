"""Live video: the newest frame of a camera, as good as the time allows.

    with Upscaler("edge-x4", faces="portrait-x4") as upscaler, Live(upscaler) as live:
        for result in live.follow(open_source("0")):
            cv2.imshow("srsdk", result.pixels)
            cv2.waitKey(1)
        print(live.stats)

`open_source` reads cameras, files and network streams; `srsdk.live.sinks` shows, records or hands
on what comes out.
"""

from srsdk.live.cost import Cost, CostModel, MeasuredCost
from srsdk.live.levels import Level
from srsdk.live.live import Live, LiveFrame
from srsdk.live.render import Renderer
from srsdk.live.scheduler import Patience, Scheduler
from srsdk.live.sources import Source, open_source
from srsdk.live.stats import LiveStats

__all__ = [
    "Cost",
    "CostModel",
    "Level",
    "Live",
    "LiveFrame",
    "LiveStats",
    "MeasuredCost",
    "Patience",
    "Renderer",
    "Scheduler",
    "Source",
    "open_source",
]
