"""Room for files: DuckDB ends the process when an instance of it starts with no descriptor free, so none does then.

Between the look and the start others may take what is free; that receivers leave some to the ledger
(`collector.receive.descriptors`) is what keeps that from happening.
"""

from __future__ import annotations

import os

NEEDED = 16
"""What one piece of work opens at the same time, twice over: a file, its log, the segments that its views name. With
fewer, work begins that cannot end; with more, work waits that would have had room."""


def require_descriptors() -> None:
    """Return if so many files can be opened. Raises OSError (EMFILE): too many are open, which may pass."""
    held: list[int] = []
    try:
        held.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(NEEDED))  # keeps what was opened before it failed
    finally:
        for descriptor in held:
            os.close(descriptor)
