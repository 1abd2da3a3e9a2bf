"""Protobuf's wire format by hand, for requests that no protobuf library would write."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte."""
    head = b""
    while value >= 0x80:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field: text, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data
