"""Which files a command line means: inputs, and where each result goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srsdk.cli.imageheader import sniff
from srsdk.errors import InputError

Kind = Literal["image", "video"]

_IMAGES = {".jpg", ".jpeg", ".png", ".webp"}
_VIDEOS = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".wmv", ".flv", ".3gp", ".ogv"),
}
_WRITTEN = {".mp4", ".m4v", ".mov", ".mkv", ".webm"}


@dataclass(frozen=True)
class Job:
    """One file to enhance.

    Attributes:
        source: The input.
        target: The output.
        compare: The side-by-side output, or None.
        kind: What the input is, by its content, else by its name.
        make_folder: Whether the target's folder is to be created where it is missing.
    """

    source: Path
    target: Path
    compare: Path | None
    kind: Kind
    make_folder: bool


def plan(
    inputs: Sequence[str], output: str, *, recursive: bool = False, compare: bool = False
) -> tuple[list[Job], int]:
    """Turn a command line into jobs.

    One file as the input makes `output` a file, unless that is an existing folder or ends with a
    separator. Anything else makes it a folder, created where missing, that gets the results under
    the names of the inputs; videos in formats that are not written become .mkv. A folder as the
    input stands for the images and videos in it, by their names' endings; hidden files are left
    out. With `recursive` its folders are searched too, and the output has the same folders.

    Args:
        inputs: Files and folders as typed, at least one.
        output: The output as typed.
        recursive: Also search the folders of folders.
        compare: Add a side-by-side output, `NAME.compare.EXT`, beside each result.

    Returns:
        The jobs, and the number of files in folders that are no images or videos.

    Raises:
        InputError: Nothing to do, two results with one name, or a result that is an input.
    """
    if not output:
        raise InputError("the output has no name; give -o FILE or FOLDER")
    if "" in inputs:
        raise InputError("an input has no name")
    sources = [Path(given).expanduser() for given in inputs]
    target = Path(output).expanduser()
    ends_open = output.endswith(("/", os.sep))
    to_folder = len(sources) > 1 or sources[0].is_dir() or target.is_dir() or ends_open
    if to_folder and target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file, but several results need a folder")
    jobs: list[Job] = []
    skipped = 0
    for given in sources:
        if not given.is_dir():
            jobs.append(
                _job(given, target / given.name if to_folder else target, compare, to_folder)
            )
            continue
        found = 0
        for path in _files(given, recursive=recursive, but=target):
            if path.suffix.lower() not in _IMAGES | _VIDEOS:
                skipped += 1
                continue
            found += 1
            jobs.append(_job(path, target / path.relative_to(given), compare, True))
        if not found:
            deeper = "" if recursive else " (--recursive searches its folders too)"
            raise InputError(f"folder {given} holds no images or videos{deeper}")
    _check_names(jobs)
    return jobs, skipped


def _job(source: Path, target: Path, compare: bool, in_folder: bool) -> Job:
    kind = kind_of(source)
    if in_folder:
        target = _named(target, kind)
    beside = target.with_name(f"{target.stem}.compare{target.suffix}") if compare else None
    return Job(source, target, beside, kind, in_folder)


def _named(target: Path, kind: Kind) -> Path:
    """The name of a result that is called after its input."""
    if kind == "image":
        return (
            target if target.suffix.lower() in _IMAGES else target.with_name(f"{target.name}.png")
        )
    return target if target.suffix.lower() in _WRITTEN else target.with_suffix(".mkv")


def kind_of(path: Path) -> Kind:
    """What a file is by its first bytes, else by its name; a missing one by its name."""
    start = b""
    if path.is_file():  # to open a pipe would wait for its other end
        with contextlib.suppress(OSError), path.open("rb") as file:
            start = file.read(12)
    return "image" if sniff(start) or path.suffix.lower() in _IMAGES else "video"


def _files(folder: Path, *, recursive: bool, but: Path) -> Iterator[Path]:
    """Visible files of a folder, sorted; what lies in the output folder is not an input."""
    excluded = but.resolve()
    entries: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
    for path in sorted(entries):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        if recursive and excluded != folder.resolve() and excluded in path.resolve().parents:
            continue
        yield path


def _check_names(jobs: list[Job]) -> None:
    sources = {job.source.resolve(): job for job in jobs}
    made: dict[Path, Job] = {}
    for job in jobs:
        for path in (job.target, job.compare):
            if path is None:
                continue
            place = path.resolve()
            if place in sources or _same(job.source, path):
                whose = "the input itself" if _same(job.source, path) else "one of the inputs"
                raise InputError(f"{path} is {whose}; choose another name or folder for the output")
            if place in made and made[place] is not job:
                raise InputError(
                    f"{made[place].source} and {job.source} would both be written to {path}; "
                    "enhance them one by one"
                )
            made[place] = job


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()
