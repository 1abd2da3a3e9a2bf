"""How the process gets memory from the system and gives it back: settings of its allocators.

Columns of a few hundred kilobytes come and go with every group of spans. Left alone, each is mapped anew, cleared page
by page, and unmapped again; and every thread keeps freed memory of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from collector import allocator

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of glibc's `mallopt` (malloc.h)."""

_ARENAS = 2
"""glibc makes eight per core. More: each keeps free memory that the others cannot use."""
_MAPPED_FROM_BYTES = 4 << 20
"""Larger pieces are mapped one by one. Lower: columns of a group are mapped and cleared for each group anew. Higher:
the large arrays of indices, which live for minutes, leave holes in the heap."""
_KEPT_BYTES = 32 << 20
"""Free memory at the end of the heap that is kept. Lower: more clearing of fresh pages. Higher: more is held idle."""
_IO_THREADS = 2
"""Threads of Arrow that read files. More than the disk needs hold memory each."""
_COLLECTED_AFTER = (10_000, 20, 100)
"""Objects made before garbage is looked for, and how often older ones are looked at with them. Lower: full collections,
60 to 90 ms each, in which nobody else gets the interpreter's lock. Higher: garbage in cycles stays longer."""
_USUALLY_COLLECTED_AFTER = gc.get_threshold()


def configure() -> None:
    """Settings for a collector, before it starts threads. Where an allocator is another one, it stays as it is."""
    with contextlib.suppress(NotImplementedError):
        # A sixth less CPU per span and a tenth less memory than the default, mimalloc, for columns that one thread
        # makes and another one frees.
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        if os.environ[allocator.VARIABLE] == allocator.SETTINGS:
            pa.jemalloc_set_decay_ms(allocator.DECAY_MS)  # they may have come after Arrow was loaded
    pa.set_io_thread_count(_IO_THREADS)
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def settle() -> None:
    """After a start: what is there stays, so collections of garbage need not look at it; what is free goes back."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)
    give_back()


def unsettle() -> None:
    """Before the end: collections look at everything again, else libraries report what was left as leaked."""
    gc.unfreeze()
    gc.set_threshold(*_USUALLY_COLLECTED_AFTER)


def give_back() -> None:
    """Return free memory to the system. Takes milliseconds."""
    pa.default_memory_pool().release_unused()
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., Any] | None:
    """A function of glibc that takes and gives ints; None where the C library is another one."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # only glibc has it
        function: Callable[..., Any] = getattr(library, name)
    except (OSError, AttributeError):
        return None
    return function
