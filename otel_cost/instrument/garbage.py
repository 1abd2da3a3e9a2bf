"""Streams that the app drops are closed by the garbage collector, where ending a span could stop the app for ever.

A collection may start at any allocation: also while the same thread holds a lock of a span processor, a metric or a
logger. Who takes such a lock from within the collection waits for itself. The streams of the model SDKs refer to
themselves, so a dropped one is always closed that way. What ends a span therefore asks `is_collecting()`, and
hands the work to a thread of its own if so.
"""

from __future__ import annotations

import _thread
import gc
from collections.abc import Callable, Mapping, Sized
from threading import get_ident

_collecting_in: int | None = None


def is_collecting() -> bool:
    """Whether this thread is within a garbage collection. Only known after `watch()`."""
    return _collecting_in is not None and _collecting_in == get_ident()


def hand_over(function: Callable[[], object]) -> None:
    """Run `function`, which must not raise, soon and on a short-lived thread; at the interpreter's end here and now.

    `threading.Thread` takes locks when it starts, and this is where none may be taken.
    """
    try:
        _thread.start_new_thread(function, ())
    except RuntimeError:  # no more threads: the interpreter ends, or the system's limit is reached
        function()


def watch() -> None:
    """Be told of collections; again changes nothing."""
    if _noted not in gc.callbacks:
        gc.callbacks.append(_noted)


def unwatch(still: Sized = ()) -> None:
    """Be told no longer, unless there is `still` something that could be collected.

    Within a collection, of any thread, nothing changes: it would never be heard to end.
    """
    if not still and _collecting_in is None and _noted in gc.callbacks:
        gc.callbacks.remove(_noted)
        if still:  # another thread's came in between
            watch()


def _noted(phase: str, _: Mapping[str, int]) -> None:
    global _collecting_in
    _collecting_in = get_ident() if phase == "start" else None
