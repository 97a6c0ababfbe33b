"""Which files a command line means: inputs, and where each result goes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srsdk.cli.imagefile import READ, is_animation, is_image
from srsdk.cli.imagewriter import WRITTEN
from srsdk.cli.numbering import is_pattern, natural_order
from srsdk.cli.outputs import typed_path
from srsdk.errors import InputError

JobKind = Literal["image", "video", "pictures", "frames"]
"""What a job turns into what: "pictures" a folder into a video, "frames" a video into a folder."""

STANDARD = Path("-")
"""Stdin or stdout."""

_VIDEOS = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".asf", ".vob", ".mxf", ".y4m", ".nut", ".mj2"),
}
_VIDEOS_WRITTEN = {".mp4", ".m4v", ".mov", ".mkv", ".webm"}


@dataclass(frozen=True)
class Job:
    """One file to enhance.

    Attributes:
        source: The input.
        target: The output.
        compare: The side-by-side output, or None.
        kind: What is done, by the content of the input, else by its name.
        make_folder: Whether the target's folder is to be created where it is missing.
        pictures: For kind "pictures", the pictures in their order.
    """

    source: Path
    target: Path
    compare: Path | None
    kind: JobKind
    make_folder: bool
    pictures: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A file of a folder that is not enhanced.

    Attributes:
        path: The file.
        reason: Why not.
    """

    path: Path
    reason: str


def plan(
    inputs: Sequence[str], output: str, *, recursive: bool = False, compare: bool = False
) -> tuple[list[Job], list[Skipped]]:
    """Turn a command line into jobs.

    One file as the input makes `output` a file, unless that is an existing folder or ends with a
    separator. Anything else makes it a folder, created where missing, that gets the results under
    the names of the inputs; videos in formats that are not written become .mkv. A folder as the
    input stands for the images and videos in it, by their names' endings; hidden files are left
    out. With `recursive` its folders are searched too, and the output has the same folders.

    A folder of pictures with a video's name as the output makes one video of them, in the order of
    their numbers; a video with a pattern such as frames/%06d.png as the output makes pictures.
    "-" is stdin or stdout.

    Args:
        inputs: Files and folders as typed, at least one.
        output: The output as typed.
        recursive: Also search the folders of folders.
        compare: Add a side-by-side output, `NAME.compare.EXT`, beside each result.

    Returns:
        The jobs, and the files in folders that are left out.

    Raises:
        InputError: Nothing to do, two results with one name, or a result that is an input.
    """
    if not output:
        raise InputError("the output has no name; give -o FILE or FOLDER")
    if "" in inputs:
        raise InputError("an input has no name")
    for typed in (*inputs, output):
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", typed):
            raise InputError(
                f"{typed} is a network address; download the file first (for streams there is "
                "`srsdk live`)"
            )
    sources = [typed_path(given) for given in inputs]
    target = typed_path(output)
    if STANDARD in (target, *sources) or is_pattern(target):
        return [_single(sources, target, compare=compare)], []
    ends_open = output.endswith(("/", os.sep))
    one_folder = len(sources) == 1 and sources[0].is_dir()
    is_video = target.suffix.lower() in _VIDEOS_WRITTEN and not (ends_open or target.is_dir())
    if one_folder and is_video:
        return _pictures(sources[0], target, recursive=recursive, compare=compare)
    to_folder = len(sources) > 1 or sources[0].is_dir() or target.is_dir() or ends_open
    if to_folder and target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file, but several results need a folder")
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for given in sources:
        if not given.is_dir():
            jobs.append(
                _job(given, target / given.name if to_folder else target, compare, to_folder)
            )
            continue
        found = 0
        for path in _files(given, recursive=recursive, but=target):
            if not path.is_file():
                skipped.append(Skipped(path, "no regular file"))
                continue
            if path.suffix.lower() not in READ | _VIDEOS:
                skipped.append(Skipped(path, "no image or video, by its name"))
                continue
            found += 1
            jobs.append(_job(path, target / path.relative_to(given), compare, True))
        if not found:
            deeper = "" if recursive else " (--recursive searches its folders too)"
            raise InputError(f"folder {given} holds no images or videos{deeper}")
    _check_names(jobs)
    return jobs, skipped


def _single(sources: list[Path], target: Path, *, compare: bool) -> Job:
    """A job whose input or output is a pipe or a folder of frames."""
    if len(sources) > 1:
        raise InputError(f"{target} takes one input; give one, or a folder as the output")
    if compare:
        raise InputError("--compare needs a file as the output")
    source = sources[0]
    if target == STANDARD or is_pattern(target):
        if target.suffix.lower() in _VIDEOS_WRITTEN:
            raise InputError(
                f"{target}: %d in a name stands for the number of a picture; name the pictures "
                "frames/%06d.png, or leave % out of the video's name"
            )
        if source != STANDARD and not source.is_dir() and kind_of(source) == "image":
            raise InputError(f"{source} is an image; name the output as one, for instance .png")
        if source.is_dir():
            raise InputError(f"{source} is a folder; give a video, or a folder as the output")
        return Job(source, target, None, "frames", False)
    return Job(source, target, None, "video", False)


def _pictures(
    folder: Path, target: Path, *, recursive: bool, compare: bool
) -> tuple[list[Job], list[Skipped]]:
    """One video of all pictures of a folder."""
    if recursive:
        raise InputError("--recursive makes no video; give one folder of pictures")
    files = list(_files(folder, recursive=False, but=target))
    pictures = sorted(
        (p for p in files if p.suffix.lower() in READ and p.is_file()), key=natural_order
    )
    skipped = [Skipped(p, "no picture, by its name") for p in files if p not in set(pictures)]
    if not pictures:
        raise InputError(
            f"folder {folder} holds no pictures to make {target} of; for a folder of results end "
            f"the output with {os.sep}"
        )
    beside = target.with_name(f"{target.stem}.compare{target.suffix}") if compare else None
    job = Job(folder, target, beside, "pictures", False, tuple(pictures))
    return [job], skipped


def _job(source: Path, target: Path, compare: bool, in_folder: bool) -> Job:
    kind = kind_of(source)
    if (
        not in_folder
        and kind == "image"
        and target.suffix.lower() in _VIDEOS_WRITTEN
        and is_animation(source)
    ):
        kind = "video"  # FFmpeg reads animations too
    if in_folder:
        target = _named(target, kind)
    beside = target.with_name(f"{target.stem}.compare{target.suffix}") if compare else None
    return Job(source, target, beside, kind, in_folder)


def _named(target: Path, kind: JobKind) -> Path:
    """The path of a result that takes the name of its input."""
    if kind == "image":
        return (
            target if target.suffix.lower() in WRITTEN else target.with_name(f"{target.name}.png")
        )
    return target if target.suffix.lower() in _VIDEOS_WRITTEN else target.with_suffix(".mkv")


def kind_of(path: Path) -> JobKind:
    """What a file is by its first bytes, else by its name; a missing one by its name."""
    suffix = path.suffix.lower()
    if path.is_file():  # to open a pipe would wait for its other end
        with contextlib.suppress(OSError):
            if is_image(path):
                return "image"
            if path.stat().st_size and suffix in _VIDEOS:
                return "video"
    return "image" if suffix in READ else "video"


def _files(folder: Path, *, recursive: bool, but: Path) -> Iterator[Path]:
    """What is visible in a folder, sorted, without folders and what lies in the output folder."""
    excluded = but.resolve()
    entries: Iterable[Path] = folder.rglob("*") if recursive else folder.iterdir()
    for path in sorted(entries):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.is_dir():
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
