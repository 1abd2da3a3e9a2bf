"""The system calls that a journal makes: one place, so that a test can let each of them fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

_MOST_BUFFERS = 1_024
"""IOV_MAX of Linux and macOS: buffers of one writev."""
_JOIN_BELOW_BYTES = 64 * 1024
"""Below it one copy is cheaper than handing each buffer to the kernel."""
_STEP_BYTES = 1 << 20
# macOS has neither fdatasync nor posix_fallocate.
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
_allocate: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)


class Disk:
    """The real ones. Each raises OSError."""

    def create(self, path: Path) -> int:
        """A new file and its entry in the folder, durable; its descriptor."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        self.sync_folder(path.parent)
        return descriptor

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        """Write some of `buffers` at `offset`, in order; how many bytes."""
        return os.pwritev(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on disk."""
        _sync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut the file."""
        os.ftruncate(descriptor, size_bytes)

    def allocate(self, descriptor: int, offset: int, size_bytes: int) -> None:
        """Get room ahead: a sync that need not find room takes two thirds of the time."""
        if _allocate is not None:
            _allocate(descriptor, offset, size_bytes)

    def free_bytes(self, folder: Path) -> int:
        """What is left of the disk."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize

    def sync_folder(self, folder: Path) -> None:
        """Make the names in the folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(disk: Disk, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
    """Write every byte of `buffers` at `offset`; how many. After an OSError some may be there."""
    total_bytes = sum(map(len, buffers))
    if total_bytes < _JOIN_BELOW_BYTES:
        buffers = [b"".join(buffers)]
    written_bytes = 0
    for start in range(0, len(buffers), _MOST_BUFFERS):
        waiting = list(buffers[start : start + _MOST_BUFFERS])
        while waiting:
            count = disk.write(descriptor, waiting, offset + written_bytes)
            written_bytes += count
            waiting = _behind(waiting, count)
    return total_bytes


def _behind(buffers: list[bytes], count: int) -> list[bytes]:
    """What is left of `buffers` once `count` bytes are written."""
    for number, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[number + 1 :]]
        count -= len(buffer)
    return []


def read_file(path: Path) -> tuple[bytearray, int]:
    """The whole file, and how many bytes the disk would not give; these are zeros."""
    lost_bytes = 0
    with path.open("rb", buffering=0) as file:
        size_bytes = os.fstat(file.fileno()).st_size
        data = bytearray(size_bytes)
        with memoryview(data) as view:
            position = 0
            while position < size_bytes:
                step_bytes = min(_STEP_BYTES, size_bytes - position)
                try:
                    step_bytes = os.preadv(file.fileno(), [view[position : position + step_bytes]], position)
                except OSError:
                    lost_bytes += step_bytes
                if not step_bytes:
                    break
                position += step_bytes
    return data, lost_bytes
