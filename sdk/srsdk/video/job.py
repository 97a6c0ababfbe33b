"""The folder of an unfinished video, `.NAME.srsdk-job/` beside it: what a new run goes on from.

    lock               held by the process that works on this output
    journal            a line of JSON for the job, then one for each finished chunk
    00000.0.packets    the encoded frames of a chunk, for the first output (1: the comparison)
    00000.state        what the processor remembers after the chunk
    00000.notes        what the reader needs to go on after the chunk
    output.0.EXT       the output as far as it is written

Everything that the journal names was on the disk before its line was. So a process may be killed at
any moment, or the power fail: what the journal names is whole, and the rest is thrown away.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from srsdk.errors import VideoError
from srsdk.video.chunks import read_packets, write_packet
from srsdk.video.locked import FileLock
from srsdk.video.opening import reason
from srsdk.video.replay import check_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from srsdk.video.picture import EncodedPacket


_FINISHED = {"finished": True}


def folder_of(target: Path) -> Path:
    """Where the unfinished work on an output is."""
    return target.with_name(f".{target.name[:200]}.srsdk-job")


def remove_finished(target: Path) -> None:
    """Remove the folder of a job that was killed after its output had got its name."""
    folder = folder_of(target)
    if not target.exists() or not folder.is_dir():
        return
    journal = folder / "journal"
    # Without one the job was killed when it took the folder away.
    if journal.exists() and list(_lines(journal))[-1:] != [_FINISHED]:
        return
    with contextlib.suppress(OSError):
        lock = FileLock.acquire(folder / "lock")
        if lock is not None:
            shutil.rmtree(folder)
            lock.release()


@dataclass(frozen=True)
class Chunk:
    """A finished part of the video.

    Attributes:
        number: Counted from 0.
        frames: Frames in it.
        sizes: Bytes of its packets, for each output.
        state: Whether the processor's memory was kept.
        notes: Whether there are notes of the reader.
    """

    number: int
    frames: int
    sizes: tuple[int, ...]
    state: bool
    notes: bool


class JobFolder:
    """The folder of one output; only one process at a time has it.

    Args:
        target: The output.
        outputs: Number of outputs, 2 with a comparison.

    Attributes:
        path: The folder.
        chunks: Chunks that earlier runs finished.
        restarted: Why these are of no use, empty where they are or where there were none.

    Raises:
        VideoError: The folder cannot be made, or another process works on this output.
    """

    def __init__(self, target: Path, outputs: int) -> None:
        self.path = folder_of(target)
        self.chunks: list[Chunk] = []
        self.restarted = ""
        self._target, self._outputs = target, outputs
        self._journal: BinaryIO | None = None
        self._files: list[BinaryIO] = []
        self._number = 0
        try:
            self._lock = self._take()
        except OSError as error:
            raise self._failure(error) from error

    def _take(self) -> FileLock:
        for _ in range(10):
            self.path.mkdir(exist_ok=True)
            try:
                lock = FileLock.acquire(self.path / "lock")
            except FileNotFoundError:
                continue  # its last user has just taken the folder away
            if lock is None:
                raise VideoError(
                    f"{self._target} is being written by another srsdk; wait for it, or choose "
                    "another output"
                )
            return lock
        raise FileNotFoundError(2, "the folder is taken away again and again")

    def open(self, identity: Mapping[str, Any] | None) -> None:
        """Read what earlier runs left, and go on where they were if they did the same job.

        Args:
            identity: All that decides the result, of JSON's types; None where nothing can be gone
                on with.
        """
        known = json.loads(json.dumps(identity))
        lines = _lines(self.path / "journal")
        found = next(lines, None)
        if found is not None and known is not None:
            self.restarted = _difference(found.get("job", {}), known)
            if not self.restarted:
                self.chunks = list(self._whole(lines))
        with self._failing():
            self._clean()
            self._journal = (self.path / "journal").open("wb")
            self._write_line({"job": known})
            for chunk in self.chunks:
                self._write_line(asdict(chunk))
            _sync_folder(self.path)
        self._number = len(self.chunks)

    def _whole(self, lines: Iterator[dict[str, Any]]) -> Iterator[Chunk]:
        """The chunks of the journal whose files are whole."""
        for number, line in enumerate(lines):
            try:
                counts = line["number"], line["frames"], tuple(line["sizes"])
                chunk = Chunk(*counts, line["state"], line["notes"])
                paths = [self._packets(number, output) for output in range(self._outputs)]
                if chunk.number != number or [p.stat().st_size for p in paths] != [*chunk.sizes]:
                    return
                if chunk.state and not self._state(number).is_file():
                    return
                if chunk.notes:
                    check_notes(self._notes(number).read_bytes())
                for path in paths:
                    for _ in read_packets(path):
                        pass
            except (KeyError, TypeError, OSError, ValueError):
                return
            yield chunk

    def _clean(self) -> None:
        """Remove what no chunk needs."""
        kept = {"lock"}
        for chunk in self.chunks:
            kept.update(self._packets(chunk.number, n).name for n in range(self._outputs))
            kept.update({self._state(chunk.number).name, self._notes(chunk.number).name})
        for path in self.path.iterdir():
            if path.name not in kept:
                path.unlink()

    def output(self, number: int) -> Path:
        """Where an output is written until it is whole."""
        return self.path / f"output.{number}{self._target.suffix}"

    def packets(self, chunk: Chunk, output: int) -> Iterator[EncodedPacket]:
        """What an earlier run encoded."""
        return read_packets(self._packets(chunk.number, output))

    def state(self, chunk: Chunk) -> bytes | None:
        """What the processor remembered after this chunk."""
        return self._state(chunk.number).read_bytes() if chunk.state else None

    def notes(self, chunks: Sequence[Chunk]) -> list[Callable[[], bytes]]:
        """What gives the reader's notes on each chunk; empty where one has none."""
        if not all(chunk.notes for chunk in chunks):
            return []
        return [self._notes(chunk.number).read_bytes for chunk in chunks]

    def keep(self, output: int, packets: list[EncodedPacket]) -> None:
        """Add packets to the chunk that is being made.

        Raises:
            VideoError: The disk does not take them.
        """
        with self._failing():
            if not self._files:
                self._files = [
                    self._packets(self._number, n).open("wb") for n in range(self._outputs)
                ]
            for packet in packets:
                write_packet(self._files[output], packet)

    def end_chunk(self, frames: int, state: bytes | None, notes: bytes | None) -> None:
        """The chunk is whole: put it on the disk, and after it its line in the journal.

        Args:
            frames: Frames in it.
            state: What the processor remembers after it; None for nothing.
            notes: What the reader needs to go on after it; None for nothing.

        Raises:
            VideoError: The disk does not take it.
        """
        with self._failing():
            sizes = []
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())
                sizes.append(file.tell())
                file.close()
            self._files = []
            for path, data in (
                (self._state(self._number), state),
                (self._notes(self._number), notes),
            ):
                if data is not None:
                    with path.open("wb") as file:
                        file.write(data)
                        file.flush()
                        os.fsync(file.fileno())
            _sync_folder(self.path)
            kept = state is not None, notes is not None
            chunk = Chunk(self._number, frames, tuple(sizes), *kept)
            self._write_line(asdict(chunk))
            self.chunks.append(chunk)
            self._number += 1

    def finish(self) -> None:
        """Note that all is done and only the outputs' names are to be given.

        Raises:
            VideoError: The disk does not take it.
        """
        with self._failing():
            self._write_line(_FINISHED)

    def _write_line(self, line: dict[str, Any]) -> None:
        assert self._journal is not None
        self._journal.write(json.dumps(line).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def close(self, *, keep: bool) -> bool:
        """Let go of the folder.

        Args:
            keep: Whether a later run may go on; without a finished chunk there is nothing to keep.

        Returns:
            Whether the folder was kept.
        """
        with contextlib.suppress(OSError):
            for file in (*self._files, *([self._journal] if self._journal else ())):
                file.close()
        keep = keep and bool(self.chunks)
        with contextlib.suppress(OSError):
            if keep:
                self._clean_unfinished()
            else:
                shutil.rmtree(self.path)
        self._lock.release()
        if not keep:  # Windows deletes no file that is open
            shutil.rmtree(self.path, ignore_errors=True)
        return keep

    def _clean_unfinished(self) -> None:
        for path in (*self.path.glob("output.*"), *self.path.glob(f"{self._number:05d}.*")):
            path.unlink()

    def _packets(self, chunk: int, output: int) -> Path:
        return self.path / f"{chunk:05d}.{output}.packets"

    def _state(self, chunk: int) -> Path:
        return self.path / f"{chunk:05d}.state"

    def _notes(self, chunk: int) -> Path:
        return self.path / f"{chunk:05d}.notes"

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> VideoError:
        if isinstance(error, VideoError):
            return error
        return VideoError(
            f"{self._target} cannot be written ({reason(error)}); "
            "check the free space and the permissions of its folder"
        )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a journal; the last one may have been cut off."""
    try:
        text = path.read_bytes()
    except OSError:
        return
    for line in text.split(b"\n")[:-1]:
        try:
            value = json.loads(line)
        except ValueError:
            return
        if not isinstance(value, dict):
            return
        yield value


def _difference(old: Any, new: Mapping[str, Any]) -> str:
    """In which keys two jobs differ."""
    if not isinstance(old, dict):
        return "the earlier run cannot be gone on with"
    names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return f"{', '.join(names)} changed" if names else ""


def _sync_folder(path: Path) -> None:
    """Put the folder's own entries on the disk; not possible, and not needed, on Windows."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
