"""No organisation sees another's data: every route of the real app, every role, every kind of forged credential.

What one organisation is answered is recorded before the other one exists, and asked again afterwards: it must be the
same. Routes come from the app's own table, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Event, Thread
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.routing import Mount, Route

from collector.budgets.model import Action, Rule, Unit, Window, WindowKind
from collector.config.parts import Endpoint
from collector.receive.senders import IngestToken, SenderConfig
from collector.serve.api.config import ApiConfig, ApiToken, JwtConfig, Role
from collector.serve.api.path import VERSION
from collector.service import Service
from otel_cost import attributes as k
from tests.collector.serve.api.forged import AUDIENCE, ISSUER, OTHER, OWN, PUBLIC_PEM, own, refused_credentials, signed
from tests.collector.test_service import config as service_config

MARK, OWN_MARK = "zebrafish", "quokka"
"""Stand in everything that the other, and the own, organisation says."""
ROOT = ApiToken("root", "root-0123456789abcdef", Role.ADMIN)
OTHERS = ApiToken("theirs", "theirs-0123456789abcdef", Role.ADMIN, OTHER)
OWNERS = (k.OTEL_COST_RUN, k.OTEL_COST_AGENT, k.OTEL_COST_CUSTOMER, k.OTEL_COST_FEATURE, k.OTEL_COST_TEAM)
SHARED = Rule(
    "each-customer", (("customer", None),), 10**9, Unit.USD, Window(WindowKind.DAY), on_exceed=(Action.APPROVAL,)
)
TRACES = {OWN: b"\x11" * 16, OTHER: b"\x22" * 16}


class Answer(NamedTuple):
    """What came back; of a stream its beginning."""

    status: int
    kind: str
    body: bytes


class Collector:
    """A running collector, and who asks it."""

    def __init__(self, service: Service, port: int, ingest: int) -> None:
        self.service = service
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
        """Calls of an organisation that says its mark in everything."""
        sent = ExportTraceServiceRequest()
        resource_spans = sent.resource_spans.add()
        resource_spans.resource.attributes.add(key="service.name").value.string_value = f"{mark}-service"
        resource_spans.resource.attributes.add(key=f"{mark}.resource").value.string_value = mark
        spans = resource_spans.scope_spans.add().spans
        day_ns = 86_400 * 10**9
        start_ns = (time.time_ns() // day_ns - 1) * day_ns + 10**9
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


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """With tokens of both organisations and JWTs, and a rule of the config that all have; its own data is there."""
    folder = tmp_path_factory.mktemp("orgs")
    (folder / "public.pem").write_bytes(PUBLIC_PEM)
    tokens = (ROOT, OTHERS, *(own(role) for role in Role))
    api = ApiConfig(
        Endpoint("127.0.0.1", 0), tokens, JwtConfig(ISSUER, (AUDIENCE,), public_key_file=folder / "public.pem")
    )
    senders = SenderConfig(
        tuple(IngestToken(f"{name}-ingest", f"{name}-0123456789abcdef", organization=name) for name in (OWN, OTHER))
    )
    settings = replace(service_config(folder), api=api, senders=senders, rules=(SHARED,), prometheus=None)
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
    running[0].send(OWN, OWN_MARK, 20)
    yield running[0]
    running[0].close()
    done.set()
    thread.join()


def routes(collector: Collector) -> list[tuple[str, str]]:
    """Method and path of everything that the app answers."""
    found: list[tuple[str, str]] = []
    for route in collector.app.routes:
        if isinstance(route, Mount):
            found.append(("GET", f"{route.path}/{{path}}"))
        else:
            assert isinstance(route, Route), f"how is {route} guarded?"
            found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


UNGUARDED = {
    ("GET", "/api/v1/me"): 401,
    ("POST", "/api/v1/login"): 400,
    ("POST", "/api/v1/logout"): 200,
}
"""Routes of the API for those whom nobody knows, and what they are told."""


def is_page(path: str) -> bool:
    """Files of the page, the same for everybody. What is at the root and shows figures is in `GUARDED_AT_ROOT`."""
    return not path.startswith(VERSION) and path not in GUARDED_AT_ROOT


GUARDED_AT_ROOT = {"/badge.svg"}


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with something in its parameters."""
    return re.sub(r"{(\w+)(:\w+)?}", lambda found: quote(values.get(found.group(1), "agent"), safe=""), path)


