"""Losses are modules; one objective a file."""

from srtrain.losses.content import ContentLoss

__all__ = ["ContentLoss"]
