"""`python -m collector.catalogue.build`: compile the card and write it into the package."""

from __future__ import annotations

import sys
from pathlib import Path

from collector.catalogue.build import disagreements
from collector.catalogue.build.compile import compile_card
from collector.catalogue.build.write import write_files
from otel_cost.pricing.card import DATA_DIRECTORY


def main(directory: Path = DATA_DIRECTORY) -> int:
    """Write the card's files; says what it was built from."""
    built = compile_card()
    write_files(directory, built.files)
    (directory / "PROVENANCE.md").write_text(built.provenance, encoding="utf-8")
    if directory == DATA_DIRECTORY:
        disagreements.PATH.write_text(built.disagreements, encoding="utf-8")
    sys.stdout.write(f"{directory}: {built.summary}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
