"""`python -m otel_cost.instrument.wire FILE...`: what recorded exchanges say, as one line of JSON each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from otel_cost.instrument.wire import read_exchange


def main(argv: Sequence[str] | None = None) -> int:
    """Print `read_exchange` of every file; 1 if a file is no JSON object."""
    parser = argparse.ArgumentParser(prog="python -m otel_cost.instrument.wire", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="recorded exchanges, JSON")
    failed = 0
    for file in parser.parse_args(argv).files:
        try:
            exchange = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(exchange, dict):
                raise ValueError("not an exchange: no JSON object")
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{file}: {error}\n")
            failed = 1
            continue
        sys.stdout.write(json.dumps(read_exchange(exchange), ensure_ascii=False) + "\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
