"""The end of a Parquet file: its row groups one at a time, for as values they take a hundred times their bytes.

Source: https://parquet.apache.org/docs/file-format/ and `parquet.thrift` of the format, whose field numbers stand here.
"""

from __future__ import annotations

from collector.store.thrift import I64, LIST, STRUCT, Reader, Struct, serialize

SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES = 2, 3, 4, 5  # FileMetaData


class Footer:
    """Reads the bytes of one footer. Every method raises ValueError when they make no sense."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._begin()

    def _begin(self) -> None:
        self._reader = Reader(self._data)
        self._next = 0  # row group that is read next
        self.row_groups = 0
        self._fields: Struct = {}
        self._field = 0
        self._read_fields()

    def _read_fields(self) -> None:
        """The fields up to the row groups, or behind them."""
        while (found := self._reader.field(self._field)) is not None:
            self._field, kind = found
            if self._field == ROW_GROUPS:
                of, self.row_groups = self._reader.items() if kind == LIST else (0, 0)
                if of != STRUCT:
                    raise ValueError("its row groups are no list of structs")
                return
            self._fields[self._field] = kind, self._reader.value(kind)

    @property
    def schema(self) -> bytes:
        """Equal for files whose row groups may stand in one file."""
        if SCHEMA not in self._fields:
            raise ValueError("it has no schema")
        return serialize({SCHEMA: self._fields[SCHEMA]})

    def group(self, number: int) -> Struct:
        """What it says of a row group. Asked for in order each is read once."""
        if number < self._next:
            self._begin()
        if number >= self.row_groups:
            raise ValueError(f"it has {self.row_groups} row groups, no {number}")
        while True:
            group: Struct = self._reader.value(STRUCT)
            self._next += 1
            if self._next > number:
                return group

    def with_groups(self, groups: list[bytes], rows: int) -> bytes:
        """A footer with other row groups, which are serialized already. What else it says of the whole file stays."""
        while self._next < self.row_groups:
            self.group(self._next)
        if self._next == self.row_groups:
            self._next += 1
            self._read_fields()
        fields = {field: value for field, value in self._fields.items() if field != KEY_VALUES}
        fields |= {NUM_ROWS: (I64, rows), ROW_GROUPS: (LIST, (STRUCT, groups))}
        return serialize(dict(sorted(fields.items())))
