"""Receivers in a process of their own, so that its memory can be watched. Prints both ports, then waits for stdin."""

from __future__ import annotations

import sys

from tests.collector.receive.support import running

if __name__ == "__main__":
    with running() as receivers:
        print(receivers.grpc.port, receivers.http.port, flush=True)
        sys.stdin.read()
