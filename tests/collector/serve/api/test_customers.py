"""Revenue and margin of customers: what the config says, beside what the ledger says."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from collector.questions.customers import months
from collector.questions.selection import Window
from collector.serve.api.config import ApiToken, Role
from otel_cost import attributes as k
from tests.collector.serve.api.full import Collector, Json, call, collecting

A_DAY_NS = 86_400 * 10**9
USD = 10**12
REVENUE = {
    "default": {"acme": 200 * USD, "globex": USD // 100, "house": 50 * USD, "silent": 900 * USD},
    "other": {"acme": 7000 * USD},
}
UTC = ZoneInfo("UTC")
ACME: dict[str, Any] = {k.OTEL_COST_CUSTOMER: "acme"}


def _calls(now_ns: int) -> list[Json]:
    """Ten days of calls; `house` has only calls without a price, `initech` no revenue, and some calls no customer."""
    spans = []
    names = (
        ("acme", "gpt-4o"),
        ("globex", "gpt-4o"),
        ("house", "house-model-9"),
        ("initech", "gpt-4o"),
        (None, "gpt-4o"),
    )
    for number in range(50):
        customer, model = names[number % 5]
        owner: dict[str, Any] = {} if customer is None else {k.OTEL_COST_CUSTOMER: customer}
        at_ns = now_ns - 10 * A_DAY_NS + number * A_DAY_NS // 6
        spans.append(call(number + 1, 1, at_ns, model, (100_000 + number, 1000), **owner))
    spans.append(call(60, 1, now_ns - A_DAY_NS, "house-model-9", (10, 10), **ACME))
    return spans


def _token(name: str, organization: str | None) -> ApiToken:
    return ApiToken(name, "", Role.VIEWER, organization, sha256(f"{name}-0123456789".encode()).hexdigest())


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with collecting(tmp_path_factory.mktemp("revenue"), revenue={"default": REVENUE["default"]}) as found:
        found.send(*_calls(time.time_ns()))
        found.wait_for(51)
        yield found


def _rows(shown: Json) -> dict[str | None, Json]:
    return {row["key"]["customer"]: row for row in shown["rows"]}


def test_margins_are_revenue_of_the_time_less_cost_and_their_sums_are_those_of_the_rows(collector: Collector) -> None:
    shown = collector.get("/customers", since="5d", tz="UTC")
    revenue = shown["revenue"]
    window = Window(datetime.fromisoformat(revenue["since"]), datetime.fromisoformat(revenue["until"]), UTC)
    part = months(window)
    assert 5 * 86_400 <= (window.until - window.since).total_seconds() < 5 * 86_400 + 1  # type: ignore[operator]
    rows = _rows(shown)
    for name in ("acme", "globex"):
        row = rows[name]
        assert row["revenue_usd"] == _text(round(REVENUE["default"][name] * part))
        left = Decimal(row["revenue_usd"]) - Decimal(row["measures"]["cost_usd"])
        assert Decimal(row["margin_usd"]) == left
        assert row["margin_pct"] == pytest.approx(float(left / Decimal(row["revenue_usd"]) * 100), abs=1e-4)
    assert Decimal(rows["globex"]["margin_usd"]) < 0 < Decimal(rows["acme"]["margin_usd"])
    assert revenue["customers"] == 2
    assert revenue["unpriced_calls"] == rows["acme"]["measures"]["unpriced_calls"] == 1
    for name in ("revenue_usd", "margin_usd"):
        assert Decimal(revenue[name]) == Decimal(rows["acme"][name]) + Decimal(rows["globex"][name])
    assert Decimal(revenue["revenue_usd"]) - Decimal(revenue["cost_usd"]) == Decimal(revenue["margin_usd"])


def _text(pico_usd: int) -> str:
    digits = f"{Decimal(pico_usd) / USD:f}"
    whole, _, rest = digits.partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def test_unknown_revenue_is_null_and_so_is_the_margin_of_a_cost_that_is_not_known(collector: Collector) -> None:
    rows = _rows(collector.get("/customers", since="5d"))
    for name in ("initech", None):
        assert [rows[name][key] for key in ("revenue_usd", "margin_usd", "margin_pct")] == [None] * 3
    assert Decimal(rows["house"]["revenue_usd"]) > 0
    assert (rows["house"]["margin_usd"], rows["house"]["margin_pct"]) == (None, None)


@pytest.mark.parametrize("since", ["30d", "all"])
def test_no_revenue_is_counted_of_a_time_before_the_first_call(collector: Collector, since: str) -> None:
    """Its costs are not known: all of it would look like a margin."""
    revenue = collector.get("/customers", since=since)["revenue"]
    days = (
        datetime.fromisoformat(revenue["until"]) - datetime.fromisoformat(revenue["since"])
    ).total_seconds() / 86_400
    assert 10 <= days < 10.1


def test_no_revenue_is_counted_of_the_future(collector: Collector) -> None:
    revenue = collector.get("/customers", since="5d", until="2099-01-01")["revenue"]
    assert datetime.fromisoformat(revenue["until"]).timestamp() <= time.time()


def test_a_part_of_the_costs_of_customers_has_no_margin(collector: Collector) -> None:
    """Filters by customer leave all of the costs of those that are shown."""
    shown = collector.get("/customers", since="5d", model="gpt-4o")
    assert shown["revenue"] is None
    assert {row["revenue_usd"] for row in shown["rows"]} == {None}
    shown = collector.get("/customers", since="5d", customer="acme")
    assert [row["key"]["customer"] for row in shown["rows"]] == ["acme"]
    assert Decimal(shown["rows"][0]["revenue_usd"]) > 0


def test_rows_are_those_of_a_breakdown(collector: Collector) -> None:
    shown = collector.get("/customers", since="2026-01-01", limit=2, sort="name", until="2099-01-01")
    plain = collector.get("/breakdown", by="customer", since="2026-01-01", limit=2, sort="name", until="2099-01-01")
    more = ("revenue_usd", "margin_usd", "margin_pct")
    assert [{name: value for name, value in row.items() if name not in more} for row in shown["rows"]] == plain["rows"]
    assert (shown["other"], shown["total"]) == (plain["other"], plain["total"])


def test_by_margin_losses_come_first_and_unknown_margins_last_on_every_page(collector: Collector) -> None:
    """Over all customers, not those of a page; unknown ones by cost. Without revenue it is the order by cost."""
    shown = [collector.get("/customers", since="5d", sort="margin", limit=2, offset=at)["rows"] for at in (0, 2, 4)]
    rows = [row for page in shown for row in page]
    margins = [row["margin_usd"] and Decimal(row["margin_usd"]) for row in rows]
    assert [row["key"]["customer"] for row in rows[:2]] == ["globex", "acme"]
    assert margins[0] < 0 < margins[1]
    assert margins[2:] == [None, None, None]
    assert [row["key"]["customer"] for row in rows[2:]][-1] == "house"
    found = collector.get("/customers", since="5d", sort="margin", search="ACM")
    assert [row["key"]["customer"] for row in found["rows"]] == ["acme"]
    plain = collector.get("/customers", since="5d", sort="margin", model="gpt-4o")
    assert plain["rows"] == collector.get("/customers", since="5d", model="gpt-4o")["rows"]


def test_only_customers_are_sorted_by_margin(collector: Collector) -> None:
    answer = collector.request("GET", "/api/v1/breakdown?by=customer&sort=margin")
    assert (answer.status, answer.json()["error"]["where"]) == (400, "sort")


def test_the_file_of_customers_has_the_margins_of_the_view(collector: Collector) -> None:
    """Nothing stands where nothing is known; what is not shown and the total have costs only."""
    asked = {"since": "5d", "sort": "margin", "limit": "3", "until": "2099-01-01"}
    text = collector.request("GET", f"/api/v1/export/customers.csv?{urlencode(asked)}").body.decode()
    *groups, other, total = csv.DictReader(io.StringIO(text))
    shown = collector.get("/customers", **asked)
    assert [line["customer"] for line in groups] == [row["key"]["customer"] or "" for row in shown["rows"]]
    names = ("revenue_usd", "margin_usd", "margin_pct")
    assert {line[name] for line in (groups[2], other, total) for name in names} == {""}
    for line, row in zip(groups[:2], shown["rows"], strict=False):
        assert Decimal(line["revenue_usd"]) - Decimal(line["cost_usd"]) == Decimal(line["margin_usd"])
        assert Decimal(line["revenue_usd"]) == pytest.approx(Decimal(row["revenue_usd"]), rel=Decimal("0.001"))
        assert float(line["margin_pct"]) == pytest.approx(row["margin_pct"], abs=0.1)
    assert (other["row"], total["row"]) == ("other", "total")
    costs = sum(Decimal(line["cost_usd"]) for line in (*groups, other))
    assert costs == Decimal(total["cost_usd"])


def test_an_organisation_sees_what_its_own_customers_pay_and_nothing_of_others(tmp_path: Path) -> None:
    """The same name in both: who may see both sees one customer."""
    tokens = (_token("mine", "default"), _token("theirs", "other"), _token("nobody", "third"), _token("all", None))
    with collecting(tmp_path, revenue=REVENUE, tokens=tokens) as collector:
        now_ns = time.time_ns()
        collector.send(*(call(n, 1, now_ns - A_DAY_NS, "gpt-4o", (1000, 10), **ACME) for n in (1, 2)))

        def asked(name: str) -> Json:
            answer = collector.request("GET", "/api/v1/customers", Authorization=f"Bearer {name}-0123456789")
            assert answer.status == 200, answer
            found: Json = answer.json()
            return found

        deadline = time.monotonic() + 60
        while asked("mine")["total"]["calls"] < 2:
            assert time.monotonic() < deadline, "the calls were not published"
            time.sleep(0.05)
        by_caller = {name: asked(name) for name in ("mine", "theirs", "nobody", "all")}
        assert (by_caller["theirs"]["rows"], by_caller["nobody"]["rows"]) == ([], [])
        assert by_caller["theirs"]["revenue"] is by_caller["nobody"]["revenue"] is None
        for name, monthly in (("mine", 200 * USD), ("all", 7200 * USD)):
            revenue = by_caller[name]["revenue"]
            since, until = (datetime.fromisoformat(revenue[end]) for end in ("since", "until"))
            exact: Fraction = monthly * months(Window(since, until, UTC))
            assert revenue["revenue_usd"] == _text(round(exact))
