"""File descriptors: connections must never take those that the ledger needs."""

from __future__ import annotations

import resource

from collector.receive.bounds import MAX_CONNECTIONS


def max_connections() -> int:
    """Connections of one receiver."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if descriptors == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, descriptors // 3)
