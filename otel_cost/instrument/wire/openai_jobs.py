"""Jobs that are polled: runs of the Assistants API, turns of agent sessions, videos.

The same usage is told by every poll of a finished job, so it counts once, by the id of the run, turn or video.
Source: OpenAI's API reference, "Runs", "Agent sessions", "Videos"; Azure's and x.ai's "video generation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from otel_cost.instrument.wire.answers import answer, bookkeeping
from otel_cost.instrument.wire.asking import model_of
from otel_cost.instrument.wire.openai_units import cost_of, failed, is_asked, parsed, price_context, sent, tokens_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, mapping, micros, objects, text, whole
from otel_cost.normalise.vocabulary import XAI
from otel_cost.pricing.units import CACHE_READ, INPUT, OUTPUT, REASONING

_RUN, _TURN = "thread.run", "agent.session.turn"
_OVER = frozenset({"completed", "incomplete", "failed", "cancelled", "expired"})
_TOLD = {"input_tokens": INPUT, "output_tokens": OUTPUT, "cache_read": CACHE_READ, "reasoning": REASONING}


def ask_run(request: Request, provider: str) -> Asked:
    """A request about runs. Starting one is no model call by itself: its usage is told when it is over."""
    body = sent(request) if request.method == "POST" else NOTHING
    return Asked(
        api=RUNS,
        provider=provider,
        operation=None,
        request=request,
        is_stream=is_asked(body.get("stream")),
        context=price_context(request),
    )


def whole_run(asked: Asked, head: Head, body: Any) -> Reading:
    """A run, a turn, or a list of them."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    said = mapping(body)
    listed = objects(said.get("data"))
    jobs = tuple(job for job in (said, *listed) if job.get("object") in (_RUN, _TURN))
    return _told(asked, said, tuple(_finished(jobs, None)))


def _told(asked: Asked, said: Mapping[str, Any], parts: tuple[Part, ...]) -> Reading:
    kind = "poll" if asked.request.method == "GET" else "create"
    extra: dict[str, Any] = {"kind": f"assistants run {kind}"} if said.get("object") == _RUN else {}
    if parts:
        extra["counts_as"] = "chat"
        extra["usage_reported"] = False
        if len(parts) == 1 and extra.get("kind"):
            usage = parts[0].usage
            extra["run_usage"] = {key: usage[unit] for key, unit in _TOLD.items() if unit in usage}
    return bookkeeping(asked)._replace(
        response_id=text(said.get("id")), counts_once=bool(parts), parts=parts, extra=extra
    )


def _finished(jobs: tuple[Mapping[str, Any], ...], model: str | None) -> Iterator[Part]:
    for job in jobs:
        usage = tokens_of(job.get("usage"))
        if usage and job.get("status") in _OVER:
            yield Part(text(job.get("model")) or model, usage, text(job.get("id")))


class RunEvents:
    """Reads the events of a run or of an agent's session: only the last event of a run or turn tells usage."""

    __slots__ = ("_asked", "_model", "_parts", "_said", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._said: Mapping[str, Any] = NOTHING
        self._parts: dict[str | None, Part] = {}
        self._model: str | None = None
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        if name.endswith(".delta"):
            self.has_content = True
        elif name == "done" or data == b"[DONE]":
            self.is_done = True
        elif b'"usage"' in data or b'"agent"' in data:
            self._job(parsed(data))

    def _job(self, event: Mapping[str, Any]) -> None:
        self._model = text(at(event, "session", "agent", "model")) or text(at(event, "agent", "model")) or self._model
        if event.get("object") == _RUN:
            self._said = event
            job = event
        else:
            turn = mapping(event.get("turn"))
            job = {**turn, "usage": event.get("usage") or turn.get("usage")} if turn else NOTHING
        for part in _finished((job,), self._model):
            self._parts[part.response_id] = part

    def reading(self) -> Reading:
        """What the stream said so far."""
        return _told(self._asked, self._said, tuple(self._parts.values()))


_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})\Z")
_FAILED = frozenset({"failed", "cancelled", "canceled", "expired"})
_VIDEO_PARTS = ("/content", "/thumbnail")


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


class NoEvents:
    """Reads a stream of an API that has none: a proxy's error, or something unknown."""

    __slots__ = ("_asked", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self.is_done = False
        self.has_content = False

    def feed(self, data: bytes, name: str) -> None:
        """One event."""
        self.has_content = True

    def reading(self) -> Reading:
        """What the request said."""
        return answer(self._asked)


RUNS = Api("openai.runs", ask_run, whole_run, RunEvents)
VIDEOS = Api("openai.videos", ask_video, whole_video, NoEvents)


def _is_thread(request: Request) -> bool:
    return "/threads/thread_" in request.url or b'"assistant_id"' in (request.body or b"")


def _is_video(request: Request) -> bool:
    return "/videos/video_" in request.url or "/video/generations/jobs" in request.url


def _always(_: Request) -> bool:
    return True


ROUTES = (
    Route("threads/runs", RUNS, shape=_is_thread),
    Route("threads/{thread}/runs", RUNS, methods=("POST", "GET"), shape=_is_thread),
    Route("threads/{thread}/runs/{id}", RUNS, methods=("GET", "POST"), shape=_is_thread),
    Route("threads/{thread}/runs/{id}/cancel", RUNS, shape=_is_thread),
    Route("threads/{thread}/runs/{id}/submit_tool_outputs", RUNS, shape=_is_thread),
    Route("agents/sessions", RUNS, shape=lambda request: False),
    Route("agents/sessions/{id}/events", RUNS, methods=("GET", "POST"), shape=lambda request: False),
    Route("agents/sessions/{id}/turns", RUNS, methods=("GET",), shape=lambda request: False),
    Route("agents/sessions/{id}/turns/{turn}", RUNS, methods=("GET",), shape=lambda request: False),
    Route("videos", VIDEOS, shape=_always),
    Route("videos/edits", VIDEOS, shape=_always),
    Route("videos/extensions", VIDEOS, shape=_always),
    Route("videos/generations", VIDEOS, providers=frozenset({XAI})),
    Route("videos/{id}/remix", VIDEOS, shape=_is_video),
    Route("videos/{id}", VIDEOS, methods=("GET",), shape=_is_video),
    Route("video/generations/jobs", VIDEOS, shape=_is_video),
    Route("video/generations/jobs/{id}", VIDEOS, methods=("GET",), shape=_is_video),
)
