"""Readers of provider APIs: pure functions from a request and its answer to what was used, and for how much.

`asked(request)` says whether a request is a model call; `body_reader` and `read_body` read its answer;
`read_exchange` does both for a recorded exchange. Nothing here does I/O or raises.
"""

from __future__ import annotations

from otel_cost.instrument.wire.body import BodyReader, is_whole, read_body
from otel_cost.instrument.wire.detect import asked
from otel_cost.instrument.wire.exchange import read_exchange
from otel_cost.instrument.wire.types import Asked, Head, Part, Reading, Request

body_reader = BodyReader
"""`body_reader(asked, head)`: reads an answer as its bytes come."""

__all__ = [
    "Asked",
    "BodyReader",
    "Head",
    "Part",
    "Reading",
    "Request",
    "asked",
    "body_reader",
    "is_whole",
    "read_body",
    "read_exchange",
]
