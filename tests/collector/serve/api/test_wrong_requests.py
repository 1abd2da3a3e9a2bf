"""Whoever asks wrongly hears where, what and what would be right, in the one error body; the server never fails."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.collector.serve.api.full import Collector

LEASE = '{"holder": "h", "owners": {"customer": "%s"}, "estimate": {"usd": "1", "tokens": 1}}'
RULE = '{"scope": "customer", "limit": "1 USD/fortnight"}'
WRONG_BODIES = [
    ("POST", "/budgets/settle", r'{"lease": "\ud800", "calls": []}', "body", "JSON"),
    ("POST", "/budgets/release", r'{"job": "\udfff"}', "body", "JSON"),
    ("POST", "/budgets/lease", LEASE % r"\ud83d", "body", "JSON"),
    ("POST", "/budgets/check", "[" * 100_000, "body", "JSON"),
    ("POST", "/budgets/check", "null", "body", None),
    ("POST", "/budgets/check", '{"estimate": NaN}', "body", "JSON"),
    ("POST", "/approvals/none/approve", "{", "ticket", None),
    ("PUT", "/budgets/rules/new", RULE, "limit", "day"),
    ("PUT", "/budgets/rules/new", '{"scope": "customer"}', "limit", None),
    ("PUT", "/budgets/rules/new", "[]", "body", "docs/config.md"),
    ("DELETE", "/budgets/rules/none", "{}", "name", None),
    ("POST", "/sql", r'{"sql": "SELECT 1 AS \"\ud800\""}', "body", "JSON"),
    ("POST", "/sql", "[]", "body", "sql"),
    ("POST", "/sql", '{"sql": "SELECT 1", "limit": ' + "9" * 5000 + "}", "body", "JSON"),
    ("POST", "/login", '"x"', "body", "token"),
    ("POST", "/login", b'{"token": "\xff"}', "body", "JSON"),
]
WRONG_QUERIES = [
    ("tz=europe/berlin", "tz", "Europe/Berlin"),
    ("tz=UTC%00", "tz", "UTC"),
    ("tz=UTC&tz=UTC", "tz", "one value"),
    ("since=2026-11-10&until=2026-11-01", "until", "after"),
    ("since=10y", "since", "7d"),
    ("since=%EF%BC%95d", "since", "7d"),
    ("until=9999-12-31T23:59:59-14:00", "until", "2260-01-01"),
    ("sinec=1d", "sinec", "since"),
    ("&".join(f"agent=a{number}" for number in range(101)), "query", "100"),
    ("agent=" + "a" * 4097, "agent", "4096"),
    ("cost_status=prised", "cost_status", "priced"),
    ("trace_id=xyz", "trace_id", "32 hexadecimal digits"),
    ("trace_id=", "trace_id", "32 hexadecimal digits"),
    (f"trace_id={1:032x}&trace_id={1:031x}", "trace_id", "32 hexadecimal digits"),
]


@pytest.mark.parametrize(("method", "path", "body", "where", "allowed"), WRONG_BODIES)
def test_of_a_wrong_body_its_place_is_said(
    collector: Collector, method: str, path: str, body: str | bytes, where: str, allowed: str | None
) -> None:
    connection = http.client.HTTPConnection(collector.api.host, collector.api.port, timeout=60)
    connection.request(method, f"/api/v1{path}", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    _is_said(answer.status, answer.read(), where, allowed)
    connection.close()


@pytest.mark.parametrize(("query", "where", "allowed"), WRONG_QUERIES)
def test_of_a_wrong_query_its_place_is_said(collector: Collector, query: str, where: str, allowed: str) -> None:
    answer = collector.request("GET", f"/api/v1/spend?{query}")
    _is_said(answer.status, answer.body, where, allowed)


@pytest.mark.parametrize("query", ["since=2016-01-01", "since=9999-12-31&until=all", "customer=%00&agent=%F0%9F%92%A9"])
def test_what_is_odd_and_not_wrong_is_answered(collector: Collector, query: str) -> None:
    """Ten years, a time that nobody reaches, names that nobody has."""
    assert collector.request("GET", f"/api/v1/spend?{query}").status == 200


@pytest.mark.parametrize("wrong", ["xyz", "ffff", "0" * 33, "g" * 32, "%EF%BC%91" * 32, f"{2:032x}%20"])
def test_a_trace_is_asked_for_by_32_digits(collector: Collector, wrong: str) -> None:
    """What is no id is said to be none; an id that nobody has is not found. Digits may be written in either case."""
    answer = collector.request("GET", f"/api/v1/traces/{wrong}")
    assert answer.status == 400
    _is_said(answer.status, answer.body, "trace_id", "32 hexadecimal digits")
    nobodys = collector.request("GET", f"/api/v1/traces/{'AB' * 16}")
    assert (nobodys.status, nobodys.json()["error"]["code"]) == (404, "not_found")


def _is_said(status: int, body: bytes, where: str, allowed: str | None) -> None:
    assert status in (400, 404), body
    error = json.loads(body)["error"]
    assert error["where"] == where, error
    assert allowed is None or allowed in error["allowed"], error
    assert set(error) <= {"code", "message", "where", "allowed"}
