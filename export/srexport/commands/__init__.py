"""The commands of `srsdk-export`, one file each."""
