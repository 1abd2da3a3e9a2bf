"""File descriptors: connections must never take those that the ledger needs."""

from __future__ import annotations

import resource

from collector.receive.bounds import MAX_CONNECTIONS, RESERVED_DESCRIPTORS


def max_connections() -> int:
    """Connections of one receiver."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if descriptors == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, descriptors // 3)


def leaves_room(descriptor: int) -> bool:
    """Whether a connection that was given this number leaves enough for the ledger.

    The lowest free number is given, so all below it are taken. The limit is asked each time: operators change it.
    """
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return descriptors == resource.RLIM_INFINITY or descriptor < descriptors - RESERVED_DESCRIPTORS
