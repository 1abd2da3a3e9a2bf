"""`python -m collector.price`: keep the table of the shipped card in the package; a part of `make card`."""

from __future__ import annotations

from collector.price.shipped import write_table
from collector.price.table import make_table
from otel_cost.pricing import default_card

if __name__ == "__main__":
    write_table(default_card(), make_table(default_card()))
