"""Views over a ledger that was sent to a real collector: shapes, exactness, words of time, and errors."""

from __future__ import annotations

import csv
import io
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow.parquet as pq
import pytest

from collector import comparing
from tests.collector.serve.api.full import Collector, call, collecting


def asked(collector: Collector, sql: str) -> list[tuple[Any, ...]]:
    """An answer of the published file itself."""
    with duckdb.connect(str(collector.path), read_only=True) as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return found


def error(collector: Collector, path: str) -> dict[str, Any]:
    answer = collector.request("GET", f"/api/v1{path}")
    assert answer.status == 400, answer
    found: dict[str, Any] = answer.json()["error"]
    return found


def test_every_view_says_the_same_total_as_the_file_to_the_last_digit(collector: Collector) -> None:
    ((cost, calls, unpriced),) = asked(
        collector, "SELECT sum(cost_usd), count(*), count(*) FILTER (WHERE cost_usd IS NULL) FROM calls"
    )
    spend = collector.get("/spend", since="all")["total"]
    assert (
        (Decimal(spend["cost_usd"]), spend["calls"], spend["unpriced_calls"])
        == (cost, calls, unpriced)
        == (
            cost,
            75,
            15,
        )
    )
    shown = collector.get("/breakdown", since="all", by=["agent", "model"], limit=2)
    groups = [row["measures"] for row in shown["rows"]] + [shown["other"]["measures"]]
    assert sum(Decimal(each["cost_usd"]) for each in groups) == Decimal(shown["total"]["cost_usd"]) == cost
    assert sum(each["unpriced_calls"] for each in groups) == unpriced
    assert (len(shown["rows"]), shown["groups"]) == (2, 2 + shown["other"]["groups"])
    series = collector.get("/timeseries", since="all", by="agent", bucket="hour", limit=1, tz="Asia/Kolkata")
    parts = [sum(map(Decimal, values)) for values in (series["series"][0]["values"], series["other"]["values"])]
    assert sum(parts) == sum(map(Decimal, series["total"]["values"])) == cost
    assert sum(series["total"]["unpriced_calls"]) == unpriced
    assert series["buckets"][0].endswith("+05:30")
    minutes = collector.get("/timeseries", since="all", by="none", bucket="minute", measure="tokens")
    days = collector.get("/timeseries", since="all", by="none", bucket="day", measure="tokens")
    sums = [sum(map(Decimal, each["total"]["values"])) for each in (minutes, days)]
    assert sums[0] == sums[1] > 0
    assert len(minutes["buckets"]) > len(days["buckets"])
    runs = collector.get("/runs", since="all", limit=3)
    assert sum(Decimal(each["cost_usd"]) for each in [*(r["measures"] for r in runs["runs"]), runs["other"]]) == cost


def test_an_answer_says_which_calls_it_is_about_and_how_fresh_it_is(collector: Collector) -> None:
    """An empty value asks for calls that have none; attributes of spans filter like columns."""
    shown = collector.get("/spend", since="2026-01-01", tz="Europe/Berlin", customer=["acme", ""])
    assert shown["selection"] == {
        "since": "2025-12-31T23:00:00.000000Z",
        "until": None,
        "tz": "Europe/Berlin",
        "filters": {"customer": ["acme", ""]},
    }
    assert shown["as_of"].endswith("Z")
    ((calls,),) = asked(collector, "SELECT count(*) FROM calls WHERE customer = 'acme' OR customer IS NULL")
    assert shown["total"]["calls"] == calls
    assert collector.get("/spend", **{"attr.tier": "gold", "since": "all"})["total"]["calls"] == 15
    assert collector.get("/spend", status="error", since="all")["total"]["calls"] == 5


def test_what_is_not_known_is_null_and_never_zero(collector: Collector) -> None:
    (row,) = collector.get("/breakdown", since="all", by="cost_status", cost_status="unpriced")["rows"]
    assert (row["measures"]["cost_usd"], row["measures"]["unpriced_calls"], row["share"]) == ("0.00", 15, None)
    trace = collector.get("/traces/" + f"{2:032x}")
    unpriced = next(each for each in trace["spans"] if each["model"] and "house" in each["model"])
    assert (unpriced["self_cost_usd"], unpriced["receipt"], unpriced["cost_status"]) == (None, None, "unpriced")
    (reason,) = collector.get("/unpriced", since="all")["rows"]
    assert (reason["request_model"], reason["calls"]) == ("house-model-9", 15)
    assert "house-model-9" in reason["suggested_override"]


