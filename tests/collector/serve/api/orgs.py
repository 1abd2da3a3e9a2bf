"""A collector of two organisations: one is asked about before and after the other one has anything."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from socket import SHUT_RDWR
from threading import Event, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow.parquet as pq
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.budgets.model import Action, Rule, Unit, Window, WindowKind
from collector.config import Config
from collector.config.parts import Endpoint
from collector.receive.senders import IngestToken, SenderConfig
from collector.serve.api.config import ApiConfig, ApiToken, JwtConfig, Role
from collector.service import Service
from otel_cost import attributes as k
from tests.collector.budgets.actions.telling import webhook
from tests.collector.serve.api.forged import AUDIENCE, ISSUER, OTHER, OWN, PUBLIC_PEM, own, signed
from tests.collector.test_service import config as service_config
from tests.support.http_receiver import Answer as Gone
from tests.support.http_receiver import HttpReceiver

MARK, OWN_MARK = "zebrafish", "quokka"
"""Stand in everything that the other, and the own, organisation says."""
ROOT = ApiToken("root", "root-0123456789abcdef", Role.ADMIN)
OWNERS = (
    k.OTEL_COST_RUN,
    k.OTEL_COST_AGENT,
    k.OTEL_COST_CUSTOMER,
    k.OTEL_COST_FEATURE,
    k.OTEL_COST_TEAM,
    k.OTEL_COST_USER,
)
SHARED = Rule(
    "each-customer",
    (("customer", None),),
    10**9,
    Unit.USD,
    Window(WindowKind.DAY),
    on_exceed=(Action.APPROVAL, Action.WEBHOOK),
)
TRACES = {OWN: b"\x11" * 16, OTHER: b"\x22" * 16}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


THEIRS = bearer(signed(role="admin", org_id=OTHER)) | {"X-Org-ID": OTHER}
"""An administrator of the other organisation, as the strictest route wants them."""


class Answer(NamedTuple):
    """What came back; of a stream its head."""

    status: int
    kind: str
    body: bytes

    @property
    def text(self) -> str:
        """What it says; of a Parquet file its rows."""
        if self.status == 200 and self.kind == "application/vnd.apache.parquet":
            return str(pq.read_table(BytesIO(self.body)).to_pylist())
        return self.body.decode("utf-8", "replace")


class Collector:
    """A running collector, and who asks it."""

    def __init__(self, service: Service, port: int, ingest: int) -> None:
        self.service = service
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._ingest = ingest
        assert service._api is not None
        self.app: Any = service._api._server.app

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Answer:
        connection = self._connection
        sent = None if method in ("GET", "HEAD") else json.dumps({} if body is None else body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        kind = answer.getheader("content-type", "").partition(";")[0]
        if kind != "text/event-stream":
            return Answer(answer.status, kind, answer.read())
        answer.close()
        connection.close()  # it opens itself again
        return Answer(answer.status, kind, b"")

    def close(self) -> None:
        self._connection.close()

    def send(self, organization: str, mark: str, count: int) -> None:
        """Calls of an organisation that says its mark in everything: the own one's of yesterday, the other's of now."""
        sent = ExportTraceServiceRequest()
        resource_spans = sent.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = f"{mark}-service"
        resource_spans.resource.attributes.add(key=f"{mark}.resource").value.string_value = mark
        spans = resource_spans.scope_spans.add().spans
        day_ns = 86_400 * 10**9
        start_ns = (time.time_ns() // day_ns - 1) * day_ns + 10**9 if organization == OWN else time.time_ns()
        for number in range(1, count + 1):
            trace, failed = TRACES[organization], number % 5 == 0
            span = spans.add(trace_id=trace, span_id=bytes([number]) * 8, name=f"{mark} {number}", kind=3)
            span.start_time_unix_nano, span.end_time_unix_nano = start_ns + number, start_ns + number + 10**8
            if failed:
                span.status.code, span.status.message = 2, f"{mark} failed"
            model = f"{mark}-model" if number % 3 == 0 else "gpt-4o"
            texts = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_PROVIDER_NAME: "openai", k.GEN_AI_REQUEST_MODEL: model}
            texts |= {key: f"{mark}-{key}" for key in OWNERS} | {f"{mark}.key": mark}
            for key, text in texts.items():
                span.attributes.add(key=key).value.string_value = text
            span.attributes.add(key=k.GEN_AI_USAGE_INPUT_TOKENS).value.int_value = 100_000
        connection = http.client.HTTPConnection("127.0.0.1", self._ingest, timeout=30)
        headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {organization}-0123456789abcdef"}
        connection.request("POST", "/v1/traces", sent.SerializeToString(), headers)
        assert connection.getresponse().status == 200
        connection.close()
        self._shown(organization, count)

    def _shown(self, organization: str, count: int) -> None:
        """Return when the calls are in what views read."""
        deadline = time.monotonic() + 30
        path, headers = "/api/v1/spend?since=all", bearer(ROOT.secret) | {"X-Org-ID": organization}
        while json.loads(self.ask("GET", path, headers).body).get("total", {}).get("calls") != count:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def dead_letter(self, headers: Mapping[str, str]) -> str:
        """The first message about a budget that nobody takes, once it was given up."""
        deadline = time.monotonic() + 30
        path = "/api/v1/budgets/deliveries?state=all"
        while (
            not (found := json.loads(self.ask("GET", path, headers).body)["deliveries"]) or found[0]["tried_at"] is None
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return str(found[0]["id"])


class Listener:
    """Somebody who listens to the stream of news, from when it is made."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("GET", "/api/v1/stream", headers=dict(headers))
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        self._lines = [self._answer.readline().decode()]
        self._thread = Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            for line in self._answer:
                self._lines.append(line.decode())

    @property
    def heard(self) -> str:
        return "".join(self._lines)

    def wait_for(self, what: str) -> None:
        """Until something was heard."""
        deadline = time.monotonic() + 60
        while what not in self.heard:
            assert time.monotonic() < deadline, (what, self.heard)
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._connection.sock is not None
        self._connection.sock.shutdown(SHUT_RDWR)
        self._thread.join()
        self._answer.close()
        self._connection.close()


