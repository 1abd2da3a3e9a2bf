"""What all framings of streams share: where events go, and how much of one is held.

An event longer than `MAX_EVENT_BYTES` is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Sink = Callable[[bytes, str], None]
"""Takes an event's data and its name (empty where it has none)."""

Skim = Callable[[bytes], bool]
"""Takes whole events as they came, if nothing has to be read in them; False: they are to be given one by one."""

MAX_EVENT_BYTES = 32 * 2**20
"""Longest event that is held. Less would lose the usage of answers that repeat their images in the last event; more
would let one broken stream eat the app's memory."""

MAX_NAMES = 256
"""Event names (AWS: headers) that are remembered as text. A provider has some dozens; a stream of ever new names must
not fill us."""


class Framer(Protocol):
    """Cuts a stream of decoded bytes into events."""

    dropped: int  # events that were too long, or not readable

    def feed(self, chunk: bytes) -> None:
        """Bytes as they come."""

    def end(self) -> None:
        """The stream is over: what remains is an event without its last newline."""


class Held:
    """Bytes of an event that is not complete yet."""

    __slots__ = ("_pieces", "is_over", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0
        self.is_over = False  # too long: nothing of it is kept

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > MAX_EVENT_BYTES:
            self._pieces.clear()
            self.is_over = True
        elif piece:
            self._pieces.append(piece)

    def take(self) -> bytes:
        """All that was held; holds nothing afterwards."""
        joined = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self.size, self.is_over = [], 0, False
        return joined


BOM = b"\xef\xbb\xbf"