def test_a_trace_is_a_tree_with_receipts_that_add_up(collector: Collector) -> None:
    trace = collector.get("/traces/" + f"{2:032x}")
    root, *calls = trace["spans"]
    assert trace["jaeger_url"] == "http://jaeger.test/trace/" + f"{2:032x}"
    assert (root["depth"], root["kind"], root["offset_ns"]) == (0, "agent", 0)
    assert [(each["depth"], each["kind"]) for each in calls] == [(1, "call")] * 3
    priced = [each for each in calls if each["receipt"]]
    for each in priced:
        assert sum(Decimal(line["cost_usd"]) for line in each["receipt"]["lines"]) == Decimal(each["self_cost_usd"])
    total = sum(Decimal(each["self_cost_usd"]) for each in priced)
    assert Decimal(root["inclusive_cost_usd"]) == Decimal(trace["cost_usd"]) == total
    run = collector.get("/runs/" + f"{2:032x}")
    assert ([each["trace_id"] for each in run["traces"]], Decimal(run["total"]["cost_usd"])) == ([f"{2:032x}"], total)
    assert collector.request("GET", f"/api/v1/traces/{'f' * 32}").status == 404
    assert collector.request("GET", "/api/v1/runs/a/b").json()["error"]["message"] == "there is no run a/b"


def test_the_ticker_compares_today_with_yesterday_at_this_hour(collector: Collector) -> None:
    shown = collector.get("/ticker", tz="Pacific/Kiritimati")
    assert shown["tz"] == "Pacific/Kiritimati"
    assert 0 <= shown["freshness"]["age_seconds"] < 86_400
    assert shown["runs"]["count"] >= 20
    assert Decimal(shown["today"]["cost_usd"]) <= Decimal(shown["month"]["cost_usd"]) or shown["today"]["calls"] == 0
    assert shown["projection"] == {"month": None}  # two days are no history


def test_cost_optimization_has_exactly_the_shape_that_was_asked_for(collector: Collector) -> None:
    shown = collector.get("/admin/metrics/cost-optimization")
    assert list(shown) == [
        "total_cost_today",
        "total_cost_month",
        "projected_monthly",
        "by_provider",
        "by_agent",
        "budget",
    ]
    assert set(shown["by_provider"]) <= {"openai"}
    assert all(list(each) == ["agent_id", "cost", "executions", "avg_cost_per_run"] for each in shown["by_agent"])
    assert list(shown["budget"]) == ["monthly_limit", "utilization_pct", "alert_threshold_pct"]
    assert isinstance(shown["total_cost_month"], float)
    assert shown["total_cost_month"] == pytest.approx(sum(each["cost"] for each in shown["by_agent"]), abs=1e-5)


def test_what_has_no_price_costs_nothing_known_in_cost_optimization(tmp_path: Path) -> None:
    """A provider of such calls alone is left out, and how many they are stands in a header."""
    with collecting(tmp_path) as collector:
        owner: dict[str, Any] = {"gen_ai.agent.name": "a"}
        collector.send(call(1, 1, time.time_ns(), "house-model-9", (10, 10), **owner))
        collector.wait_for(1)
        answer = collector.request("GET", "/api/v1/admin/metrics/cost-optimization")
    shown = answer.json()
    assert (shown["total_cost_month"], shown["by_provider"]) == (None, {})
    assert [agent["cost"] for agent in shown["by_agent"]] == [None]
    assert answer.headers["x-unpriced-calls"] == "1"


@pytest.mark.parametrize(
    ("path", "where", "allowed"),
    [
        ("/spend?sinc=7d", "sinc", "since"),
        ("/spend?since=todai", "since", None),
        ("/spend?tz=Europe/Berln", "tz", "Europe/Berlin"),
        ("/spend?status=eror", "status", "error"),
        ("/breakdown?by=agnet", "by", "agent"),
        ("/breakdown?limit=0", "limit", "1 to 1000"),
        ("/breakdown?limit=1&limit=2", "limit", None),
        ("/spend?since=2026-02-01&until=2026-01-01", "until", None),
        ("/timeseries?bucket=fortnight", "bucket", None),
        ("/prices?modell=x", "modell", "model"),
    ],
)
def test_a_mistake_is_named_with_the_nearest_spelling(
    collector: Collector, path: str, where: str, allowed: str | None
) -> None:
    found = error(collector, path)
    assert (found["code"], found["where"]) == ("invalid", where)
    assert allowed is None or found["allowed"] == allowed


