"""What budgets cost and how soon they hold: `python -m benchmarks.budgets [crossing] [leases] [counters] [ingest]`.

Each part prints its figures and whether it holds its targets; the command exits with 1 if one is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from benchmarks.budgets import counters, crossing, ingest, leases

PARTS: Mapping[str, Callable[[], bool]] = {
    "crossing": crossing.holds,
    "leases": leases.holds,
    "counters": counters.holds,
    "ingest": ingest.holds,
}


def main() -> None:
    """Run the parts that are named, or all."""
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        sys.exit(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    held = [PARTS[name]() for name in wanted]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
