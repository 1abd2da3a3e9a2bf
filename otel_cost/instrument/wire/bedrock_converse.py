"""Bedrock's Converse API: one shape of request and answer for all models.

Source: Amazon Bedrock API reference, `Converse`, `ConverseStream`, `CountTokens`, `TokenUsage`, `CacheDetail`; what
guardrails did is told by `trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any

from otel_cost.instrument.wire.answers import json_or_none, texts_in
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.bedrock_request import (
    at_latency,
    counted_tokens,
    failed,
    inclusive,
    on_bedrock,
    target_of,
)
from otel_cost.instrument.wire.blocks import Blocks
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request, maker
from otel_cost.instrument.wire.values import NOTHING, at, items, mapping, objects, put, text, whole
from otel_cost.normalise.vocabulary import BEDROCK
from otel_cost.pricing.units import CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, MAX_QUANTITY, OUTPUT

TEXTS = frozenset({"text", "input"})
_NAMES: Mapping[str, tuple[str, ...]] = {
    OUTPUT: ("outputTokens",),
    CACHE_READ: ("cacheReadInputTokens", "cacheReadInputTokenCount"),
    CACHE_WRITE: ("cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    INPUT: ("inputTokens",),
}
"""By unit, what a usage calls it; the first that is a count."""
_FURTHER = frozenset({"trace", "serviceTier", "performanceConfig"})
"""What few answers say besides message and usage."""
_INTS = {int}
_LIFETIMES = {"5m": CACHE_WRITE_5M, "1h": CACHE_WRITE_1H}
_STREAM = "converse-stream"
_COUNT = "count-tokens"


def ask(request: Request, provider: str) -> Asked:
    """The model is in the path, everything else in the body."""
    api, operation, model, is_stream, context = _of_path(request.url.partition("?")[0].rstrip("/"))
    return _asked((api, provider, operation, request, model, is_stream, json_body(request), context, False))


@lru_cache(maxsize=256)
def _of_path(path: str) -> tuple[Api, str | None, str | None, bool, Mapping[str, str]]:
    """API, operation, model, whether it is a stream, and region: an app asks few models."""
    model, context = target_of(path)
    is_stream = path.endswith(_STREAM)
    return (
        CONVERSE_STREAM if is_stream else CONVERSE,
        None if path.endswith(_COUNT) else "chat",
        model,
        is_stream,
        context,
    )


_asked, _reading = maker(Asked), maker(Reading)


def read_whole(asked: Asked, head: Head, body: Any) -> Reading:
    """A message, a count of tokens, or an error."""
    if asked.operation is None:
        return counted_tokens(asked, head, body)
    if head.status >= 400:
        return failed(asked, head, body)
    return message_reading(asked, mapping(body))


def usage_of(reported: Mapping[str, Any]) -> dict[str, int]:
    """`TokenUsage`: its input excludes cached tokens. Older and Nova's own answers say `...TokenCount`. Written tokens
    may be listed by lifetime."""
    plan = _plan(tuple(reported))
    if plan is not None:
        units, take = plan
        counts = take(reported)
        if set(map(type, counts)) == _INTS and min(counts) >= 0 and sum(counts) <= MAX_QUANTITY:  # nearly always
            usage = dict(zip(units, counts))  # noqa: B905  # they are as many; to have it checked takes half as long again
            usage[INPUT] = sum(counts) - usage[OUTPUT]
            return usage
    return any_usage_of(reported)


@lru_cache(maxsize=64)
def _plan(keys: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Mapping[str, Any]], tuple[Any, ...]]] | None:
    """Units that a usage of these keys tells, and what takes their counts. An app sees few such sets of keys."""
    if "cacheDetails" in keys or not {"inputTokens", "outputTokens"}.issubset(keys):
        return None
    found = {unit: next((name for name in names if name in keys), None) for unit, names in _NAMES.items()}
    told = {unit: name for unit, name in found.items() if name is not None}
    return tuple(told), itemgetter(*told.values())


def any_usage_of(reported: Mapping[str, Any]) -> dict[str, int]:
    """The same, of whatever was reported."""
    usage = inclusive(
        {
            INPUT: reported.get("inputTokens"),
            OUTPUT: reported.get("outputTokens"),
            CACHE_READ: _either(reported, *_NAMES[CACHE_READ]),
            CACHE_WRITE: _either(reported, *_NAMES[CACHE_WRITE]),
        }
    )
    for detail in objects(reported.get("cacheDetails")):
        unit, count = _LIFETIMES.get(str(detail.get("ttl"))), whole(detail.get("inputTokens"))
        if unit is not None and count is not None:
            put(usage, unit, usage.get(unit, 0) + count)
    return usage


def _either(said: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        count = whole(said[key]) if key in said else None
        if count is not None:
            return count
    return None


def message_reading(asked: Asked, said: Mapping[str, Any]) -> Reading:
    """What an answer says, whole or put together from a stream's events."""
    reason = text(said.get("stopReason"))
    reading = _reading(
        (
            asked.operation,
            asked.provider,
            asked.model,
            None,  # response model
            None,  # response id
            asked.is_stream,
            usage_of(mapping(said.get("usage"))),
            None,  # images
            (reason,) if reason else None,
            None,  # error
            None,  # service tier
            asked.context,
            None,  # reported cost
            True,  # billable
            False,
            None,
            (),
            partial(_texts_of, asked, said.get("output")),
            NOTHING,
        )
    )
    return reading if _FURTHER.isdisjoint(said) else _with_more(reading, said)


