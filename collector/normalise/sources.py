"""Which attribute of a span says just what one of its columns says: the store then keeps the value once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from collector.decode.columns import LEDGER_USAGE_COLUMNS, VALUE_INT
from collector.normalise.fields import Bools, Fields, Ints, Rows
from collector.normalise.texts import Index
from otel_cost.normalise.reader import Reading


def of_texts(places: Mapping[str, Index | None], attributes: int) -> dict[str, Index]:
    """Column -> the attribute of each span that it is a copy of; -1: none.

    Args:
        places: of the columns' texts; those behind the attributes were made of something.
        attributes: how many there are.
    """
    return {name: np.where(found < attributes, found, -1) for name, found in places.items() if found is not None}


def of_counts(
    usage: Mapping[str, tuple[Ints, Bools]], readings: Sequence[Reading], shape: Ints, fields: Fields, attributes: int
) -> dict[str, Rows]:
    """The same of the counts with a column of their own, where settling has not changed them."""
    chosen = [dict(zip(reading.usage, reading.usage_keys, strict=True)) for reading in readings]
    found: dict[str, Rows] = {}
    for unit in LEDGER_USAGE_COLUMNS:
        rows = fields.rows_of([keys.get(unit) for keys in chosen], shape) if unit in usage else None
        if rows is not None:
            quantity, present = usage[unit]
            same = present & (rows >= 0) & (rows < attributes)
            same &= (fields.kind[rows] == VALUE_INT) & (fields.ints[rows] == quantity)
            found[unit] = np.where(same, rows, np.int32(-1))
    return found
