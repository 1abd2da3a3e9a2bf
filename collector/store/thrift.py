"""Thrift's compact protocol, as far as the footer of a Parquet file needs it: bytes to plain values and back.

A struct is `{field id: (type, value)}` in ascending order of ids, a list is `(type of its items, items)`. Nothing is
named, so what a newer writer adds is carried along as it is. A row group has some 70 columns of 20 values each and is
read again with each merge: so the loops over bytes are flat, and small numbers, which most are, need no call.
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
        return _struct(data, 0, 0)[0]
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
        header = self._data[self._at]
        self._at += 1
        if not header:
            return None
        if header >> 4:
            return before + (header >> 4), header & 15
        field, self._at = _signed(self._data, self._at)
        return field, header & 15

    def items(self) -> tuple[int, int]:
        """Type and number of the items of the list that follows."""
        kind, count, self._at = _items(self._data, self._at)
        return kind, count

    def value(self, kind: int) -> Any:
        """The value of a field of this type."""
        if kind in (TRUE, FALSE):
            return kind == TRUE
        value, self._at = _value(self._data, self._at, kind, 0)
        return value


def _struct(data: bytes, at: int, depth: int) -> tuple[Struct, int]:
    """The fields of a struct that begins at `at`, and where it ends; the same below."""
    if depth > _MAX_DEPTH:
        raise ValueError("not a thrift struct: nested too deeply")
    fields: Struct = {}
    field = 0
    while header := data[at]:
        at += 1
        kind = header & 15
        if header >> 4:
            field += header >> 4
        else:
            field, at = _signed(data, at)
        if kind in (TRUE, FALSE):
            fields[field] = kind, kind == TRUE
            continue
        if I16 <= kind <= I64 and data[at] < 128:
            number = data[at]
            fields[field] = kind, (number >> 1) ^ -(number & 1)
            at += 1
            continue
        value, at = _value(data, at, kind, depth)
        fields[field] = kind, value
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if I16 <= kind <= I64:
        return _signed(data, at)
    if kind == BINARY:
        size, at = _unsigned(data, at)
        return _bytes(data, at, size), at + size
    if kind == STRUCT:
        return _struct(data, at, depth + 1)
    if kind in (LIST, SET):
        of, count, at = _items(data, at)
        items = []
        for _ in range(count):
            item, at = _value(data, at, of, depth + 1)
            items.append(item)
        return (of, items), at
    if kind in (TRUE, FALSE, BYTE):
        return data[at], at + 1
    if kind == DOUBLE:
        return struct.unpack("<d", _bytes(data, at, 8))[0], at + 8
    raise ValueError(f"not a thrift struct: type {kind}")


def _items(data: bytes, at: int) -> tuple[int, int, int]:
    """Type and number of the items of a list, and where they begin."""
    header = data[at]
    count, at = _unsigned(data, at + 1) if header >> 4 == 15 else (header >> 4, at + 1)
    return header & 15, count, at


def _bytes(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("not a thrift struct: it ends early")
    return data[at : at + size]


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    number, shift = byte & 127, 7
    while (byte := data[at]) >= 128:
        number |= (byte & 127) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1


def _signed(data: bytes, at: int) -> tuple[int, int]:
    number, at = _unsigned(data, at)
    return (number >> 1) ^ -(number & 1), at


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
    if I16 <= kind <= I64:
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
