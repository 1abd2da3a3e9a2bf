"""Thrift's compact protocol, as far as the footer of a Parquet file needs it: bytes to plain values and back.

A struct is `{field id: (type, value)}` in ascending order of ids, a list is `(type of its items, items)`. Nothing is
named, so what a newer writer adds is carried along as it is.
Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

Struct = dict[int, tuple[int, Any]]

_MAX_DEPTH = 32


def parse(data: bytes) -> Struct:
    """The struct that `data` starts with. Raises ValueError for anything else."""
    try:
        return Reader(data).struct(0)
    except (IndexError, struct.error) as error:
        raise ValueError(f"not a thrift struct: {error}") from error


def serialize(value: Struct) -> bytes:
    """The inverse of `parse`. A struct inside may be bytes, which is what this made of it before."""
    out = bytearray()
    _put_struct(out, value)
    return bytes(out)


class Reader:
    """Reads values one after the other. Raises ValueError or IndexError for what is no thrift."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def field(self, before: int) -> tuple[int, int] | None:
        """Id and type of the next field of a struct, `before` being the id of the last one; None at its end."""
        header = self._byte()
        if not header:
            return None
        delta = header >> 4
        return before + delta if delta else self._signed(), header & 15

    def items(self) -> tuple[int, int]:
        """Type and number of the items of the list that follows."""
        header = self._byte()
        count = header >> 4
        return header & 15, self._unsigned() if count == 15 else count

    def struct(self, depth: int) -> Struct:
        """The fields of a struct that begins here."""
        if depth > _MAX_DEPTH:
            raise ValueError("not a thrift struct: nested too deeply")
        fields: Struct = {}
        field = 0
        while (found := self.field(field)) is not None:
            field, kind = found
            fields[field] = kind, self.value(kind, depth)
        return fields

    def value(self, kind: int, depth: int = 0) -> Any:
        """The value of a field of this type."""
        if kind in (TRUE, FALSE):
            return kind == TRUE
        return self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (I16, I32, I64):
            return self._signed()
        if kind == BINARY:
            return self._bytes(self._unsigned())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            return self._list(depth + 1)
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind == DOUBLE:
            return struct.unpack("<d", self._bytes(8))[0]
        raise ValueError(f"not a thrift struct: type {kind}")

    def _list(self, depth: int) -> tuple[int, list[Any]]:
        kind, count = self.items()
        return kind, [self._value(kind, depth) for _ in range(count)]

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ValueError("not a thrift struct: it ends early")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _unsigned(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 127) << shift
            if byte < 128:
                return result
            shift += 7

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)


def _put_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for field, (kind, value) in fields.items():
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        if 0 < field - last < 16:
            out.append((field - last) << 4 | kind)
        else:
            out.append(kind)
            _put_unsigned(out, _zigzag(field))
        last = field
        if kind not in (TRUE, FALSE):
            _put(out, kind, value)
    out.append(0)


def _put(out: bytearray, kind: int, value: Any) -> None:
    if kind in (I16, I32, I64):
        _put_unsigned(out, _zigzag(value))
    elif kind == BINARY:
        _put_unsigned(out, len(value))
        out += value
    elif kind == STRUCT:
        if isinstance(value, bytes):
            out += value
        else:
            _put_struct(out, value)
    elif kind in (LIST, SET):
        of, items = value
        if len(items) < 15:
            out.append(len(items) << 4 | of)
        else:
            out.append(15 << 4 | of)
            _put_unsigned(out, len(items))
        for item in items:
            _put(out, of, item)
    elif kind == DOUBLE:
        out += struct.pack("<d", value)
    else:
        out.append(value)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _put_unsigned(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
