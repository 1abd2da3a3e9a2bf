"""Approvals and dead letters over HTTP, and the page: real requests, a real ledger, a real receiver."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest

from collector.budgets.actions.config import AnyChannel
from collector.budgets.actions.deliveries import Deliveries
from collector.budgets.approvals import Approvals
from collector.budgets.model import Action, CounterKey, Unit
from collector.config.parts import Endpoint
from collector.serve.api.app import build_app
from collector.serve.api.budgets_approvals import approval_paths
from collector.serve.api.config import ApiConfig, ApiToken, Role
from collector.serve.api.pages import approvals_page
from collector.serve.api.server import ApiServer
from collector.store import Store
from otel_cost.pricing.money import PICO_PER_USD
from tests.collector.budgets.actions.telling import DAY_START_NS, RULE, event, eventually, happen, ledger, webhook
from tests.support.http_receiver import Answer, HttpReceiver

ANY = Endpoint("127.0.0.1", 0)
DAILY = replace(RULE, on_warn=(), on_exceed=(Action.WEBHOOK, Action.APPROVAL))
TOKENS = replace(DAILY, name="tokens", unit=Unit.TOKENS, limit=1000)
NOW_NS = DAY_START_NS + 3600 * 10**9


class Desk(NamedTuple):
    """What the routes need."""

    approvals: Approvals
    deliveries: Deliveries


class Asking:
    """A desk that is served, and who asks it."""

    def __init__(self, store: Store, desk: Desk, port: int) -> None:
        self.store = store
        self.desk = desk
        self.port = port

    def raw(
        self, method: str, path: str, payload: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, payload, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        payload = None if body is None else json.dumps(body).encode()
        status, _, said = self.raw(method, f"/api/v1{path}", payload, **headers)
        return status, json.loads(said)

    def ticket(self, limit: int = DAILY.limit, customer: str = "acme") -> str:
        rule = TOKENS if limit == TOKENS.limit else DAILY
        key = CounterKey("default", rule.name, customer, DAY_START_NS)
        return self.desk.approvals.request(rule, key, limit, limit, f"customer {customer}", NOW_NS)


@contextmanager
def served(folder: Path, channels: tuple[AnyChannel, ...] = (), tokens: tuple[ApiToken, ...] = ()) -> Iterator[Asking]:
    """A desk on a real ledger, behind a server on a loop of its own."""
    started, done = Event(), Event()
    ports: list[int] = []

    async def run(desk: Desk) -> None:
        server = ApiServer(ANY, build_app(ApiConfig(ANY, tokens), approval_paths(desk), [approvals_page()]))
        ports.append((await server.start()).port)
        started.set()
        await asyncio.to_thread(done.wait)
        await server.stop()

    with ledger(folder) as store:
        approvals = Approvals(store, lambda: [DAILY, TOKENS], clock_ns=lambda: NOW_NS)
        approvals.start()
        deliveries = Deliveries(channels, store, lambda: [DAILY, TOKENS], approvals)
        approvals.on_new = deliveries.wake
        deliveries.start()
        desk = Desk(approvals, deliveries)
        thread = Thread(target=lambda: asyncio.run(run(desk)))
        thread.start()
        try:
            assert started.wait(20)
            yield Asking(store, desk, ports[0])
        finally:
            done.set()
            thread.join()
            deliveries.stop()


def test_a_request_is_seen_approved_and_told(tmp_path: Path) -> None:
    """The receiver hears that somebody asks, and that somebody has approved, with the ticket."""
    with HttpReceiver() as receiver, served(tmp_path, (webhook(receiver.url),)) as ask:
        ticket = ask.ticket()
        asked = receiver.wait_for(1)[0].body
        assert (asked["kind"], asked["ticket"]["ticket"], asked["ticket"]["asked_by"]) == (
            "approval_requested",
            ticket,
            "customer acme",
        )
        (listed,) = ask("GET", "/approvals")[1]["approvals"]
        told = {name: listed[name] for name in ("ticket", "rule", "scope", "limit", "spent", "raise_at_most", "state")}
        assert told == {
            "ticket": ticket,
            "rule": "each-customer",
            "scope": {"customer": "acme"},
            "limit": "5",
            "spent": "5",
            "raise_at_most": "50",
            "state": "open",
        }
        body = {"raise": "2.50", "expires_in": "1h", "by": "jane", "note": "month end"}
        status, answer = ask("POST", f"/approvals/{ticket}/approve", body)
        assert (status, answer["approval"]["state"], answer["approval"]["decided_by"]) == (200, "approved", "jane")
        assert answer["approval"]["raise_ends_at"] == "2026-11-22T02:00:00Z"
        (raised,) = ask.desk.approvals.raises().values()
        assert raised.amount == 2_500_000_000_000
        approved = receiver.wait_for(2)[1].body
        assert (approved["kind"], approved["limit"], approved["ticket"]["note"]) == ("approved", "7.5", "month end")
        assert ask("GET", "/approvals")[1] == {"approvals": []}
        assert len(ask("GET", "/approvals?state=all")[1]["approvals"]) == 1


@pytest.mark.parametrize(
    ("limit", "body", "where", "allowed"),
    [
        (5 * PICO_PER_USD, {}, "raise", None),
        (5 * PICO_PER_USD, {"raise": 2.5}, "raise", 'a decimal string of dollars such as "0.0123", null'),
        (5 * PICO_PER_USD, {"raise": None}, "raise", None),
        (5 * PICO_PER_USD, {"raise": "50.000000000001"}, "raise", "above 0, at most 50 USD"),
        (5 * PICO_PER_USD, {"raise": "0"}, "raise", "above 0, at most 50 USD"),
        (5 * PICO_PER_USD, {"raise": "1", "expires_in": "soon"}, "expires_in", None),
        (5 * PICO_PER_USD, {"raise": "1", "expires_in": "1s"}, "expires_in", "1m to 366d"),
        (5 * PICO_PER_USD, {"raise": "1", "expire_in": "1h"}, "expire_in", "raise, expires_in, by, note"),
        (1000, {"raise": "5"}, "raise", "0 to 1099511627776"),
        (1000, {"raise": 10_001}, "raise", "above 0, at most 10000 tokens"),
        (1000, [], "body", "a JSON object"),
    ],
)
def test_what_is_wrong_with_an_approval_is_said_and_nothing_is_raised(
    tmp_path: Path, limit: int, body: object, where: str | None, allowed: str | None
) -> None:
    with served(tmp_path) as ask:
        ticket = ask.ticket(limit)
        status, answer = ask("POST", f"/approvals/{ticket}/approve", body)
        error = answer["error"]
        assert (status, error.get("where"), error.get("allowed")) == (400, where, allowed)
        assert ask.desk.approvals.raises() == {}
        assert ask("POST", f"/approvals/{ticket}/deny", {"by": "joe"})[1]["approval"]["decided_by"] == "joe"
        status, answer = ask("POST", f"/approvals/{ticket}/deny", {})
        assert (status, answer["error"]["code"]) == (409, "conflict")


def test_unknown_tickets_states_and_bodies_are_said(tmp_path: Path) -> None:
    with served(tmp_path) as ask:
        assert ask("POST", "/approvals/nothing/approve", {"raise": "1"})[0] == 404
        assert ask("POST", "/approvals/nothing/deny", {})[0] == 404
        assert ask("POST", "/budgets/deliveries/nothing/retry", {})[0] == 404
        status, answer = ask("GET", "/approvals?state=opn")
        assert (status, answer["error"]["allowed"]) == (400, "open")
        assert ask("GET", "/budgets/deliveries?limit=0")[1]["error"]["where"] == "limit"
        ticket = ask.ticket()
        assert ask.raw("POST", f"/api/v1/approvals/{ticket}/deny", b"{")[0] == 400
        assert ask.raw("POST", f"/api/v1/approvals/{ticket}/deny", b" " * 100_000)[0] == 413


def test_a_viewer_sees_and_does_not_decide_and_an_editor_is_named(tmp_path: Path) -> None:
    """What somebody says of himself does not hide whose token it was."""
    tokens = ApiToken("grafana", "v" * 16, Role.VIEWER), ApiToken("jane", "e" * 16, Role.EDITOR)
    viewer, editor = ({"Authorization": "Bearer " + token.secret} for token in tokens)
    with served(tmp_path, tokens=tokens) as ask:
        ticket = ask.ticket()
        assert ask("GET", "/approvals")[0] == 401
        assert len(ask("GET", "/approvals", **viewer)[1]["approvals"]) == 1
        assert ask("POST", f"/approvals/{ticket}/deny", {}, **viewer)[0] == 403
        status, answer = ask("POST", f"/approvals/{ticket}/deny", {"by": "the boss"}, **editor)
        assert (status, answer["approval"]["decided_by"]) == (200, "the boss (jane)")


def test_dead_letters_are_listed_and_sent_again(tmp_path: Path) -> None:
    answers = [Answer(404, {}, b"nobody here"), Answer(200)]
    with (
        HttpReceiver(lambda number: answers[number]) as receiver,
        served(tmp_path, (webhook(receiver.url, "webhook/ops"),)) as ask,
    ):
        happen(ask.store, ask.desk.deliveries, event())
        found = eventually(lambda: ask("GET", "/budgets/deliveries")[1]["deliveries"], bool)
        (dead,) = found
        assert (dead["channel"], dead["attempts"], dead["last_error"]) == ("webhook/ops", 1, "HTTP 404: nobody here")
        assert (dead["event"]["kind"], dead["event"]["scope_value"]) == ("exceed", "acme")
        assert ask("POST", f"/budgets/deliveries/{dead['id']}/retry", {})[1]["delivery"]["state"] == "pending"
        assert dead["event"]["id"] == receiver.wait_for(2)[1].headers["idempotency-key"]
        eventually(lambda: ask("GET", "/budgets/deliveries?state=delivered")[1]["deliveries"], bool)
        assert ask("GET", "/budgets/deliveries")[1] == {"deliveries": []}
        assert ask("POST", f"/budgets/deliveries/{dead['id']}/retry", {})[0] == 409


def test_the_page_runs_its_own_script_and_nothing_else(tmp_path: Path) -> None:
    """It needs no token to be shown, since it holds nothing; no other site may frame it."""
    with served(tmp_path, tokens=(ApiToken("jane", "e" * 16, Role.EDITOR),)) as ask:
        status, headers, payload = ask.raw("GET", "/approvals")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    html = payload.decode()
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
        assert policy[source] == f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert not re.search(r"""\s(src|href|action|style|on\w+)=["']""", html.partition("<script>")[0])
    assert "innerHTML" not in html


def test_the_page_can_be_used_without_seeing_it(tmp_path: Path) -> None:
    """A language, one main heading, labelled regions, news and errors that are read out, a way without scripts."""
    html = approvals_page().html
    assert '<html lang="en">' in html
    assert len(re.findall("<h1>", html)) == 1
    for region in re.findall(r'aria-labelledby="([^"]+)"', html):
        assert f'id="{region}"' in html
    assert 'role="status" aria-live="polite"' in html
    assert 'role="alert"' in html
    assert "<noscript>" in html
    assert "color-scheme: light dark" in html
    assert ":focus-visible" in html
