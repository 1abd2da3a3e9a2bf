"""`otel-cost import`: files of spans into a ledger, through the collector's own pipeline."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode.otlp_json import to_protobuf
from collector.store import Store, StoreConfig
from tests.collector.cli import scenario
from tests.collector.cli.scenario import TOTAL, run, run_json
from tests.support.wire import varint

SAMPLES = Path(__file__).parents[2] / "testdata" / "otlp_samples"
SPANS = 13
"""Spans of the scenario's three traces."""


def as_lines(requests: list[Any]) -> bytes:
    return b"".join(json.dumps(request).encode() + b"\n" for request in requests)


def as_array(requests: list[Any]) -> bytes:
    return json.dumps(requests, indent=1).encode()


def as_one(requests: list[Any]) -> bytes:
    return json.dumps({"resourceSpans": [each for request in requests for each in request["resourceSpans"]]}).encode()


def as_protobuf(requests: list[Any]) -> bytes:
    return to_protobuf(as_one(requests))


def as_delimited(requests: list[Any]) -> bytes:
    bodies = [to_protobuf(json.dumps(request).encode()) for request in requests]
    return b"".join(varint(len(body)) + body for body in bodies)


def total_usd(ledger: Path) -> str:
    answer = run_json("report", "--since", "all", "--db", str(ledger))
    cost: str = answer["total"]["cost_usd"]
    return cost


@pytest.mark.parametrize(
    ("form", "packed"),
    [
        *((form, False) for form in (as_lines, as_array, as_one, as_protobuf, as_delimited)),
        *((form, True) for form in (as_lines, as_delimited)),
    ],
)
def test_every_format_stores_the_same_spans(tmp_path: Path, form: Any, packed: bool) -> None:
    file, ledger = tmp_path / "spans", tmp_path / "ledger.duckdb"
    content = form(scenario.requests())
    file.write_bytes(gzip.compress(content) if packed else content)
    answer = run_json("import", str(file), "--db", str(ledger))
    assert (answer["stored_spans"], answer["duplicate_spans"], answer["problems"]) == (SPANS, 0, [])
    assert total_usd(ledger) == str(TOTAL)


def test_a_file_that_is_loaded_again_changes_nothing(tmp_path: Path) -> None:
    file, ledger = scenario.write(tmp_path), tmp_path / "ledger.duckdb"
    run_json("import", str(file), "--db", str(ledger))
    again = run_json("import", str(file), str(file), "--db", str(ledger))
    assert (again["files"], again["stored_spans"], again["duplicate_spans"]) == (2, 0, 2 * SPANS)
    assert total_usd(ledger) == str(TOTAL)


def test_bad_lines_are_told_with_their_place_and_good_ones_are_kept(tmp_path: Path) -> None:
    file, ledger = tmp_path / "spans.jsonl", tmp_path / "ledger.duckdb"
    lines = as_lines(scenario.requests()).splitlines()
    file.write_bytes(b"\n".join([lines[0], b'{"resourceSpans": [', lines[1], b'{"resourceSpans": 7}', lines[2]]))
    result = run("import", str(file), "--db", str(ledger))
    assert result.exit_code == 1
    places = [line for line in result.stderr.splitlines() if line.startswith(f"{file}:")]
    assert [line.split(": ")[0] for line in places] == [f"{file}:2", f"{file}:4"]
    assert f"{SPANS} spans stored" in result.stdout
    assert "2 requests and 0 spans refused" in result.stdout
    assert total_usd(ledger) == str(TOTAL)


def test_one_bad_span_costs_one_span(tmp_path: Path) -> None:
    file, ledger = tmp_path / "spans.json", tmp_path / "ledger.duckdb"
    request = scenario.note(1_790_000_000_000_000_000).request()
    request["resourceSpans"][0]["scopeSpans"][9]["spans"][0]["spanId"] = "abcd"
    file.write_text(json.dumps(request))
    result = run("import", str(file), "--db", str(ledger), "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (answer["stored_spans"], answer["rejected_spans"], answer["rejected_requests"]) == (9, 1, 0)
    assert answer["problems"][0].startswith(f"{file}: 1 of its spans refused: ")


def test_a_cut_off_file_gives_what_it_holds(tmp_path: Path) -> None:
    file, ledger = tmp_path / "spans.binpb", tmp_path / "ledger.duckdb"
    file.write_bytes(as_delimited(scenario.requests())[:-20])
    result = run("import", str(file), "--db", str(ledger))
    assert result.exit_code == 1
    assert f"{file}#3: cut off" in result.stderr
    assert f"{SPANS - 1} spans stored" in result.stdout


def test_a_broken_file_does_not_hold_back_the_next(tmp_path: Path) -> None:
    broken, ledger = tmp_path / "broken.gz", tmp_path / "ledger.duckdb"
    broken.write_bytes(gzip.compress(as_lines(scenario.requests()))[:-9])
    result = run("import", str(broken), str(scenario.write(tmp_path)), "--db", str(ledger))
    assert result.exit_code == 1
    assert "broken gzip" in result.stderr
    assert f"{SPANS} spans stored" in result.stdout


def test_a_ledger_that_a_collector_holds_is_refused_with_the_way_to_send(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.duckdb"
    store = Store(StoreConfig(path=ledger))
    store.start()
    try:
        result = run("import", str(scenario.write(tmp_path)), "--db", str(ledger))
    finally:
        store.stop()
    assert result.exit_code == 1
    assert "another collector holds this ledger" in result.stderr
    assert "http://127.0.0.1:4318/v1/traces" in result.stderr


def test_a_file_that_does_not_exist_is_a_wrong_call(tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "none.json"), "--db", str(tmp_path / "ledger.duckdb"))
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_samples_of_many_dialects_load_and_can_be_asked(tmp_path: Path) -> None:
    """Each span once, whatever wrote it, and every trace can be drawn."""
    ledger = tmp_path / "ledger.duckdb"
    files = sorted(path for path in SAMPLES.glob("*.json") if not path.name.endswith(".expected.json"))
    ids = set()
    for path in files:
        request = ExportTraceServiceRequest.FromString(to_protobuf(path.read_bytes()))
        spans = [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
        ids |= {(span.trace_id.hex(), span.span_id.hex()) for span in spans}
    answer = run_json("import", *map(str, files), "--db", str(ledger))
    assert answer["stored_spans"] == len(ids)
    whole = run_json("report", "--since", "all", "--by", "run", "--limit", "10000", "--db", str(ledger))
    for trace_id in sorted({trace_id for trace_id, _ in ids}):
        assert run("trace", trace_id, "--db", str(ledger)).exit_code == 0
    assert whole["total"]["calls"] > len(files)
