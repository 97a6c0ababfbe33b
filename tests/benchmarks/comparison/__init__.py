"""The comparison behind `make bench`: srsdk beside what a user would pick instead."""