def bodies(method: str, path: str, values: Mapping[str, str]) -> object:
    """What to send, aimed at the other organisation."""
    lease, calls = values.get("lease", "none"), [{"call": 1, "usd": "1", "tokens": 1, "reserved": {"usd": "1"}}]
    claim = {"holder": "h", "owners": {"customer": OWN_MARK}, "estimate": {"usd": "0.000001", "tokens": 1}}
    sent: dict[str, object] = {
        "/sql": {"sql": "SELECT count(*), max(agent) FROM calls"},
        "/budgets/check": {key: value for key, value in claim.items() if key != "holder"} | {"org": OTHER},
        "/budgets/lease": claim | {"org": OTHER},
        "/budgets/settle": {"lease": lease, "calls": calls},
        "/budgets/release": {"lease": lease},
        "/budgets/rules/{name}": {"scope": "user", "limit": "5 calls/hour", "organization": OTHER},
        "/approvals/{ticket}/approve": {"raise": "0.0001"},
        "/login": {"token": own(Role.VIEWER).secret, "organization": OTHER},
        "/organization": {"organization": OTHER},
    }
    return sent.get(path.removeprefix(VERSION), {}) if method != "GET" else None


def normal(answer: Answer, values: Mapping[str, str]) -> tuple[int, str, str]:
    """The answer without what the time of asking says, names that were given, and the digest of all rules."""
    text = answer.body.decode("utf-8", "replace") if answer.kind != "application/vnd.apache.parquet" else ""
    for name in ("ticket", "lease"):
        text = text.replace(values.get(name, "none"), "none")
    text = re.sub(r'"rules_revision":\s*"\w+"', "", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)?", "TIME", text)
    return answer.status, answer.kind, re.sub(r'"age_seconds":\s*[\d.]+', '"age_seconds":0', text)


CALLERS = {
    "viewer": bearer(own(Role.VIEWER).secret),
    "JWT, admin": bearer(signed(role="admin", org_id=[OWN, "third"])) | {"X-Org-ID": OWN},
    "root, narrowed": bearer(ROOT.secret) | {"X-Org-ID": OWN},
}
OTHER_ROLES = {f"token, {role.name}": bearer(own(role).secret) for role in (Role.EDITOR, Role.ADMIN)}
"""Asked for changes only: what is read does not depend on the role."""
ALL, MODELS = "?since=all", "?models=gpt-4o&since=all"
PROBE = f"?since=all&customer={MARK}-{k.OTEL_COST_CUSTOMER}"
"""Asks for what only the other organisation has."""
NAMES = {
    "run": f"{MARK}-{k.OTEL_COST_RUN}",
    "trace_id": TRACES[OTHER].hex(),
    "name": f"{MARK}-rule",
    "key": "customer",
    "ticket": "none",
    "id": "none",
}


def recorded(collector: Collector, values: Mapping[str, str]) -> dict[tuple[str, str, str, str], tuple[int, str, str]]:
    """What the own organisation's callers are answered by every route."""
    found = {}
    for number, (method, path) in enumerate(routes(collector)):
        callers = CALLERS | OTHER_ROLES
        if method == "GET":  # by one of them each, for a view does not know more of its caller than the organisation
            callers = dict([list(CALLERS.items())[number % len(CALLERS)]])
        if path == "/api/v1/sql":
            callers = {"viewer": CALLERS["viewer"]}  # a process each time
        for name, headers in callers.items():
            for query in _queries(method, path):
                asked = filled(path, values)
                answer = collector.ask(method, asked + query, headers, bodies(method, path, values))
                if answer.status >= 500:
                    print("5xx", method, path, query, answer)
                if MARK not in asked + query:
                    assert MARK.encode() not in answer.body, (method, path, name)
                found[method, path, name, query] = normal(answer, values)
    return found


