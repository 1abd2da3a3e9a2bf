"""`python -m examples.demo`, also when Ctrl-C comes while it is still loading."""

from __future__ import annotations

import sys


def start() -> int:
    """Load and run the demo; its exit code."""
    try:
        from examples.demo.main import main

        return main()
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 130


if __name__ == "__main__":
    sys.exit(start())
