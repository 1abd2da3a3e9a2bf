"""Who pays, said once and inherited: `run()`, `agent()` and `tags()` travel in OpenTelemetry baggage.

Each returns a `Scope`, usable as `with`, `async with`, or as a decorator on sync, async, generator and async
generator functions. Everything inside inherits: spans started there, threads and tasks that carry the OpenTelemetry
context, and services called with an instrumented client (W3C Baggage, https://www.w3.org/TR/baggage/).

A value that cannot be carried (wrong type, empty, too long, control characters) is dropped and counted; nothing here
ever raises into the app.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar
from urllib.parse import quote_plus

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_cost import attributes as keys
from otel_cost.decorate import within

OWNER_KEYS: Mapping[str, str] = {
    "run": keys.OTEL_COST_RUN,
    "agent": keys.OTEL_COST_AGENT,
    "customer": keys.OTEL_COST_CUSTOMER,
    "feature": keys.OTEL_COST_FEATURE,
    "team": keys.OTEL_COST_TEAM,
    "user": keys.OTEL_COST_USER,
    "project": keys.OTEL_COST_PROJECT,
    "environment": keys.OTEL_COST_ENVIRONMENT,
    "conversation": keys.OTEL_COST_CONVERSATION,
}
"""The attribute, and baggage entry, of each owner dimension."""

MAX_VALUE_CHARS = 256
"""Longest value carried, in characters; longer ones are dropped, because a cut name is another name."""
MAX_ENTRIES = 32
"""Most entries of ours carried at once. W3C guarantees 64 list members for everybody together."""
MAX_BAGGAGE_BYTES = 4096
"""Most percent-encoded bytes of our entries together: half of the 8192 that W3C guarantees to be propagated."""

_TAG_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_F = TypeVar("_F", bound=Callable[..., Any])
_OWNER_KEY_SET = frozenset(OWNER_KEYS.values())
_TAG = keys.OTEL_COST_TAG_PREFIX
_NOTHING: Mapping[str, str] = MappingProxyType({})
_last_read: tuple[Mapping[str, object], Mapping[str, str]] = (_NOTHING, _NOTHING)  # baggage, and what we read in it


def run(name: str) -> Scope:
    """Everything inside belongs to the pipeline run `name`."""
    return Scope({"run": name})


def agent(name: str) -> Scope:
    """Everything inside is done by the agent `name`, unless an agent span further in names its own."""
    return Scope({"agent": name})


def tags(**values: str) -> Scope:
    """Everything inside carries these values: owner dimensions (customer, feature, team, user, ...) or free tags.

    A name that is no dimension becomes the tag of that name. Values are strings; whole numbers are written out.
    """
    return Scope(values)


def dropped() -> dict[str, int]:
    """How many values were not carried so far in this process, by reason."""
    with _dropped_lock:
        return dict(_dropped)


def inherited(context: Context | None = None) -> Mapping[str, str]:
    """Span attributes that `context` (default: the current one) hands down, by attribute key.

    Baggage may come from another service, so only our dimension and tag keys are taken, and only well-formed values.
    """
    global _last_read
    if context is not None and not context:
        return _NOTHING
    carried = baggage.get_all(context)
    if not carried:
        return _NOTHING
    last = _last_read
    if carried == last[0]:  # spans of one run follow each other
        return last[1]
    found = {
        key: value
        for key, value in carried.items()
        if isinstance(value, str)
        and (key in _OWNER_KEY_SET or (key.startswith(_TAG) and _TAG_NAME.fullmatch(key, len(_TAG))))
        and _problem(value) is None
    }
    _last_read = dict(carried), MappingProxyType(found)
    return _last_read[1]


class Scope:
    """What `run()`, `agent()` and `tags()` return: enter it, or decorate with it; it may be reused and nested."""

    __slots__ = ("_entries",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._entries = dict(entry for name, value in values.items() if (entry := _entry(name, value)) is not None)

    def __enter__(self) -> Scope:
        token = otel_context.attach(_with_entries(self._entries))
        _entered.set((self, token, _entered.get()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        entered = _entered.get()
        if entered is not None and entered[0] is self:
            _, token, outer = entered
            _entered.set(outer)
            otel_context.detach(token)
        else:
            _drop("left in another context than entered")

    async def __aenter__(self) -> Scope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: _F) -> _F:
        return within(lambda: self, function)


# The scopes entered in this thread or task, innermost first: one Scope object may be in use in many at once.
_entered: ContextVar[tuple[Scope, Token[Context], Any] | None] = ContextVar("otel_cost_entered", default=None)
_dropped_lock = threading.Lock()
_dropped: dict[str, int] = {}


def _with_entries(entries: Mapping[str, str]) -> Context:
    """The current context with `entries` added to its baggage, as far as the bounds allow."""
    context = otel_context.get_current()
    carried = dict(inherited(context))
    for key, value in entries.items():
        grown = {**carried, key: value}
        if len(grown) > MAX_ENTRIES or sum(map(_encoded_bytes, grown.items())) > MAX_BAGGAGE_BYTES:
            _drop("baggage is full")
            continue
        carried = grown
        context = baggage.set_baggage(key, value, context)
    return context


def _encoded_bytes(entry: tuple[str, str]) -> int:
    key, value = entry
    return len(quote_plus(key)) + len(quote_plus(value)) + len("=,")


def _entry(name: str, value: object) -> tuple[str, str] | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    text = text.strip() if isinstance(text, str) else text  # as W3C propagators do on the other side
    problem = _problem(text)
    key = OWNER_KEYS.get(name)
    if key is None:
        key = _TAG + name
        problem = problem or (None if _TAG_NAME.fullmatch(name) else "name has other characters than A-Z a-z 0-9 _ . -")
    if problem is not None or not isinstance(text, str):
        _drop(problem or "not a string")
        return None
    return key, text


def _problem(value: object) -> str | None:
    """Why `value` cannot be carried; None if it can."""
    if not isinstance(value, str):
        return "not a string"
    if not value:
        return "empty"
    if len(value) > MAX_VALUE_CHARS:
        return f"longer than {MAX_VALUE_CHARS} characters"
    # Lone surrogates, which no header can encode, are not printable either.
    return None if value.isprintable() else "has characters that are not printable"


def _drop(reason: str) -> None:
    with _dropped_lock:
        _dropped[reason] = _dropped.get(reason, 0) + 1
