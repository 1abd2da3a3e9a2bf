"""The `otel-cost` command. Its code lives with the service; the app half only says how to install it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with 2 and the install command when the service half is absent."""
    try:
        from collector.cli import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"otel-cost: the command line needs the service half ({error.name} is not installed).\n"
            "Install it with: pip install 'otel-cost[collector]'\n"
        )
        raise SystemExit(2) from None
    run()


if __name__ == "__main__":
    main()