def _with_more(reading: Reading, said: Mapping[str, Any]) -> Reading:
    units = guardrail_units(at(said, "trace", "guardrail"))
    return reading._replace(
        response_model=text(at(said, "trace", "promptRouter", "invokedModelId")),
        service_tier=text(at(said, "serviceTier", "type")),
        context=at_latency(reading.context, at(said, "performanceConfig", "latency")),
        extra={"guardrail_units": units} if units else NOTHING,
    )


def _texts_of(asked: Asked, output: object) -> tuple[list[str], list[str]]:
    return texts_in(asked.body, TEXTS), texts_in(output, TEXTS)


def guardrail_units(trace: Any) -> dict[str, int]:
    """What guardrails are billed by, summed over their assessments: `contentPolicyUnits`, `topicPolicyUnits`, ..."""
    if trace is None:  # nearly always
        return {}
    assessments: list[Any] = []
    for key in ("inputAssessment", "input"):
        assessments += mapping(at(trace, key)).values()
    for key in ("outputAssessments", "outputs"):
        for named in (*objects(at(trace, key)), mapping(at(trace, key))):
            for found in named.values():
                assessments += items(found) or (found,)
    units: dict[str, int] = {}
    for assessment in assessments:
        for name, count in mapping(at(assessment, "invocationMetrics", "usage")).items():
            used = whole(count)
            if used and name.endswith("Units"):
                units[name] = units.get(name, 0) + used
    return units


_CONTENT = frozenset({"contentBlockDelta", "contentBlockStart", "contentBlockStop"})


class ConverseEvents:
    """A streamed message: `messageStop` has the reason of the end, `metadata` after it the usage."""

    __slots__ = ("_asked", "_delivered", "_error", "_head", "_said", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._head = head
        self._said: dict[str, Any] = {}
        self._delivered = Blocks()
        self._error: str | None = None
        self.has_content = False
        self.is_done = False

    def feed(self, data: bytes, name: str) -> None:
        """One frame, by its event's name. Content is kept as it is, in case that someone asks for it."""
        if name in _CONTENT:
            self.has_content = True
            self._delivered.add(data)
        elif name != "messageStart":
            self.event(name, json_or_none(data))

    def event(self, name: str, said: Any) -> None:
        """One parsed event that is not content."""
        if name in ("messageStop", "metadata"):
            self._said.update(mapping(said))
        elif name.endswith(("Exception", "Error")):
            self._error = text(name)
        if name == "metadata":
            self.is_done = True

    def reading(self) -> Reading:
        """What the stream said so far."""
        reading = message_reading(self._asked, self._said)._replace(is_stream=True, said=self._texts)
        if self._error is not None:
            failure = failed(self._asked, self._head, None, self._error)
            reading = reading._replace(error_type=failure.error_type, is_billable=bool(reading.usage))
        return reading

    def _texts(self) -> tuple[list[str], list[str]]:
        return texts_in(self._asked.body, TEXTS), self._delivered.texts(TEXTS)


CONVERSE = Api("bedrock.converse", ask, read_whole, ConverseEvents)
CONVERSE_STREAM = Api("bedrock.converse_stream", ask, read_whole, ConverseEvents, framing="aws-eventstream")
ROUTES = tuple(
    Route(f"model/{{model}}/{action}", CONVERSE, provider=BEDROCK, shape=on_bedrock)
    for action in ("converse", _STREAM, _COUNT)
)
"""`ask` says which of both APIs a request is for."""
