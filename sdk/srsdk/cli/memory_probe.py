"""A process that runs a few frames and writes its largest resident memory in bytes to stdout.

Memory of a candidate can only be told apart from that of others, and from the benchmark's own, in a
process that has nothing else in it.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

from srsdk.cli.bench_frames import BenchFrames
from srsdk.cli.measure import BenchChoice
from srsdk.cli.record import peak_memory

_FRAMES = 12


def main(text: str) -> None:
    """Run what `srsdk.cli.measure` asks for, in JSON."""
    arguments = json.loads(text)
    source, every = arguments["source"], arguments["detect_every"]
    path = None if source is None else Path(source)
    given = BenchFrames(path, tuple(arguments["size"]), _FRAMES, 0, every)
    with BenchChoice(**arguments["choice"]).open() as upscaler:
        stream, out = upscaler.stream(detect_every=every), None
        for frame in islice(given.pictures(), _FRAMES):
            out = stream(frame, out=out)
    sys.stdout.write(f"{peak_memory()}\n")


if __name__ == "__main__":
    main(sys.argv[1])
