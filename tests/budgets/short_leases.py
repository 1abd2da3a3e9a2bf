"""The collector with leases that end after seconds, so that tests need not wait a minute: its command line, after
LEASE_SECONDS and GRACE_SECONDS."""

from __future__ import annotations

import sys

from collector.budgets import lease_table, leases


def main() -> None:
    """As `python -m collector`."""
    lease_seconds, grace_seconds = (float(sys.argv.pop(1)) for _ in range(2))
    for name, seconds in (("LEASE_NS", lease_seconds), ("GRACE_NS", grace_seconds)):
        for module in (lease_table, leases):
            setattr(module, name, int(seconds * 1e9))
    from collector.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