def _queries(method: str, path: str) -> tuple[str, ...]:
    if method != "GET" or is_page(path):
        return ("",)
    return (MODELS if path.endswith("/compare") else ALL, PROBE, "")


def test_an_organisation_is_answered_as_if_no_other_existed(collector: Collector) -> None:
    """By every route, for every role, also where it names what the other one has; and it can change none of that."""
    before = recorded(collector, NAMES)
    theirs = bearer(OTHERS.secret)
    collector.send(OTHER, MARK, 30)
    rule = {"scope": "user", "limit": "5 calls/hour", "on_exceed": ["block"]}
    made = collector.ask("PUT", f"/api/v1/budgets/rules/{NAMES['name']}", theirs, rule)
    assert made.status == 201
    claim = {"holder": "h", "owners": {"customer": MARK, "user": MARK}, "estimate": {"usd": "0.0001", "tokens": 1}}
    leased = json.loads(collector.ask("POST", "/api/v1/budgets/lease", theirs, claim).body)
    dear = claim | {"estimate": {"usd": "1", "tokens": 1}}
    refused = json.loads(collector.ask("POST", "/api/v1/budgets/lease", theirs, dear).body)
    values = NAMES | {"ticket": refused["refusal"]["ticket"], "lease": leased["lease"]["id"]}
    seen = {path for method, path in routes(collector) if method == "GET" and _shows(collector, path, values)}
    assert len(seen) >= 20, seen  # else there would be nothing to leak; and now it lies in every cache

    after = recorded(collector, values)
    assert {route: answer for route, answer in after.items() if answer != before[route]} == {}

    taken = collector.ask("PUT", f"/api/v1/budgets/rules/{NAMES['name']}", CALLERS["JWT, admin"], rule)
    assert (taken.status, MARK in NAMES["name"]) == (409, True)
    tickets = json.loads(collector.ask("GET", "/api/v1/approvals", theirs).body)["approvals"]
    assert [ticket["ticket"] for ticket in tickets] == [values["ticket"]]
    settled = {"lease": values["lease"], "calls": []}
    assert json.loads(collector.ask("POST", "/api/v1/budgets/settle", theirs, settled).body)["known"]
    assert collector.ask("GET", f"/api/v1/budgets/{NAMES['name']}", theirs).status == 200


def _shows(collector: Collector, path: str, values: Mapping[str, str]) -> bool:
    """Whether who may see all sees the other organisation there."""
    answers = (collector.ask("GET", filled(path, values) + query, bearer(ROOT.secret)) for query in (ALL, ""))
    return any(answer.status == 200 and MARK.encode() in answer.body for answer in answers)


def test_every_route_but_those_of_the_page_refuses_who_proves_nothing(collector: Collector) -> None:
    """401 or 403 with the one error body, whatever the method; nothing of anybody's is in it."""
    refused = refused_credentials()
    for method, path in routes(collector):
        if is_page(path):
            continue
        for name, headers in refused.items():
            answer = collector.ask(method, filled(path, {}), headers, bodies(method, path, {}))
            expected = {UNGUARDED[method, path]} if (method, path) in UNGUARDED else {401, 403}
            if name == "own JWT, no name":
                expected |= {400}
            if (method, path) == ("GET", "/api/v1/me"):
                expected = {401, 403, 400}
            assert answer.status in expected, (method, path, name, answer)
            if answer.status >= 400:
                assert json.loads(answer.body)["error"]["code"]
            assert OWN_MARK not in answer.body.decode()
