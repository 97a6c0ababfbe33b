"""Prints what GST_PLUGIN_PATH must hold."""

from srsdk.gstreamer import PLUGIN_PATH

print(PLUGIN_PATH)
