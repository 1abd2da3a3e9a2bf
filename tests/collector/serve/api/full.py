"""A whole collector with its API, in this process, over calls that were sent to it."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple
from urllib.parse import urlencode

from collector.config import Config, Endpoint
from collector.receive.config import ReceiverConfig
from collector.serve.api.config import ApiConfig
from collector.service import Service
from collector.store import StoreConfig
from otel_cost import attributes as k

ANY = Endpoint("127.0.0.1", 0)
HOUR_NS = 3600 * 10**9
Json = dict[str, Any]


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Collector(NamedTuple):
    """A running collector."""

    service: Service
    api: Endpoint
    otlp: Endpoint
    path: Path

    @property
    def url(self) -> str:
        return f"http://{self.api}"

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.api.host, self.api.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            payload = None if body is None else json.dumps(body).encode()
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, payload, {**kind, **named})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **parameters: object) -> Any:
        """The JSON of a view."""
        query = urlencode(parameters, doseq=True)
        answer = self.request("GET", f"/api/v1{path}{'?' if query else ''}{query}")
        assert answer.status == 200, answer
        return answer.json()

    def send(self, *spans: Json) -> None:
        """Spans of one service, acknowledged."""
        resource = {"attributes": [_attribute("service.name", "shop")]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}
        connection = http.client.HTTPConnection(self.otlp.host, self.otlp.port, timeout=20)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        connection.request("POST", "/v1/traces", gzip.compress(json.dumps(body).encode()), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def wait_for(self, calls: int) -> None:
        """Until so many calls are published."""
        deadline = time.monotonic() + 60
        while self.get("/spend", since="all")["total"]["calls"] < calls:
            assert time.monotonic() < deadline, "the calls were not published"
            time.sleep(0.05)


@contextmanager
def collecting(folder: Path, **api: Any) -> Iterator[Collector]:
    """A collector with the API of that config; without authentication unless it says otherwise."""
    started, done, found = Event(), Event(), []
    settings = Config(
        grpc=None,
        http=ReceiverConfig("127.0.0.1", 0),
        store=StoreConfig(folder / "costs.duckdb", publish_interval_seconds=0.1),
        prometheus=None,
        health_check=None,
        api=ApiConfig(ANY, **api),
    )

    async def run() -> None:
        service = Service(settings)
        addresses = await service.start()
        assert addresses.api is not None
        assert addresses.http is not None
        found.append(Collector(service, addresses.api, addresses.http, settings.store.path))
        started.set()
        await asyncio.to_thread(done.wait)
        await service.stop()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(60)
    try:
        yield found[0]
    finally:
        done.set()
        thread.join()


def span(trace: int, number: int, start_ns: int, parent: int | None = None, **attributes: object) -> Json:
    """A span of one second; `failed=True` ends it with an error."""
    failed = bool(attributes.pop("failed", False))
    name = str(attributes.pop("name", "chat"))
    found: Json = {
        "traceId": f"{trace:032x}",
        "spanId": f"{trace * 1000 + number:016x}",
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + 10**9),
        "attributes": [_attribute(key, value) for key, value in attributes.items()],
        "status": {"code": 2, "message": "overloaded"} if failed else {},
    }
    return found if parent is None else {**found, "parentSpanId": f"{trace * 1000 + parent:016x}"}


def call(
    trace: int,
    number: int,
    start_ns: int,
    model: str,
    tokens: tuple[int, int],
    parent: int | None = None,
    **said: object,
) -> Json:
    """A call of a model of OpenAI."""
    attributes: Mapping[str, object] = {
        k.GEN_AI_OPERATION_NAME: "chat",
        k.GEN_AI_PROVIDER_NAME: "openai",
        k.GEN_AI_REQUEST_MODEL: model,
        k.GEN_AI_RESPONSE_ID: f"resp-{trace}-{number}",
        k.GEN_AI_USAGE_INPUT_TOKENS: tokens[0],
        k.GEN_AI_USAGE_OUTPUT_TOKENS: tokens[1],
        **said,
    }
    return span(trace, number, start_ns, parent, **attributes)


def _attribute(key: str, value: object) -> Json:
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def some_calls(now_ns: int) -> list[Json]:
    """Thirty runs of an agent in the last 29 hours: priced, unpriced and failed calls; 75 in all."""
    spans = []
    for number in range(30):
        at_ns = now_ns - (number + 1) * HOUR_NS + HOUR_NS // 2
        agent = ("writer", "critic", "=cmd|' /C calc'!A0")[number % 3]
        root = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent, "name": f"invoke_agent {agent}"}
        owner = {"otel_cost.customer": ("acme", "globex")[number % 2]} if number % 5 else {}
        spans.append(span(number + 1, 1, at_ns, None, **root, **owner))
        spans.append(call(number + 1, 2, at_ns + 10**6, "gpt-4o", (1000 + number, 100), 1))
        spans.append(call(number + 1, 3, at_ns + 2 * 10**6, "gpt-4o-mini", (77, number), 1, failed=number % 7 == 0))
        if number % 2:
            spans.append(call(number + 1, 4, at_ns + 3 * 10**6, "house-model-9", (10, 10), 1, tier="gold"))
    return spans
