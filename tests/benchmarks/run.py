"""`make bench`: srsdk beside what a user would pick instead, in one run on the same frames.

    python -m tests.benchmarks.run [--rounds 40] [--only edge-x4]... [--resume]

Writes bench.json (see SCHEMA.md), bench.md, bench.png and profile.txt into --output. Development
sets and peers' models come from the folder that SRSDK_DATA names (data/, peers/); what is missing
is skipped and named. Every row runs in a process of its own that is stopped while another row has
its turn; turns come in a new order every round. Measurements are kept as they come: a run that was
cut short goes on with --resume.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import srsdk
from srsdk import Upscaler, zoo
from srsdk.cpu import usable_cores
from tests.benchmarks.comparison import bars, picture, profile, rounds, table, videos
from tests.benchmarks.comparison.account import account
from tests.benchmarks.comparison.candidates import Candidate, candidates
from tests.benchmarks.comparison.material import ROOT, Material, prepare
from tests.benchmarks.comparison.progress import Progress
from tests.benchmarks.comparison.workers import WorkerError

RESULTS = Path(__file__).parent / "results"
ENVIRONMENTS = ROOT / "build" / "peers"


def main() -> None:
    arguments = _arguments()
    folder: Path = arguments.output
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", file=sys.stderr, flush=True)

    file = folder / "progress.json"
    if not arguments.resume:
        file.unlink(missing_ok=True)
    progress = Progress.load_or_new(file, _settings(arguments))
    if not progress.chosen:
        progress.chosen = _chosen()
    material = prepare(work, arguments.size, arguments.faces)
    _measure(arguments, progress, material, file, say)
    _measure_videos(arguments, progress, file, say)
    _write(progress, material, folder)
    if not arguments.no_profile:
        _profile(arguments, progress, material, folder / "profile.txt", say)
    if arguments.publish:
        for kept in ("bench.json", "bench.md", "bench.png", "profile.txt"):
            if (folder / kept).is_file():
                shutil.copy(folder / kept, RESULTS / f"{arguments.publish}-{kept}")
    say(f"{folder / 'bench.md'} and what lies beside it")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40, help="turns of each row")
    parser.add_argument("--minutes", type=float, default=10, help="at most, for the rounds")
    parser.add_argument(
        "--only", action="append", default=[], help="rows whose name contains this; may be repeated"
    )
    parser.add_argument(
        "--skip", action="append", default=[], help="rows whose name contains this; may be repeated"
    )
    parser.add_argument("--size", type=_size, default=(320, 180), help="of frames, WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--faces", type=int, help="of each development set; a multiple of 4")
    parser.add_argument("--video-rounds", type=int, default=3, help="runs of each video; 0: none")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--resume", action="store_true", help="go on where a run was cut short")
    parser.add_argument("--no-install", action="store_true", help="make no environments for peers")
    parser.add_argument("--no-profile", action="store_true")
    parser.add_argument("--publish", metavar="NAME", help="copy the results to results/NAME-*")
    arguments = parser.parse_args()
    arguments.output = arguments.output.resolve()
    return arguments


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text}: expected WIDTHxHEIGHT")
    return int(found[1]), int(found[2])


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "size": list(arguments.size),
        "threads": arguments.threads,
        "faces": arguments.faces,
        "srsdk": srsdk.__version__,
        "models": {entry.name: entry.sha256 for entry in zoo.models()},
    }


def _chosen() -> dict[str, str]:
    """What "auto" stands for here."""
    found = {}
    for entry in zoo.models():
        with Upscaler(entry.name) as upscaler:
            found[entry.name] = upscaler.info.frames.name
    return found


def _measure(
    arguments: argparse.Namespace, progress: Progress, material: Material, file: Path, say: Any
) -> None:
    wanted = []
    for candidate in _named(candidates(), arguments):
        row = progress.rows.get(candidate.name)
        if row is None or row.rounds < arguments.rounds or not row.judged:
            wanted.append(candidate)
    if not wanted:
        return

    def save() -> None:
        progress.save(file)

    rows = rounds.open_rows(
        wanted,
        progress,
        material,
        ENVIRONMENTS,
        threads=arguments.threads,
        install=not arguments.no_install,
        say=say,
    )
    try:
        rows = rounds.check_agreement(rows, progress, material)
        save()
        rows = rounds.run_rounds(
            rows,
            progress,
            rounds=arguments.rounds,
            seconds=60 * arguments.minutes,
            save=save,
            say=say,
        )
        rounds.judge_rows(rows, progress, material, save, say)
    finally:
        for _, worker in rows:
            worker.close()


def _named(rows: list[Candidate], arguments: argparse.Namespace) -> list[Candidate]:
    return [row for row in rows if _asked(row.name, arguments)]


def _asked(name: str, arguments: argparse.Namespace) -> bool:
    wanted = not arguments.only or any(part in name for part in arguments.only)
    return wanted and not any(part in name for part in arguments.skip)


def _face_model() -> str:
    known = [entry.name for entry in zoo.models()]
    return "portrait-x4" if "portrait-x4" in known else "srresnet-x4"


def _measure_videos(
    arguments: argparse.Namespace, progress: Progress, file: Path, say: Any
) -> None:
    wanted = {"video/faces-off": "none", "video/faces-on": _face_model()}
    for number in range(arguments.video_rounds):
        for name, faces in list(wanted.items())[:: 1 if number % 2 else -1]:
            runs = progress.videos.setdefault(name, [])
            if len(runs) > number or not _asked(name, arguments):
                continue
            try:
                found = videos.enhance(faces, arguments.threads)
            except WorkerError as error:
                progress.skipped[name] = str(error)
                continue
            runs.append(found | {"face_model": None if faces == "none" else faces})
            progress.save(file)
            say(f"{name}: {found['frames'] / found['wall']:.1f} fps")


def _write(progress: Progress, material: Material, folder: Path) -> None:
    found = account(progress, material.peers())
    judged = bars.bars(found)
    text = json.dumps(found.to_json(judged), indent=1) + "\n"
    (folder / "bench.json").write_text(text, "utf-8")
    text = table.markdown(found, judged)
    (folder / "bench.md").write_text(text, "utf-8")
    print(text)
    missing = picture.draw(found, folder / "bench.png")
    if missing:
        print(missing)


def _profile(
    arguments: argparse.Namespace, progress: Progress, material: Material, file: Path, say: Any
) -> None:
    reason = profile.available()
    if reason:
        say(f"no profile: {reason}")
        return
    names = [f"frame/edge-x4/{progress.chosen['edge-x4']}", "frame/edge-x4/obvious"]
    names += [
        f"faces/{model}/{progress.chosen.get(model)}" for model in ("srresnet-x4", "portrait-x4")
    ]
    chosen = [row for row in _named(candidates(), arguments) if row.name in names]
    nothing = Progress(progress.settings)
    rows = rounds.open_rows(
        chosen, nothing, material, ENVIRONMENTS, threads=arguments.threads, install=False, say=say
    )
    head = "Samples of the processor's clock by library and function; shares of all samples.\n"
    parts = [head]
    for candidate, worker in rows:
        parts.append(profile.of_row(candidate, worker))
        worker.close()
    if arguments.video_rounds and _asked("video", arguments):
        parts += [profile.of_video(faces, arguments.threads) for faces in ("none", _face_model())]
    file.write_text("\n".join(parts), "utf-8")


if __name__ == "__main__":
    main()
