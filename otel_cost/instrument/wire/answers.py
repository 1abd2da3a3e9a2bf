"""What readers of APIs have in common: the answer's frame, failures, and bounded texts to estimate tokens by."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.failures import failure
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import NOTHING

MAX_HELD_BYTES = 2**20
"""Events of a stream that are held in case nobody reports its tokens. Less would estimate long answers too low; more
would keep every answer in memory twice."""


AT_BATCH_RATES: Mapping[str, str] = {"processing": "batch"}
"""What makes a call's price that of a batch, whatever tier the answer itself names."""


def json_or_none(data: bytes | str) -> Any:
    """A JSON value; None for what is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def answer(asked: Asked) -> Reading:
    """A reading that knows what the request said."""
    return Reading(
        operation=asked.operation,
        provider=asked.provider,
        request_model=asked.model,
        is_stream=asked.is_stream,
        context=asked.context,
    )


def failed(asked: Asked, head: Head, body: object) -> Reading:
    """A reading of a call that failed, in the words of most providers (`failures`)."""
    found = failure(head.status, body)
    return answer(asked)._replace(
        error_type=found.error_type if found else str(head.status),
        is_billable=False,
        extra=found.extra if found else NOTHING,
    )


def bookkeeping(asked: Asked) -> Reading:
    """A reading of a request that is no model call."""
    return answer(asked)._replace(operation=None, is_billable=False)


def texts_in(value: object, keys: frozenset[str], depth: int = 12) -> list[str]:
    """All texts below a JSON value that stand under one of `keys`, in order, wherever they are."""
    found: list[str] = []
    if depth == 0:
        return found
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key in keys and isinstance(each, str):
                found.append(each)
            elif isinstance(each, (Mapping, list)):
                found += texts_in(each, keys, depth - 1)
                if key in keys and isinstance(each, list):
                    found += [item for item in each if isinstance(item, str)]
    elif isinstance(value, list):
        for item in value:
            found += texts_in(item, keys, depth - 1)
    return found


class Delivered:
    """Events of a stream as they came, up to `MAX_HELD_BYTES`: they are parsed only if someone asks for the text."""

    __slots__ = ("_events", "_room")

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._room = MAX_HELD_BYTES

    def add(self, data: bytes) -> None:
        """Hold an event, if there is room."""
        if self._room > 0:
            self._room -= len(data)
            self._events.append(data)

    def texts(self, keys: frozenset[str]) -> list[str]:
        """The texts under `keys` of all held events."""
        return [part for data in self._events for part in texts_in(json_or_none(data), keys)]


def says(
    request: Request, request_keys: frozenset[str], delivered: Callable[[], Iterable[str]]
) -> Callable[[], tuple[Sequence[str], Sequence[str]]]:
    """A `Said` of the texts under `request_keys` in the request, and those that were delivered."""

    def said() -> tuple[Sequence[str], Sequence[str]]:
        return texts_in(json_body(request), request_keys), list(delivered())

    return said


class NoEvents:
    """Reads a stream that is no model call's: nothing of it matters."""

    is_done = False
    has_content = False

    def __init__(self, asked: Asked, head: Head) -> None:
        del head
        self._asked = asked

    def feed(self, data: bytes, name: str) -> None:
        """Nothing is expected."""

    def reading(self) -> Reading:
        """It is no model call."""
        return bookkeeping(self._asked)


def always(request: Request) -> bool:
    """A `Route.shape` of paths that nobody else has."""
    del request
    return True


def never(request: Request) -> bool:
    """A `Route.shape` of paths that others may have: they are read on known hosts alone."""
    del request
    return False
