"""Medians, ratios and verdicts of the ingest benchmark, from figures made by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.ingest import loads, report, tables
from benchmarks.ingest.plan import Latency, Load
from benchmarks.ingest.report import Results, Round
from benchmarks.ingest.targets import Target, targets
from benchmarks.ingest.trials import Cost, Footprint


def _cost(cpu_us_per_span: float, *, missing_spans: int | None = 0, idle_cpu_seconds: float = 0.0) -> Cost:
    load = Load(1.0, 1.0, 1_000_000, 2_000, 0, 0, 0, Latency(1.0, 2.0, 3.0), 0.1, None, None)
    return Cost(load, cpu_us_per_span + idle_cpu_seconds, idle_cpu_seconds, 0.5, missing_spans)


def _results(ours: list[float], rotel: list[float], *, missing_spans: int = 0) -> Results:
    results = Results({"otel-cost": "1", "rotel": "2"}, {"mlflow": "not there"}, offline=True, quick=False)
    footprint = Footprint(1_000_000, 100 << 20, 90_000_000, 80_000_000)
    for name, figures, missing in (("otel-cost", ours, missing_spans), ("rotel", rotel, None)):
        results.rounds[name] = [
            Round({loads.GRPC_512: _cost(figure, missing_spans=missing)}, footprint) for figure in figures
        ]
    return results


def _verdict(results: Results, words: str) -> Target:
    return next(one for one in targets(results) if words in one.text)


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which everything is twice as slow changes no ratio; the median of ratios is judged."""
    results = _results([12.0, 24.0, 13.0], [10.0, 20.0, 10.0])
    assert report.ratios(results, "otel-cost", "rotel", loads.GRPC_512) == [1.2, 1.2, 1.3]
    verdict = _verdict(results, "of rotel's")
    assert (verdict.value, verdict.held) == (1.2, True)
    assert _verdict(_results([14.0], [10.0]), "of rotel's").held is False


def test_idle_cpu_is_no_cost_of_a_span() -> None:
    """What the server uses without a load is taken off."""
    assert round(_cost(10.0, idle_cpu_seconds=3.0).cpu_us_per_span, 6) == 10.0


def test_one_missing_span_is_a_missed_target_and_no_measurement_is_no_verdict() -> None:
    """Acknowledged spans that are not there count; what did not run is neither held nor missed."""
    assert _verdict(_results([10.0], [10.0], missing_spans=1), "not stored").held is False
    assert _verdict(_results([10.0], [10.0]), "not stored").held is True
    assert _verdict(_results([10.0], [10.0]), "Phoenix").held is None


def test_what_a_short_or_a_small_run_cannot_tell_is_not_judged() -> None:
    """A `--quick` run judges nothing; the size of a ledger counts only behind loads that fill one."""
    results = _results([14.0], [10.0])
    assert "MISSED" in tables.text(results)
    assert "MISSED" not in tables.text(replace(results, quick=True))
    assert "too short to tell" in tables.text(replace(results, quick=True))
    assert _verdict(results, "disk bytes").held is True
    small = replace(results, rounds={"otel-cost": [Round({loads.GRPC_1: _cost(9.0)}, Footprint(9, 9, 9_000, 90))]})
    assert _verdict(small, "disk bytes").held is None


def test_tables_and_json_say_what_was_measured() -> None:
    """Both forms name the systems, what was left out and the verdicts; nothing that is not stored has a disk figure."""
    results = _results([12.0, 14.0], [10.0, 10.0])
    plain, page = tables.text(results), tables.text(results, tables.markdown)
    assert "13.0 [12.0-14.0]" in plain
    assert "skipped: mlflow: not there" in plain
    assert "| 13.0 [12.0-14.0] |" in page
    line = next(line for line in plain.splitlines() if line.startswith("rotel") and "keeps none" in line)
    assert line.split()[6:8] == ["-", "-"]
    raw = json.loads(json.dumps(report.as_json(results)))
    assert raw["medians"]["otel-cost"][loads.GRPC_512]["CPU / rotel's"] == pytest.approx(1.3)
    assert "usage" not in raw["rounds"]["rotel"][0]["costs"][loads.GRPC_512]["load"]
