"""Settings of Arrow's allocator, jemalloc. It reads them when Arrow is loaded, so this is imported before.

What a user has set in the same variable stays as set.
"""

from __future__ import annotations

import os

VARIABLE = "JE_ARROW_MALLOC_CONF"
DECAY_MS = 5_000
"""Free pages are kept so long. Shorter: columns of the next group are cleared anew page by page, a tenth of all CPU.
Longer: what a burst or a merge took stays for that time."""
ARENAS = 1
"""jemalloc makes four per core. More: each keeps free pages that the others cannot use, some 30 MB in all. The threads
that make columns are few, and each has a cache of its own before the arena."""

SETTINGS = f"narenas:{ARENAS},dirty_decay_ms:{DECAY_MS},muzzy_decay_ms:{DECAY_MS}"

os.environ.setdefault(VARIABLE, SETTINGS)
