"""What passes between the HTTP libraries, the readers of provider APIs and the spans: plain values, no I/O.

`None` means that the exchange does not say; 0 means that it says 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_T = TypeVar("_T", bound=tuple[Any, ...])


def maker(kind: type[_T]) -> Callable[[tuple[Any, ...]], _T]:
    """Makes NamedTuples of all their fields, in order, in a fifth of the time: calling the class runs Python code.

    For what every call makes; nothing checks how many fields are given.
    """
    return partial(tuple.__new__, kind)


def taker(kind: type[_T], *names: str) -> Callable[[_T], tuple[Any, ...]]:
    """Takes several fields of a NamedTuple at once, by name: each by itself is a search through the class."""
    fields: Sequence[str] = kind._fields  # type: ignore[attr-defined]
    return itemgetter(*map(fields.index, names))


class Request(NamedTuple):
    """An HTTP request as it leaves, after the SDK and before the network."""

    method: str  # upper case
    url: str
    headers: Mapping[str, str]  # names in lower case; credentials are never read
    body: bytes | None = None  # None: it has none, or is a stream that must not be read
    form: Mapping[str, str] | None = None  # text fields of a multipart body, where the library holds them apart


class Head(NamedTuple):
    """Status and headers of a response."""

    status: int
    headers: Mapping[str, str]  # names in lower case


class Part(NamedTuple):
    """Something that is billed by itself: an item of a batch, a step that another model took."""

    model: str | None
    usage: Mapping[str, int]  # as in `Reading`
    response_id: str | None = None
    service_tier: str | None = None
    context: Mapping[str, str] = _NOTHING
    reported_cost_pico_usd: int | None = None
    finish_reasons: tuple[str, ...] | None = None
    error_type: str | None = None
    extra: Mapping[str, Any] = _NOTHING


Said = Callable[[], tuple[Sequence[str], Sequence[str]]]
"""Gives the texts of the request and those that were delivered, when they are asked for: to estimate by."""


class Reading(NamedTuple):
    """What one exchange says.

    `usage` maps unit keys of `otel_cost.pricing.units` to whole quantities in the unit's quantum; it is inclusive:
    `input_tokens` contains cached, written and tool tokens, `output_tokens` contains reasoning. Where other quantities
    are billed than those reported, or by another model, `parts` lists all that is billed; without parts it is `usage`.
    """

    operation: str | None  # None: bookkeeping, no model call (polls, lists, counting tokens)
    provider: str  # a value of `gen_ai.provider.name` where one exists
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    is_stream: bool = False
    usage: Mapping[str, int] = _NOTHING
    images: int | None = None  # images in the answer
    finish_reasons: tuple[str, ...] | None = None  # the provider's words, in the order of the choices
    error_type: str | None = None
    service_tier: str | None = None  # as served
    context: Mapping[str, str] = _NOTHING  # what else decides the price (docs/pricing.md): inference_geo, speed, size
    reported_cost_pico_usd: int | None = None  # what the provider says that it charged
    is_billable: bool = True  # False: failed, or a repetition of what another exchange was billed for
    counts_once: bool = False  # repeats `response_id`'s usage: count it unless that id was counted already
    status: str | None = None  # of a response or job that may still be under way
    parts: tuple[Part, ...] = ()
    said: Said | None = None
    extra: Mapping[str, Any] = _NOTHING  # other facts, by the names of docs/instrumentation.md


class Asked(NamedTuple):
    """What a request asks for, and which reader understands the answer."""

    api: Api
    provider: str
    operation: str | None
    request: Request
    model: str | None = None
    is_stream: bool = False  # the app asked for a stream
    body: Any = None  # the parsed JSON body; None: it has none, or it was too large to parse
    context: Mapping[str, str] = _NOTHING  # what the request says of the price: size, quality, tier asked for
    is_provider_guessed: bool = False  # the host is not known: the answer may say better


class EventReader(Protocol):
    """Reads one stream, event by event. An event costs a microsecond or two: only those that matter are parsed."""

    def feed(self, data: bytes, name: str) -> None:
        """One event: the joined `data` of a server-sent event, a JSON line, a frame. `name` may be empty."""

    def reading(self) -> Reading:
        """What the stream said so far; may be asked at any time."""

    @property
    def is_done(self) -> bool:
        """Whether the provider said that it was the end."""

    @property
    def has_content(self) -> bool:
        """Whether anything of the answer was delivered: the first chunk that the user can see."""


@dataclass(frozen=True, slots=True)
class Api:
    """One provider API: three pure functions. None of them raises for any bytes; what cannot be read is left out.

    `framing` is that of successful answers whose headers do not tell it: "ndjson" for a file of lines, "" for a body
    that is read whole.
    """

    name: str  # as in `openai.chat`
    ask: Callable[[Request, str], Asked]  # request and provider
    whole: Callable[[Asked, Head, Any], Reading]  # JSON, or text, or bytes of the body
    stream: Callable[[Asked, Head], EventReader]
    framing: str = ""
