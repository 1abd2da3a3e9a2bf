"""Jobs that are polled: runs of the Assistants API, turns of agent sessions, x.ai's deferred chats.

The same usage is told by every poll of a finished job, so it counts once, by the id of the run or turn.
Sources: OpenAI's API reference, "Runs", "Agent sessions"; x.ai's "deferred chat completions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_cost.instrument.wire.answers import NoEvents, bookkeeping, never
from otel_cost.instrument.wire.openai_chat import reading_of
from otel_cost.instrument.wire.openai_units import failed, is_asked, parsed, price_context, sent, tokens_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import NOTHING, at, mapping, objects, text
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
        if usage and text(job.get("status")) in _OVER:
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


def ask_deferred(request: Request, provider: str) -> Asked:
    """A poll for a chat that was asked for with `deferred`."""
    return Asked(api=DEFERRED, provider=provider, operation=None, request=request)


def whole_deferred(asked: Asked, head: Head, body: Any) -> Reading:
    """The chat, once it is there; until then the status is 202."""
    error = failed(asked, head, body)
    if error is not None:
        return error
    chat = reading_of(asked._replace(operation="chat"), head, body, is_stream=False)
    told = chat._replace(operation=None, is_billable=False, counts_once=bool(chat.usage))
    return told._replace(extra={**told.extra, "counts_as": "chat"}) if told.counts_once else told


RUNS = Api("openai.runs", ask_run, whole_run, RunEvents)
DEFERRED = Api("openai.deferred", ask_deferred, whole_deferred, NoEvents)


def _is_thread(request: Request) -> bool:
    return "/threads/thread_" in request.url or b'"assistant_id"' in (request.body or b"")


ROUTES = (
    Route("threads/runs", RUNS, shape=_is_thread),
    Route("threads/{thread}/runs", RUNS, methods=("POST", "GET"), shape=_is_thread),
    Route("threads/{thread}/runs/{id}", RUNS, methods=("GET", "POST"), shape=_is_thread),
    Route("threads/{thread}/runs/{id}/cancel", RUNS, shape=_is_thread),
    Route("threads/{thread}/runs/{id}/submit_tool_outputs", RUNS, shape=_is_thread),
    Route("agents/sessions", RUNS, shape=never),
    Route("agents/sessions/{id}/events", RUNS, methods=("GET", "POST"), shape=never),
    Route("agents/sessions/{id}/turns", RUNS, methods=("GET",), shape=never),
    Route("agents/sessions/{id}/turns/{turn}", RUNS, methods=("GET",), shape=never),
    Route("chat/deferred-completion/{id}", DEFERRED, methods=("GET",), providers=frozenset({XAI})),
)
