"""Videos: a job is made, polled and fetched; its length is billed, at a rate that its resolution decides.

It counts when it is made; a poll tells the same again, or for the first time where the making said no length.
Sources: OpenAI's API reference, "Videos"; Azure's and x.ai's "video generation".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from otel_cost.instrument.wire.answers import NoEvents, answer
from otel_cost.instrument.wire.asking import model_of
from otel_cost.instrument.wire.openai_units import cost_of, failed, price_context, sent
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, mapping, micros, text, whole
from otel_cost.normalise.vocabulary import XAI

_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})\Z")
_FAILED = frozenset({"failed", "cancelled", "canceled", "expired"})


def ask_video(request: Request, provider: str) -> Asked:
    """A request about videos: making, changing or extending one is a model call, looking at one is not."""
    is_made = request.method == "POST"
    body = sent(request) if is_made else NOTHING
    return Asked(
        api=VIDEOS,
        provider=provider,
        operation="video_generation" if is_made else None,
        request=request,
        model=model_of(request, body),
        body=body or None,
        context=price_context(request),
    )


def whole_video(asked: Asked, head: Head, body: Any) -> Reading:
    """A video's job. Its length is billed, at a rate that its resolution decides; one that failed is not."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    said, wanted = mapping(body), mapping(asked.body)
    status = text(said.get("status"))
    cost, extra = cost_of(said.get("usage"))
    seconds = _seconds(said, wanted)
    resolution = _resolution(said) or _resolution(wanted)
    told = answer(asked)._replace(
        response_model=text(said.get("model")),
        response_id=text(said.get("id")) or text(said.get("request_id")) or _id_in(asked.request.url),
        usage={} if seconds is None else {"output_video_seconds": seconds},
        context={**asked.context, **({"resolution": resolution} if resolution else {})},
        reported_cost_pico_usd=cost,
        status=status,
        extra={**extra, "usage_reported": False},
    )
    is_failed = status in _FAILED
    if asked.operation is not None:
        return told._replace(is_billable=not is_failed)
    is_news = bool(told.usage) and not is_failed
    return told._replace(
        is_billable=False,
        counts_once=is_news,
        extra={**told.extra, "counts_as": "video_generation"} if is_news else told.extra,
    )


def _seconds(said: Mapping[str, Any], wanted: Mapping[str, Any]) -> int | None:
    """The length of what was made, in millionths of a second; of Azure's jobs times the variants."""
    length = next(
        (
            found
            for value in (
                said.get("seconds"),
                said.get("n_seconds"),
                at(said, "video", "duration"),
                wanted.get("seconds"),
                wanted.get("n_seconds"),
                wanted.get("duration"),
            )
            if (found := micros(value)) is not None
        ),
        None,
    )
    return length if length is None else length * (whole(said.get("n_variants")) or 1)


def _resolution(said: Mapping[str, Any]) -> str | None:
    named = text(said.get("resolution"))
    if named:
        return named.lower()
    sides = _SIZE.match(str(said.get("size")))
    if sides:
        return f"{min(int(sides[1]), int(sides[2]))}p"
    width, height = whole(said.get("width")), whole(said.get("height"))
    return f"{min(width, height)}p" if width and height else None


def _id_in(url: str) -> str | None:
    """x.ai's polls do not repeat the id of the job."""
    return text(url.partition("?")[0].rstrip("/").rpartition("/")[2])


VIDEOS = Api("openai.videos", ask_video, whole_video, NoEvents)


def _is_video(request: Request) -> bool:
    return "/videos/video_" in request.url or "/video/generations/jobs" in request.url


def _asks_for_a_video(request: Request) -> bool:
    return "prompt" in (request.form or ()) or b'"prompt"' in (request.body or b"")


ROUTES = (
    Route("videos", VIDEOS, shape=_asks_for_a_video),
    Route("videos/edits", VIDEOS, shape=_asks_for_a_video),
    Route("videos/extensions", VIDEOS, shape=_asks_for_a_video),
    Route("videos/generations", VIDEOS, providers=frozenset({XAI})),
    Route("videos/{id}/remix", VIDEOS, shape=_is_video),
    Route("videos/{id}", VIDEOS, methods=("GET",), shape=_is_video),
    Route("video/generations/jobs", VIDEOS, shape=_is_video),
    Route("video/generations/jobs/{id}", VIDEOS, methods=("GET",), shape=_is_video),
)