@contextmanager
def of_two(folder: Path) -> Iterator[Collector]:
    """With tokens and JWTs of both organisations, and a rule of the config that both have; only the own has calls."""
    (folder / "public.pem").write_bytes(PUBLIC_PEM)
    api = ApiConfig(
        Endpoint("127.0.0.1", 0),
        (ROOT, *(own(role) for role in Role)),
        JwtConfig(ISSUER, (AUDIENCE,), public_key_file=folder / "public.pem"),
    )
    senders = SenderConfig(
        tuple(IngestToken(f"{name}-ingest", f"{name}-0123456789abcdef", organization=name) for name in (OWN, OTHER))
    )
    settings = replace(service_config(folder), api=api, senders=senders, rules=(SHARED,), prometheus=None)
    with HttpReceiver(lambda _: Gone(410, {}, b"gone")) as receiver:
        yield from _running(replace(settings, channels=(webhook(receiver.url),)))


def _running(settings: Config) -> Iterator[Collector]:
    started, done = Event(), Event()
    running: list[Collector] = []

    async def run() -> None:
        service = Service(settings)
        addresses = await service.start()
        assert addresses.api is not None
        assert addresses.http is not None
        running.append(Collector(service, addresses.api.port, addresses.http.port))
        started.set()
        await asyncio.to_thread(done.wait)
        await service.stop()

    thread = Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(60)
    try:
        running[0].send(OWN, OWN_MARK, 20)
        running[0].dead_letter(bearer(ROOT.secret) | {"X-Org-ID": OWN})
        yield running[0]
    finally:
        running[0].close()
        done.set()
        thread.join()
