"""Training of srsdk's generators; needs the extra `train` (PyTorch)."""
