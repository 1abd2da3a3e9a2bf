"""Recorded traces of many dialects give exactly their calls, counted once, however their spans arrive.

Every sample goes through the real stages into a real DuckDB file and is read back from the file that users open.
`tests/testdata/otlp_samples/README.md` says where the samples come from and what their expectations mean.
"""

from __future__ import annotations

import base64
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import DecodeLimits, Request
from collector.pipeline import Pipeline
from collector.store import Store, StoreConfig
from collector.telemetry import Telemetry
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards

FOLDER = Path(__file__).parent.parent / "testdata" / "otlp_samples"
SAMPLES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".expected"))
ORGANISATION = "default"

REQUEST_MODEL_IN_SAMPLE = {"traceloop_openai_chat": "gpt-3.5-turbo"}
"""Where the expectation names the served model twice, although the span's request says another name for it."""

Call = dict[str, Any]


def read_json(name: str) -> dict[str, Any]:
    """A file of the samples' folder."""
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def as_request(payload: dict[str, Any], organisation: str = ORGANISATION) -> Request:
    """OTLP/JSON as a protobuf request. In OTLP/JSON ids are hex, in protobuf's own JSON they are base64."""
    text = json.loads(json.dumps(payload))
    for span in (span for _, _, span in spans_of(text)):
        for key in ("traceId", "spanId", "parentSpanId"):
            if span.get(key):
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    message = ParseDict(text, ExportTraceServiceRequest(), ignore_unknown_fields=True)
    return Request(message.SerializeToString(), organisation)


def spans_of(payload: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """(resource, scope, span) of every span."""
    for resource_spans in payload["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield resource_spans.get("resource", {}), scope_spans.get("scope", {}), span


def single_span_requests(sample: str, organisation: str = ORGANISATION) -> list[Request]:
    """The sample cut into requests of one span."""
    parts = (
        {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]}
        for resource, scope, span in spans_of(read_json(f"{sample}.json"))
    )
    return [as_request(part, organisation) for part in parts]


class Ledger:
    """A pipeline over a store in a folder; `restart` stops and opens it again, as a new process would."""

    def __init__(self, folder: Path) -> None:
        self._config = StoreConfig(path=folder / "ledger.duckdb", publish_interval_seconds=0)
        self._open()

    def _open(self) -> None:
        self._store = Store(self._config)
        self._store.start()
        self._pipeline = Pipeline(self._store, Cards(default_card()), DecodeLimits(), [], Telemetry())

    def send(self, transactions: Iterable[Sequence[Request]]) -> None:
        """Each group of requests is a transaction of its own."""
        for requests in transactions:
            for outcome in self._pipeline.process(requests):
                assert (outcome.error, outcome.rejected_spans) == (None, 0)

    def restart(self) -> None:
        """Close the file and open it with a new store."""
        self.close()
        self._open()

    def close(self) -> None:
        """Publish and close."""
        self._store.stop()

    def calls(self) -> dict[str, list[Call]]:
        """The view `calls` of the published file by organisation, as any DuckDB client sees it. Close first."""
        found: dict[str, list[Call]] = defaultdict(list)
        with duckdb.connect(str(self._config.path), read_only=True) as connection:
            rows = connection.execute("SELECT * FROM calls")
            names = [column[0] for column in rows.description or []]
            for row in rows.fetchall():
                call = dict(zip(names, row, strict=True))
                found[call["org_id"]].append(call)
        return found


def assert_expected(sample: str, calls: list[Call]) -> None:
    """Exactly the calls of the expectation, each once, and nothing else."""
    expected = read_json(f"{sample}.expected.json")
    found = {call["span_id"]: call for call in calls}
    assert len(found) == len(calls) == expected["totals"]["calls"]
    for wanted in expected["llm_calls"]:
        ids = {wanted["span_id"], wanted.get("alternative_span_id", wanted["span_id"])} & set(found)
        assert len(ids) == 1
        call = found.pop(ids.pop())
        assert call["provider"] in expected.get("accept_provider", [wanted["provider"]])
        request_model = REQUEST_MODEL_IN_SAMPLE.get(sample, wanted["request_model"])
        assert _facts(call) == {
            "operation": wanted["operation"],
            "request_model": request_model,
            "served_model": wanted["model"],
            "input_tokens": wanted["input_tokens_total"],
            "output_tokens": wanted["output_tokens"],
            "cache_read_tokens": wanted["cache_read"],
            "cache_write_tokens": wanted["cache_creation"],
            "reasoning_tokens": wanted["reasoning"],
        }
        assert wanted.get("response_id") in {None, call["response_id"]}
        if "expected_reported_cost_usd" in expected:
            assert call["reported_cost_usd"] == Decimal(str(expected["expected_reported_cost_usd"]))
    assert not found
    for name, total in (("input_tokens", "input_tokens_total"), ("output_tokens", "output_tokens")):
        assert sum(call[name] or 0 for call in calls) == expected["totals"][total]


def _facts(call: Call) -> Call:
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {name: call[name] for name in ("operation", "request_model", *names)} | {
        "served_model": call["response_model"] or call["request_model"]
    }


def test_all_samples_are_here() -> None:
    """Each with its expectation."""
    assert len(SAMPLES) == 26
    assert all((FOLDER / f"{sample}.expected.json").is_file() for sample in SAMPLES)


def test_whole_samples_give_their_calls_once(tmp_path: Path) -> None:
    """All samples in one file, each sent whole by an organisation of its own, twice."""
    ledger = Ledger(tmp_path)
    requests = [as_request(read_json(f"{sample}.json"), sample) for sample in SAMPLES]
    ledger.send([request] for request in [*requests, *requests])
    ledger.close()
    calls = ledger.calls()
    for sample in SAMPLES:
        assert_expected(sample, calls[sample])


def test_single_spans_in_random_order_twice_with_a_restart_give_the_same_calls(tmp_path: Path) -> None:
    """Every span of every sample in a request of its own, shuffled, sent twice, the store restarted in the middle.

    Three shuffles side by side: a transaction takes the next span of each, for organisations of each one's own.
    """
    shuffles = range(3)
    lanes = [
        [request for sample in SAMPLES for request in single_span_requests(sample, f"{shuffle}/{sample}")] * 2
        for shuffle in shuffles
    ]
    for shuffle, lane in zip(shuffles, lanes, strict=True):
        random.Random(shuffle).shuffle(lane)
    transactions = list(zip(*lanes, strict=True))
    ledger = Ledger(tmp_path)
    ledger.send(transactions[: len(transactions) // 2])
    ledger.restart()
    ledger.send(transactions[len(transactions) // 2 :])
    ledger.close()
    calls = ledger.calls()
    for shuffle in shuffles:
        for sample in SAMPLES:
            assert_expected(sample, calls[f"{shuffle}/{sample}"])


@pytest.mark.parametrize("sample", ["composed_two_instrumentations_one_process", "vercel_streamtext_two_steps"])
def test_every_order_of_arrival_gives_the_same_calls(sample: str, tmp_path: Path) -> None:
    """Outer before inner, inner before outer, calls before their totals and after: all permutations.

    Side by side: a transaction takes the next span of every order, for an organisation of each one's own.
    """
    ledger = Ledger(tmp_path)
    orders = list(permutations(range(len(single_span_requests(sample)))))
    lanes = []
    for number, order in enumerate(orders):
        requests = single_span_requests(sample, f"order-{number}")
        lanes.append([requests[place] for place in order])
    ledger.send(zip(*lanes, strict=True))
    ledger.close()
    calls = ledger.calls()
    for number in range(len(orders)):
        assert_expected(sample, calls[f"order-{number}"])
