"""Which allocator Arrow uses, jemalloc, and its settings. It reads both when it is loaded, so this is imported before.

What a user has set in the same variables stays as set.
"""

from __future__ import annotations

import os
import sys

KIND_VARIABLE = "ARROW_DEFAULT_MEMORY_POOL"
KIND = "jemalloc"
"""Also of what Arrow makes without being told where, as readers and writers of Parquet do. Else that goes to mimalloc,
and each of the two keeps free pages that the other cannot use: 45 MB of 455 under full load."""

VARIABLE = "JE_ARROW_MALLOC_CONF"
DECAY_MS = 5_000
"""Free pages are kept so long. Shorter: columns of the next group are cleared anew page by page, a tenth of all CPU.
Longer: what a burst or a merge took stays for that time."""
ARENAS = 1
"""jemalloc makes four per core. More: each keeps free pages that the others cannot use, some 30 MB in all. The threads
that make columns are few, and each has a cache of its own before the arena."""

SETTINGS = f"narenas:{ARENAS},dirty_decay_ms:{DECAY_MS},muzzy_decay_ms:{DECAY_MS}"

os.environ.setdefault(VARIABLE, SETTINGS)
if sys.platform == "linux":  # elsewhere Arrow is mostly built without it, and would say so
    os.environ.setdefault(KIND_VARIABLE, KIND)