def test_who_has_an_answer_already_is_not_sent_it_again(collector: Collector) -> None:
    path = "/api/v1/breakdown?since=2026-01-01&until=2100-01-01&by=agent"
    first = collector.request("GET", path, accept_encoding="gzip")
    assert first.headers["content-encoding"] == "gzip"
    assert "no-cache" in first.headers["cache-control"]
    again = collector.request("GET", path, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    head = collector.request("HEAD", path)
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", first.headers["etag"])


def test_files_hold_the_chosen_calls_and_their_exact_sum(collector: Collector) -> None:
    ((cost,),) = asked(collector, "SELECT sum(cost_usd) FROM calls")
    for name, column in (("export", "cost_usd"), ("focus", "BilledCost")):
        text = collector.request("GET", f"/api/v1/{name}.csv?since=all").body.decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        costs = [row[column] for row in rows]
        assert (len(rows), costs.count("")) == (75, 15)
        assert sum(Decimal(each) for each in costs if each) == cost
        table = pq.read_table(io.BytesIO(collector.request("GET", f"/api/v1/{name}.parquet?since=all").body))
        values = table.column(column).to_pylist()
        assert (values.count(None), sum(each for each in values if each is not None)) == (15, cost)
    empty = collector.request("GET", "/api/v1/export.parquet?agent=nobody")
    assert pq.read_table(io.BytesIO(empty.body)).num_rows == 0
    assert collector.request("GET", "/api/v1/export.csv?agent=nobody").body.count(b"\n") == 1


def test_no_text_in_a_csv_file_is_a_formula(collector: Collector) -> None:
    """Names come from whoever sends spans. Parquet, which nothing runs, has them as they are."""
    formula = "=cmd|' /C calc'!A0"
    for path in ("export.csv", "focus.csv", "export/breakdown.csv"):
        text = collector.request("GET", f"/api/v1/{path}?since=all").body.decode()
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []
        assert any(f"'{formula}" == cell or formula in cell for cell in cells)
    table = pq.read_table(io.BytesIO(collector.request("GET", "/api/v1/export.parquet?since=all").body))
    assert formula in table.column("agent").to_pylist()


def test_only_the_head_of_what_is_streamed_is_asked_for(collector: Collector) -> None:
    for path in ("export.csv", "focus.parquet", "stream"):
        head = collector.request("HEAD", f"/api/v1/{path}")
        assert (head.status, head.body) == (200, b"")
        assert "no-store" in head.headers["cache-control"]


@pytest.mark.parametrize("name", ["*", 'a"b', "a\\b", "a/b", "~", "$", "[0]", "a\nb"])
def test_an_attribute_may_have_any_name(collector: Collector, name: str) -> None:
    total = collector.get("/spend", **{f"attr.{name}": "x", "since": "all"})["total"]
    (row,) = collector.get("/breakdown", by=f"attr.{name}", since="all")["rows"]
    assert (total["calls"], row["key"]) == (0, {f"attr.{name}": None})


def test_answers_are_for_who_asked_alone(collector: Collector) -> None:
    """Whoever keeps answers is told so, and by what they differ; errors are not kept."""
    for path in ("/spend", "/budgets", "/me", "/export.csv", "/openapi.json"):
        headers = collector.request("GET", f"/api/v1{path}").headers
        assert {"authorization", "cookie", "x-org-id"} <= set(headers["vary"].lower().replace(" ", "").split(","))
        assert "private" in headers["cache-control"] or headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
    wrong = collector.request("GET", "/api/v1/nothing")
    assert (wrong.status, wrong.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "path", ["/budgets/events?since_ns=" + "9" * 5000, "/budgets/audit?limit=\u0663", "/approvals?x=1"]
)
def test_what_budgets_are_asked_is_read_as_strictly_as_the_rest(collector: Collector, path: str) -> None:
    assert error(collector, quote(path, safe="/?=&"))["code"] == "invalid"


def test_a_request_that_names_another_host_is_sent_nowhere(collector: Collector) -> None:
    answer = collector.request("GET", "/api/v1/spend/", Host="evil.localhost")
    assert (answer.status, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize(
    "path", ["/timeseries?bucket=hour&since=1700-01-01", "/breakdown?sparkline=hour&since=1700-01-01"]
)
def test_buckets_without_end_are_refused_before_they_are_made(collector: Collector, path: str) -> None:
    """Making them cannot be interrupted, and keeps others from being answered."""
    assert "buckets of one hour" in error(collector, path)["message"]


def test_a_breakdown_as_a_file_ends_with_what_is_not_shown_and_the_total(collector: Collector) -> None:
    text = collector.request("GET", "/api/v1/export/breakdown.csv?since=all&by=agent&limit=1").body.decode()
    group, other, total = csv.DictReader(io.StringIO(text))
    assert (group["row"], other["row"], total["row"]) == ("group", "other", "total")
    assert Decimal(group["cost_usd"]) + Decimal(other["cost_usd"]) == Decimal(total["cost_usd"])


def test_charges_of_focus_have_the_mandatory_columns_of_version_1_2(collector: Collector) -> None:
    """FOCUS 1.2, columns whose feature level is Mandatory; costs are null only where the call has no price."""
    mandatory = (
        *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
        *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
        *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
        *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    )
    text = collector.request("GET", "/api/v1/focus.csv?since=all").body.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert set(mandatory) <= set(rows[0])
    for row in rows:
        assert {name for name in mandatory if not row[name]} <= {"ChargeClass"} | (
            {"BilledCost", "ContractedCost", "EffectiveCost", "ListCost"}
            if row["x_CostStatus"] == "unpriced"
            else set()
        )
        assert row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["BillingPeriodEnd"]


def test_a_users_sql_reads_and_nothing_else(collector: Collector) -> None:
    def sql(body: object) -> tuple[int, Any]:
        answer = collector.request("POST", "/api/v1/sql", body)
        return answer.status, answer.json()

    status, found = sql({"sql": "SELECT model, sum(cost_usd) AS cost FROM calls GROUP BY 1 ORDER BY 1", "limit": 2})
    assert (status, found["truncated"], len(found["rows"])) == (200, True, 2)
    assert found["columns"][1] == {"name": "cost", "type": "decimal128(38, 12)"}
    assert sql({"sql": "DROP VIEW calls"})[1]["error"]["code"] == "refused"
    status, found = sql({"sql": "SELECT count(*) FROM range(100000) a, range(100000) b", "timeout_seconds": 0.2})
    assert (status, found["error"]["code"]) == (503, "timeout")
    assert sql({"sql": "SELECT 1", "limt": 3})[1]["error"]["where"] == "limt"
    assert collector.request("POST", "/api/v1/sql", {"sql": "x" * 200_000}).status == 413


def test_a_badge_is_a_picture_that_says_what_is_missing(collector: Collector) -> None:
    answer = collector.request("GET", "/badge.svg?since=all&label=shop%3Cscript%3E")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert b"15 unpriced" in answer.body
    assert b"<script>" not in answer.body


def test_the_same_calls_are_priced_on_other_models(collector: Collector) -> None:
    """Groups are exactly the total; the model that was used costs what was paid."""
    shown = collector.get("/compare", since="all", models="gpt-4o,gpt-4o-mini", by="agent")
    assert sum(Decimal(group["cost_usd"]) for group in shown["groups"]) == Decimal(shown["total"]["cost_usd"])
    assert shown["total"]["cheapest"] == "gpt-4o-mini"
    assert [each["context_window_tokens"] for each in shown["models"]] == [128_000, 128_000]
    assert {each["too_long_calls"] for each in shown["total"]["models"]} == {0}
    assert shown["left_out"] == [{"reason": "unpriced", "calls": 15, "cost_usd": None}]
    only = collector.get("/breakdown", since="all", by="model", model="gpt-4o")["total"]["cost_usd"]
    assert Decimal(shown["total"]["models"][0]["low_usd"]) > Decimal(only)
    assert error(collector, "/compare?models=gpt-4oo")["where"] == "models"


@pytest.mark.parametrize("by", ["agent", "attr.tier"])
def test_a_comparison_is_of_the_calls_that_pass_the_filters(collector: Collector, by: str) -> None:
    """Value by value as many calls, at the same cost, as the breakdown has of those that can be compared."""
    rows = collector.get("/breakdown", since="all", by=by)["rows"]
    assert len(rows) > 1
    for row in rows:
        chosen = {"since": "all", by: row["key"][by] or ""}
        shown = collector.get("/compare", models="gpt-4o-mini", **chosen)
        others = sum(left["calls"] for left in shown["left_out"])
        assert shown["total"]["calls"] + others == row["measures"]["calls"]
        priced = collector.get("/spend", cost_status="priced", **chosen)["total"]["cost_usd"]
        assert Decimal(shown["total"]["cost_usd"]) == Decimal(priced)
        assert list(shown["selection"]["filters"]) == [by]


@pytest.mark.parametrize("by", ["agent", "model", "customer", "team"])
def test_groups_of_a_comparison_and_the_rest_are_the_total(collector: Collector, by: str) -> None:
    """To the pico-dollar, on every model, however few of them are asked for."""
    chosen = {"since": "all", "models": "gpt-4o-mini,claude-haiku-4-5", "by": by}
    whole = collector.get("/compare", **chosen)
    assert whole["other"] is None
    for limit in range(1, len(whole["groups"]) + 1):
        shown = collector.get("/compare", limit=limit, **chosen)
        assert shown["groups"] == whole["groups"][:limit]
        assert shown["total"] == whole["total"]
        other = shown["other"]
        left = len(whole["groups"]) - limit
        assert (other["groups"] if other else 0) == left
        parts = [*shown["groups"], *([other] if other else [])]
        for key in ("calls", "cost_usd"):
            assert sum(Decimal(part[key]) for part in parts) == Decimal(shown["total"][key])
        for place, model in enumerate(shown["total"]["models"]):
            for key in ("low_usd", "high_usd", "difference_low_usd", "difference_high_usd", "too_long_calls"):
                assert sum(Decimal(part["models"][place][key]) for part in parts) == Decimal(model[key])


def test_a_comparison_lists_as_many_groups_as_are_asked_for_and_no_more_than_500(collector: Collector) -> None:
    for wrong in ("0", "501", "many"):
        found = error(collector, f"/compare?since=all&by=agent&limit={wrong}")
        assert (found["where"], found["allowed"]) == ("limit", "1 to 500")
    assert collector.get("/compare", since="all", limit="1")["other"] is None, "without `by` there are no groups"


def test_a_comparison_may_price_a_part_of_the_calls(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """About as many as are asked for, always the same ones; the figures are of those, and it says of how many."""
    chosen = {"since": "all", "models": "gpt-4o-mini", "by": "agent"}
    every = collector.get("/compare", **chosen)
    assert (every["every"], every["calls"]) == (1, every["total"]["calls"])
    half = collector.get("/compare", most=str(every["calls"] // 2), **chosen)
    assert (half["every"], half["calls"]) == (2, every["calls"])
    assert 0 < half["total"]["calls"] < every["calls"]
    assert half["left_out"] == every["left_out"]
    assert sum(group["calls"] for group in half["groups"]) == half["total"]["calls"]
    whole = {group["value"]: Decimal(group["cost_usd"]) for group in every["groups"]}
    assert all(Decimal(group["cost_usd"]) <= whole[group["value"]] for group in half["groups"])
    again = collector.get("/compare", most=str(every["calls"] // 2), **chosen)
    assert again["total"] == half["total"]
    monkeypatch.setattr(comparing, "CALLS_AT_A_TIME", 1)  # as many parts as hours: none is left out, none taken twice
    assert collector.get("/compare", most=str(every["calls"] // 2), **chosen)["total"] == half["total"]
    assert collector.get("/compare", most="300000", **chosen)["total"] == every["total"]


def test_prices_of_the_card_in_use_are_found_by_name(collector: Collector) -> None:
    shown = collector.get("/prices", provider="openai", model="gpt-4o", current="true")
    rates = {row["variant"]: row["rates"] for row in shown["rows"]}
    assert rates["standard"]["input_tokens"] == {"usd": "2.50", "per": 1_000_000}
    assert 0 < shown["groups"] < shown["card"]["rows"]
    used = collector.get("/prices", used="true", since="all", provider="openai")
    assert {row["model"] for row in used["rows"]} == {"gpt-4o", "gpt-4o-mini"}
