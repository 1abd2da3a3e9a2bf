"""Fixed loopback ports for tests in which a server goes away and comes back at the same place."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 15_000, 32_000
"""Below every system's range for outgoing connections: else a client that knocks while nobody listens can be given
the very port, and connect to itself. Wide, and drawn at random, so that test processes side by side do not meet."""


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on now."""
    sockets: dict[int, socket.socket] = {}
    choice = random.SystemRandom()
    try:
        while len(sockets) < count:
            probe, port = socket.socket(), choice.randrange(FIRST, LAST)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.close()
            else:
                sockets[port] = probe
        return list(sockets)
    finally:
        for probe in sockets.values():
            probe.close()


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]
