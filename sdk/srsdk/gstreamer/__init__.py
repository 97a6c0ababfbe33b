"""The GStreamer element `srsdkupscale`, for pipelines on desktops and Jetsons.

    export GST_PLUGIN_PATH=$(python -m srsdk.gstreamer)
    gst-launch-1.0 v4l2src ! videoconvert ! srsdkupscale live=true ! videoconvert ! autovideosink

It stands where `videoscale` would. Its properties are the options of `srsdk live`, and
`gst-inspect-1.0 srsdkupscale` lists them; `strength` may be changed while it runs.

It needs GStreamer's Python bindings (Debian and Ubuntu: `apt install python3-gst-1.0
gstreamer1.0-python3-plugin-loader`), which load it with the system's Python: srsdk must be
installed for that one, or be on its PYTHONPATH.
"""

from pathlib import Path

PLUGIN_PATH = Path(__file__).parent
"""What GST_PLUGIN_PATH must hold."""
