"""`otel-cost status`: real pages of a collector's metrics and health, read and told."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector import telemetry as metrics
from collector.cli.prometheus_text import parse, quantile
from collector.config.parts import Endpoint
from collector.serve.probes import METRICS_PATH, Page, ProbeServer, health_pages, metrics_pages
from collector.store.layout import Layout
from collector.store.lock import InstanceLock
from collector.telemetry import Telemetry
from tests.collector.cli import scenario
from tests.collector.cli.test_docs import section


class Pages:
    """The two pages of a collector, and a config that says where they are."""

    def __init__(self, folder: Path) -> None:
        self.telemetry = Telemetry()
        self.unhealthy: str | None = None
        self.ledger = folder / "ledger.duckdb"
        self._folder = folder
        self.shown: str | None = None
        loopback = Endpoint("127.0.0.1", 0)
        self._servers = [
            ProbeServer("metrics", loopback, {METRICS_PATH: self._metrics}),
            ProbeServer("health", loopback, health_pages(lambda: self.unhealthy)),
        ]

    def _metrics(self, accept: str) -> Page:
        page = metrics_pages(self.telemetry)[METRICS_PATH](accept)
        return page if self.shown is None else replace(page, body=self.shown)

    def start(self) -> None:
        metrics_at, health_at = (server.start() for server in self._servers)
        self.config = str(self._folder / "config.yaml")
        Path(self.config).write_text(
            f'exporters:\n  duckdb: {{path: "{self.ledger}"}}\n  prometheus: {{endpoint: "{metrics_at}"}}\n'
            f'extensions:\n  health_check: {{endpoint: "{health_at}"}}\n'
        )

    def stop(self) -> None:
        for server in self._servers:
            server.stop()


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    started = Pages(tmp_path)
    started.start()
    yield started
    started.stop()


def test_numbers_of_a_running_collector(pages: Pages) -> None:
    """Counters by reason and exporter, and quantiles of its histograms."""
    pages.telemetry.add(metrics.REQUESTS_ACCEPTED, 3)
    pages.telemetry.add(metrics.SPANS_STORED, 1536)
    pages.telemetry.add(metrics.REQUESTS_REFUSED, 2, "queue_full")
    pages.telemetry.add(metrics.FORWARDED_SPANS, 7, "otlp/jaeger")
    for seconds in (0.0015, 0.0015, 0.0015, 0.4):
        pages.telemetry.observe(metrics.COMMIT_SECONDS, seconds)
    found = scenario.run_json("status", "--config", pages.config)
    assert found["running"]
    assert found["takes_spans"]
    assert found["health"] == "Server available"
    assert (found["accepted_requests"], found["accepted_spans"]) == (3, 1536)
    assert found["refused_requests"] == {"queue_full": 2}
    assert found["forward"] == {"otlp/jaeger": {"forwarded_spans": 7}}
    commit = found["seconds"]["commit"]
    assert commit["count"] == 4
    assert 0.001 < commit["p50"] <= 0.002
    assert 0.2 < commit["p99"] <= 0.5
    assert found["seconds"]["publish"] is None


def test_for_people(pages: Pages) -> None:
    """One line per subject; what the collector does not say, as one of another version, is "?" and never 0."""
    result = scenario.run("status", "--config", pages.config)
    assert result.exit_code == 0
    assert "collector    Server available" in result.output
    assert "accepted     0 requests, 0 spans" in result.output
    pages.shown = "# nothing that is known\n"
    assert "accepted     ? requests, ? spans" in scenario.run("status", "--config", pages.config).output
    assert "no ledger at the path" in result.output


def test_the_published_file_is_part_of_it(pages: Pages, tmp_path: Path) -> None:
    """Freshness, spans, calls without a price, and what the ledger takes on disk."""
    scenario.run("import", str(scenario.write(tmp_path)), "--db", str(pages.ledger))
    found = scenario.run_json("status", "--config", pages.config)
    assert found["published"]["spans"] == 13
    assert found["published"]["unpriced_calls"] == 1
    assert found["published"]["age_seconds"] < 3600
    assert found["disk_bytes"]["segment_bytes"] > 0
    assert "of 6 calls without a price" in scenario.run("status", "--config", pages.config).output


def test_no_collector_is_a_clear_answer(pages: Pages) -> None:
    """Exit code 1 and how to start one."""
    pages.stop()
    result = scenario.run("status", "--config", pages.config)
    assert result.exit_code == 1
    assert "no collector answers here; start one with: otel-cost collect" in result.output
    found = json.loads(scenario.run("status", "--config", pages.config, "--json").output)
    assert not found["running"]
    assert found["accepted_spans"] is None


def test_a_collector_with_other_addresses_is_not_no_collector(pages: Pages) -> None:
    """Its lock on the ledger tells of it, and what to do."""
    pages.stop()
    lock = InstanceLock(Layout.of(pages.ledger).lock)
    lock.acquire()
    try:
        result = scenario.run("status", "--config", pages.config)
        assert result.exit_code == 1
        assert f"a collector has this ledger (process {os.getpid()} on" in result.output
        assert "name its --config" in result.output
        found = json.loads(scenario.run("status", "--config", pages.config, "--json").output)
        assert found["ledger_held_by"].startswith(f"process {os.getpid()} on")
    finally:
        lock.release()
    assert "no collector answers here" in scenario.run("status", "--config", pages.config).output


def test_a_collector_that_takes_nothing_is_not_well(pages: Pages) -> None:
    """It answers 503 with a reason, as while it starts or stops: exit code 1."""
    pages.unhealthy = "stopping"
    result = scenario.run("status", "--config", pages.config)
    assert result.exit_code == 1
    assert "collector    stopping" in result.output


def test_a_wrong_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("exporters: {duckbd: }")
    result = scenario.run("status", "--config", str(tmp_path / "wrong.yaml"))
    assert result.exit_code == 2
    assert 'did you mean "duckdb"?' in result.output


def test_the_documented_object_is_the_real_one(pages: Pages, tmp_path: Path) -> None:
    scenario.run("import", str(scenario.write(tmp_path)), "--db", str(pages.ledger))
    pages.telemetry.observe(metrics.REQUEST_SECONDS, 0.1)
    shown = json.loads(section("status").split("```json\n")[1].split("```")[0])
    real = scenario.run_json("status", "--config", pages.config)
    assert set(shown) == set(real)
    for name in ("published", "disk_bytes", "seconds"):
        assert set(shown[name]) == set(real[name])
    assert set(shown["seconds"]["request"]) == set(real["seconds"]["request"])


def test_prometheus_text_is_read_with_its_escapes() -> None:
    """Labels with quotes, commas and braces; comments, timestamps and nonsense beside samples."""
    samples = parse('# HELP a b\na{x="1,\\"}\\\\\\n",y="z"} 2 1700000000\na{x="q"} 3\nb NaN\nc +Inf\nnonsense\nd{} x\n')
    assert samples.by_label("a", "x") == {'1,"}\\\n': 2, "q": 3}
    assert samples.total("a") == 5
    assert samples.total("missing") is None
    assert math.isinf(samples.total("c") or 0)


def test_quantiles_lie_inside_their_bucket() -> None:
    """Linear inside a bucket; beyond the last bound that bound; nothing without samples."""
    samples = parse('h_bucket{le="1"} 0\nh_bucket{le="2"} 10\nh_bucket{le="+Inf"} 20\n')
    assert quantile(samples, "h", 0.25) == pytest.approx(1.5)
    assert quantile(samples, "h", 0.99) == 2
    assert math.isnan(quantile(parse(""), "h", 0.5))
