"""A collector with overrides, as its user meets it: what is sent, what is stored, and what prices say of themselves."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import read
from otel_cost import attributes as k
from tests.support.collector_process import CollectorProcess

START_NS = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 10**9
OVERRIDES = """
  cost:
    discounts:
      - {name: deal, provider: openai, models: gpt-4o-mini, percent: 20%, valid_from: 2026-01-01, valid_to: 2027-01-01}
      - {name: ml, provider: anthropic, percent: 50%, when: {project: ml-*}}
    aliases:
      - {name: prod, provider: azure, alias: prod-chat, model: gpt-4o-mini}
    plans:
      - {name: flat, provider: minimax, fee: 10 USD/month}
    gpus:
      - {name: h100, provider: vllm, usd_per_hour: 3.6, gpus: 2, time: span_duration}
"""
CALLS: tuple[tuple[str, str, dict[str, str], str | None, str], ...] = (
    # provider, model, more attributes, cost by hand, override that it names
    ("openai", "gpt-4o-mini", {}, "0.00012", "deal"),  # 1,000 in at $0.15 per million, 20% off
    ("azure.ai.openai", "prod-chat", {}, "0.00015", "prod"),
    ("anthropic", "claude-haiku-4-5", {k.OTEL_COST_PROJECT: "ml-prod"}, "0.0005", "ml"),  # half of $1 per million
    ("anthropic", "claude-haiku-4-5", {k.OTEL_COST_PROJECT: "web"}, "0.001", ""),
    ("minimax", "minimax-m2", {k.OTEL_COST_CUSTOMER: "acme"}, "0", "flat"),
    ("minimax", "never-heard-of", {}, "0", "flat"),
    ("vllm", "llama-3.3", {}, "0.002", "h100"),  # a second on two GPUs at $3.60 an hour
    ("azure.ai.openai", "other-deployment", {}, None, ""),
    ("openai", 'no "such" model', {}, None, ""),
)


def request() -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number, (provider, model, more, _, _) in enumerate(CALLS, start=1):
        span = spans.add(trace_id=b"\7" * 16, span_id=number.to_bytes(8, "big"), name=f"chat {model}", kind=3)
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS, START_NS + 10**9
        said = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_PROVIDER_NAME: provider, k.GEN_AI_REQUEST_MODEL: model}
        for key, text in {**said, **more}.items():
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key=k.GEN_AI_USAGE_INPUT_TOKENS).value.int_value = 1_000
    return message


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> CollectorProcess:
    """One that was started with the overrides, given the calls, and has stopped."""
    with CollectorProcess(tmp_path_factory.mktemp("overrides"), processors=OVERRIDES) as process:
        sent = urllib.request.Request(
            f"{process.http_url}/v1/traces",
            request().SerializeToString(),
            {"content-type": "application/x-protobuf"},
        )
        with urllib.request.urlopen(sent, timeout=30) as answer:
            assert answer.status == 200
    return process


def rows(collector: CollectorProcess, query: str) -> list[dict[str, Any]]:
    done = collector.command("sql", "--json", "--db", str(collector.database), query)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_calls_cost_what_the_contracts_say(collector: CollectorProcess) -> None:
    """Each names its override; a call that none fits has the list price, and an unknown deployment none."""
    found = rows(collector, "SELECT span_id, cost_usd, cost_status, rate_row, model FROM calls ORDER BY span_id")
    for (_, _, _, cost, name), row in zip(CALLS, found, strict=True):
        assert (None if row["cost_usd"] is None else Decimal(row["cost_usd"])) == (cost and Decimal(cost)), row
        assert (row["rate_row"] or "").partition("|override: ")[2] == name, row
    assert [row["cost_status"] for row in found[4:]] == ["free", "free", "priced", "unpriced", "unpriced"]
    assert [row["model"] for row in found[4:7]] == ["MiniMax-M2", "never-heard-of", "llama-3.3"]


def test_the_view_prices_has_the_row_behind_every_price(collector: CollectorProcess) -> None:
    """Also of the card that only calls of one project needed, and says which override it is of."""
    query = """
        SELECT DISTINCT calls.span_id, calls.rate_row, prices.source
        FROM calls LEFT JOIN prices ON prices.card = calls.card AND prices.rate_row = calls.rate_row
        WHERE calls.rate_row IS NOT NULL ORDER BY calls.span_id
    """
    found = rows(collector, query)
    assert len(found) == 7
    for row in found:
        override = row["rate_row"].partition("|override: ")[2]
        assert row["source"] == (f"override: {override}" if override else row["source"])
        assert row["source"] is not None
    assert len(rows(collector, "SELECT DISTINCT card FROM calls WHERE card IS NOT NULL")) == 2


def test_a_call_without_a_price_comes_with_the_override_that_would_give_it_one(collector: CollectorProcess) -> None:
    """A deployment of Azure: an alias; another model: a price. With the rest filled in they are valid."""
    row, other = rows(collector, "SELECT suggested_override FROM unpriced ORDER BY provider")
    assert row["suggested_override"] == 'aliases: [{provider: "azure.ai.openai", alias: "other-deployment", model: ?}]'
    config = f"processors: {{cost: {{{row['suggested_override'].replace('?', 'gpt-4o')}}}}}"
    (alias,) = read(config, "suggested.yaml", {}).overrides.aliases
    assert (alias.target.provider, alias.target.models, alias.model) == ("azure", "other-deployment", "gpt-4o")
    config = f"processors: {{cost: {{{other['suggested_override'].replace('?', '0.5')}}}}}"
    (price,) = read(config, "suggested.yaml", {}).overrides.prices
    assert (price.target.provider, price.target.models) == ("openai", 'no "such" model')


def test_price_says_the_same_as_the_collector(collector: CollectorProcess) -> None:
    """`otel-cost price --config`, with the project as context."""
    config = ["--config", str(collector.config_file), "--at", "2026-06-01", "--json"]
    for provider, model, more, cost, _ in CALLS:
        if provider == "vllm":
            continue  # billed by the length of the span, of which `price` knows nothing
        context = json.dumps({"project": more.get(k.OTEL_COST_PROJECT)})
        call = ["--provider", provider, "--model", model, "--usage", '{"input_tokens": 1000}', "--context", context]
        answer = json.loads(collector.command("price", *call, *config).stdout)
        assert (answer["cost_usd"] and Decimal(answer["cost_usd"])) == (cost and Decimal(cost)), answer


def test_the_fee_of_the_plan_is_shared_out_among_those_who_used_it(collector: CollectorProcess) -> None:
    """Half each: a customer, and calls of nobody."""
    done = collector.command(
        "plans", "--config", str(collector.config_file), "--db", str(collector.database), "--since", "2026-06",
        "--until", "2026-07", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    july, june = json.loads(done.stdout)["plans"]
    assert (july["month"], july["fee_usd"], july["unallocated_usd"], july["shares"]) == (
        "2026-07",
        "10.00",
        "10.00",
        [],
    )
    assert (june["plan"], june["month"], june["fee_usd"], june["unallocated_usd"]) == (
        "flat",
        "2026-06",
        "10.00",
        "0.00",
    )
    assert [(share["value"], share["tokens"], share["fee_usd"]) for share in june["shares"]] == [
        ("acme", 1000, "5.00"),
        (None, 1000, "5.00"),
    ]


def test_a_wrong_override_stops_the_start_with_its_place(tmp_path: Path) -> None:
    """Exit code 2, and nothing was opened."""
    wrong = CollectorProcess(tmp_path, processors="  cost: {discounts: [{provider: opnai, percent: 5%}]}\n")
    wrong.spawn()
    assert wrong.wait() == 2
    assert "processors.cost.discounts[0].provider: unknown provider (got opnai)" in wrong.log
    assert not wrong.database.exists()


def test_an_import_prices_by_the_contracts_of_a_config(collector: CollectorProcess, tmp_path: Path) -> None:
    """The same spans out of a file, into another ledger, cost the same."""
    file, ledger = tmp_path / "spans.binpb", tmp_path / "other.duckdb"
    file.write_bytes(request().SerializeToString())
    done = collector.command("import", str(file), "--db", str(ledger), "--config", str(collector.config_file))
    assert done.returncode == 0, done.stderr
    query = "SELECT span_id, cost_usd, rate_row FROM calls ORDER BY span_id"
    found = collector.command("sql", "--json", "--db", str(ledger), query)
    assert json.loads(found.stdout) == rows(collector, query)


def test_the_documented_question_shares_out_a_fee(collector: CollectorProcess) -> None:
    """The SQL of docs/overrides.md, for this plan and month."""
    page = (Path(__file__).parents[2] / "docs" / "overrides.md").read_text()
    query = page.split("```sql\n")[1].split("```")[0].replace("minimax", "flat")
    found = rows(collector, query.replace("2026-11", "2026-06").replace("2026-12", "2026-07"))
    assert {(row["customer"], row["tokens"]) for row in found} == {("acme", 1000), (None, 1000)}
    assert [Decimal(str(row["share_of_10_usd"])) for row in found] == [5, 5]


def test_trace_derives_the_receipts_of_contract_prices(collector: CollectorProcess) -> None:
    """With the config every line is there, also of time on machines; a multiplier is said, and lines add up."""
    trace = ["trace", "07" * 16, "--db", str(collector.database)]
    done = collector.command(*trace, "--json", "--config", str(collector.config_file))
    assert done.returncode == 0, done.stderr
    spans = {int(span["span_id"], 16): span for span in json.loads(done.stdout)["spans"]}
    receipts = [spans[number]["receipt"] for number in range(1, len(CALLS) + 1)]
    for (_, _, _, cost, _), lines in zip(CALLS, receipts, strict=True):
        assert (sum(Decimal(line["cost_usd"]) for line in lines) if lines else None) == (cost and Decimal(cost))
    assert [lines[0]["multiplier"] for lines in receipts[:4]] == ["0.8", "1", "0.5", "1"]
    assert receipts[6][0]["class"] == "duration_seconds"
    shown = collector.command(*trace, "--config", str(collector.config_file)).stdout
    assert "1,000 input_tokens x $0.15 per 1M x 0.8 = $0.00012" in shown
