"""Bedrock's agent runtime: agents, whose traces tell what their models used, and the reranker.

Source: Amazon Bedrock API reference, `InvokeAgent`, `InvokeInlineAgent`, `Rerank`; "Trace events in Amazon Bedrock":
every `modelInvocationOutput` has the usage of one call of a model. Without a trace nobody tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_cost.instrument.wire.answers import NoEvents, answer, json_or_none
from otel_cost.instrument.wire.asking import json_body
from otel_cost.instrument.wire.bedrock_converse import usage_of
from otel_cost.instrument.wire.bedrock_models import CHAT, RERANK, RERANK_DOCUMENTS
from otel_cost.instrument.wire.bedrock_request import failed, target_of
from otel_cost.instrument.wire.routes import Route
from otel_cost.instrument.wire.types import Api, Asked, Head, Part, Reading, Request
from otel_cost.instrument.wire.values import at, items, mapping, text
from otel_cost.normalise.vocabulary import BEDROCK

MAX_PARTS = 1_000
"""Calls of models that are counted of one agent's answer. An agent's loop ends long before; a stream must not fill
us."""

_MODELS = b'"modelInvocation'


def _ask_rerank(request: Request, provider: str) -> Asked:
    body = json_body(request)
    settings = at(body, "rerankingConfiguration", "bedrockRerankingConfiguration", "modelConfiguration")
    context = target_of(request.url).context
    return Asked(BEDROCK_RERANK, provider, RERANK, request, text(at(settings, "modelArn")), body=body, context=context)


def _reranked(asked: Asked, head: Head, body: Any) -> Reading:
    """Every query is billed, once for every hundred documents begun."""
    if head.status >= 400:
        return failed(asked, head, body)
    queries, documents = len(items(at(asked.body, "queries"))), len(items(at(asked.body, "sources")))
    searches = max(1, queries) * max(1, -(-documents // RERANK_DOCUMENTS))
    return answer(asked)._replace(usage={"rerank_searches": searches}, extra={"usage_reported": False})


def _ask_agent(request: Request, provider: str) -> Asked:
    return Asked(AGENT, provider, "invoke_agent", request, is_stream=True, context=target_of(request.url).context)


def _agent_failed(asked: Asked, head: Head, body: Any) -> Reading:
    """Agents answer with streams; what comes whole is an error."""
    return failed(asked, head, body)


class AgentEvents:
    """An agent's answer: `chunk` is text, `trace` may have what a model was asked and what it used."""

    __slots__ = ("_asked", "_error", "_head", "_model", "_parts", "has_content", "is_done")

    def __init__(self, asked: Asked, head: Head) -> None:
        self._asked = asked
        self._head = head
        self._model: str | None = None
        self._parts: list[Part] = []
        self._error: str | None = None
        self.has_content = False
        self.is_done = False

    def feed(self, data: bytes, name: str) -> None:
        """One frame."""
        if name == "chunk":
            self.has_content = True
        elif name.endswith(("Exception", "Error")):
            self._error, self.is_done = text(name), True
        elif name == "trace" and _MODELS in data and len(self._parts) < MAX_PARTS:
            for step in _steps(mapping(json_or_none(data))):
                self._step(step)

    def _step(self, step: Mapping[str, Any]) -> None:
        self._model = text(at(step, "modelInvocationInput", "foundationModel")) or self._model
        usage = usage_of(mapping(at(step, "modelInvocationOutput", "metadata", "usage")))
        if usage:
            self._parts.append(Part(self._model, usage, context=self._asked.context))

    def reading(self) -> Reading:
        """What the trace said so far: each call of a model is a part."""
        reading = answer(self._asked)._replace(parts=tuple(self._parts), extra={"counts_as": CHAT})
        if self._error is not None:
            error = failed(self._asked, self._head, None, self._error).error_type
            reading = reading._replace(error_type=error, is_billable=bool(self._parts))
        return reading


def _steps(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The traces of an event's stages: `orchestrationTrace`, `preProcessingTrace`, `routingClassifierTrace`, ..."""
    return (stage for stage in mapping(event.get("trace")).values() if isinstance(stage, Mapping))


BEDROCK_RERANK = Api("bedrock.rerank", _ask_rerank, _reranked, NoEvents)
AGENT = Api("bedrock.agent", _ask_agent, _agent_failed, AgentEvents, framing="aws-eventstream")

_HOSTS = frozenset({BEDROCK})
ROUTES = (
    Route("rerank", BEDROCK_RERANK, providers=_HOSTS),
    Route("agentAliases/{alias}/sessions/{id}/text", AGENT, providers=_HOSTS),
    Route("agents/{session}", AGENT, providers=_HOSTS),
)
