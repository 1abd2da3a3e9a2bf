"""Cost columns under construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from collector.decode.columns import COST_SCHEMA
from otel_cost.pricing.result import Cost, Status

Array = np.ndarray[Any, np.dtype[Any]]

NOTHING = -1
"""Code of NULL in a dictionary column under construction."""


class Codes:
    """A dictionary column under construction: distinct texts, and one code per row."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, NOTHING, dtype=np.int32)
        self._code_of: dict[str, int] = {}

    def code(self, text: str | None) -> int:
        """The code of a text; NOTHING for None."""
        return NOTHING if text is None else self._code_of.setdefault(text, len(self._code_of))

    def put(self, where: Array, text: str | None) -> None:
        """Set the rows of a mask, or at positions, to one text."""
        self.codes[where] = self.code(text)

    def table_of(self, texts: list[str | None]) -> Array:
        """Codes of many texts, to index with."""
        return np.array([self.code(text) for text in texts], dtype=np.int32)

    def array(self) -> pa.Array:
        """The finished column."""
        missing = self.codes == NOTHING
        # Where NULL, too, a code is one of the dictionary: Arrow reads it when it merges dictionaries.
        indices = pa.array(np.maximum(self.codes, 0), mask=missing if missing.any() else None)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self._code_of) or [""], pa.string()))


@dataclass(frozen=True, slots=True)
class CostColumns:
    """The columns of COST_SCHEMA, filled in as rows are settled; a row that never is stays NULL: no call."""

    model: Codes
    status: Codes
    reason: Codes
    rate_row: Codes
    amount_pico_usd: Array
    has_amount: Array
    flags: Array

    @classmethod
    def of(cls, flags: Array) -> CostColumns:
        """Nothing settled yet, with the calls' own flags."""
        rows = len(flags)
        amounts, has_amount = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
        return cls(Codes(rows), Codes(rows), Codes(rows), Codes(rows), amounts, has_amount, flags)

    def settle(self, where: Array, status: Status, amount_pico_usd: int | Array | None, reason: str | None) -> None:
        """Give rows their status, their amount (None: NULL) and the reason."""
        self.status.put(where, status.value)
        self.reason.put(where, reason)
        self.amount_pico_usd[where] = 0 if amount_pico_usd is None else amount_pico_usd
        self.has_amount[where] = amount_pico_usd is not None

    def put_cost(self, at: int, cost: Cost) -> None:
        """Take one row from the scalar reader."""
        where = np.array([at])
        self.settle(where, cost.status, cost.total_pico_usd, cost.reason)
        self.model.put(where, cost.model)
        self.rate_row.put(where, cost.rate_row)
        self.flags[at] = int(cost.flags)

    def table(self, card: str) -> pa.Table:
        """The finished COST_SCHEMA table."""
        is_call = self.status.codes != NOTHING
        card_codes = pa.array(np.zeros(len(is_call), dtype=np.int32), mask=~is_call)
        columns = [
            self.model.array(),
            pa.array(self.amount_pico_usd, mask=~(self.has_amount & is_call)),
            self.status.array(),
            self.reason.array(),
            pa.DictionaryArray.from_arrays(card_codes, pa.array([card], pa.string())),
            self.rate_row.array(),
            pa.array(self.flags),
        ]
        return pa.Table.from_arrays(columns, schema=COST_SCHEMA)
