"""Metrics of spend beside a real ledger: what they add up to, and that they never fall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collector.decode.request import DecodeLimits, Request
from collector.metering import table
from collector.metering.config import MeteringConfig
from collector.metering.meter import Meter
from collector.normalise import ESSENTIAL_KEYS
from collector.pipeline import Pipeline
from collector.store import Store, StoreConfig
from collector.store.moved import Listener
from collector.telemetry import Telemetry
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards
from tests.crash.workload import parts
from tests.support.plain_calls import plain_calls

Shown = dict[str, dict[tuple[tuple[str, str], ...], Decimal]]


def parsed(telemetry: Telemetry) -> Iterator[Metric]:
    """The OpenMetrics answer as Prometheus' own client library reads it."""
    families: Iterator[Metric] = text_string_to_metric_families(telemetry.render(openmetrics=True))  # type: ignore[no-untyped-call]
    return families


class Metered:
    """A ledger with metrics beside it, that can be stopped, or left as a kill leaves it, and started again."""

    def __init__(self, folder: Path, config: MeteringConfig) -> None:
        self.folder, self.config = folder, config
        self.start()

    def start(self) -> None:
        self.store = Store(StoreConfig(self.folder / "costs.duckdb"))
        self.meter = Meter(self.config, self.store, self.store.layout.metrics)
        self.store.listen(Listener(self.meter.columns, self.meter.moved))
        self.telemetry = Telemetry()
        self.telemetry.source(self.meter.families)
        self.store.start()
        self.meter.start()
        limits = DecodeLimits(essential_keys=ESSENTIAL_KEYS)
        self.pipeline = Pipeline(self.store, Cards(default_card()), limits, [], self.telemetry)

    def stop(self, *, killed: bool = False) -> None:
        """`killed`: nothing is kept but what was kept before."""
        kept = self.store.layout.metrics.read_bytes() if self.store.layout.metrics.exists() else None
        self.store.stop()
        self.meter.stop()
        if killed:
            self.store.layout.metrics.unlink(missing_ok=True)
            if kept is not None:
                self.store.layout.metrics.write_bytes(kept)

    def send(self, *bodies: bytes) -> None:
        for body in bodies:
            self.pipeline.process([Request(body, "default")])

    def shown(self) -> Shown:
        """Samples by metric and labels, exactly as they are written."""
        while not self.meter._is_ready:  # the ledger is asked in the background
            pass
        found: Shown = {}
        for family in parsed(self.telemetry):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = Decimal(str(sample.value))
        return found

    def real(self) -> dict[str, int]:
        """What the series add up to before any of it is held back, as it is kept for the next start."""
        kept = json.loads(self.store.layout.metrics.read_bytes())
        return {
            quantity.name: sum(each["real"][place] for each in kept["series"])
            for place, quantity in enumerate(table.QUANTITIES)
        }

    def call(self, span_id: str) -> list[tuple[Any, ...]]:
        statement = "SELECT trace_id, cost_usd::DOUBLE FROM calls WHERE span_id = ?"
        return self.store.read(lambda reader: reader.rows(statement, [span_id]))

    def ledger(self, what: str) -> Decimal:
        rows = self.store.read(lambda reader: reader.rows(f"SELECT coalesce({what}, 0)::VARCHAR FROM calls"))
        return Decimal(rows[0][0])


@pytest.fixture
def metered(tmp_path: Path) -> Iterator[Metered]:
    found = Metered(tmp_path, MeteringConfig())
    yield found
    found.stop()


def bodies(seed: int, requests: int) -> list[bytes]:
    """Calls before the spans that say whose they are, and some calls twice: many verdicts change later."""
    numbers = count()
    return [part.body for part in parts(seed, Random(seed), lambda: next(numbers) >= requests)]


SUMS = {
    "cost": "CAST(sum(cost_usd) * 1000000000000 AS DECIMAL(38, 0))",
    "retry_cost": "CAST(sum(cost_usd) FILTER (WHERE attempt > 1) * 1000000000000 AS DECIMAL(38, 0))",
    "calls": "count(*)",
    "unpriced_calls": "count(*) FILTER (WHERE cost_usd IS NULL)",
    "failed_calls": "count(*) FILTER (WHERE failed)",
    "retries": "count(*) FILTER (WHERE attempt > 1)",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
}


def same_as_ledger(metered: Metered) -> None:
    """Each sum of the series is that of the ledger, to the last digit."""
    metered.shown()
    real = metered.real()
    assert {name: real[name] for name in SUMS} == {name: int(metered.ledger(what)) for name, what in SUMS.items()}


def test_series_add_up_to_the_ledger_whatever_is_corrected_later(metered: Metered) -> None:
    """Owners that are learned later move a call to another series; a second record of it takes it out of the sum."""
    for body in bodies(1, 8):
        metered.send(body)
    same_as_ledger(metered)
    agents = metered.store.read(
        lambda reader: reader.rows("SELECT agent, sum(cost_usd)::VARCHAR FROM calls GROUP BY 1")
    )
    shown = metered.shown()["otel_cost_spend_usd_total"]
    for agent, cost_usd in agents:
        mine = sum(value for labels, value in shown.items() if ("agent", agent or "") in labels)
        assert mine >= Decimal(cost_usd).quantize(Decimal("1e-9"))


def test_no_counter_ever_falls_through_stops_and_kills(tmp_path: Path) -> None:
    """Scraped after each request, over clean stops and kills: what was shown once is the least that is shown after."""
    metered, before = Metered(tmp_path, MeteringConfig(labels=("agent", "customer"))), Shown()
    chance = Random(2)
    for number, body in enumerate(bodies(2, 4)):
        metered.send(body)
        if chance.random() < 0.5:
            shown = {
                name: samples for name, samples in metered.shown().items() if "_spend_usd" in name or "_calls" in name
            }
            for name, samples in before.items():
                assert {labels for labels, value in samples.items() if shown[name][labels] < value} == set()
            before = shown
        if number % 9 == 5:
            metered.stop(killed=chance.random() < 0.5)
            metered.start()
    assert metered.real()["calls"] > 0
    metered.stop()


def test_a_kill_loses_nothing_of_calls_that_were_not_corrected(tmp_path: Path) -> None:
    """What was committed behind the last scrape is read from the ledger at the next start."""
    metered = Metered(tmp_path, MeteringConfig())
    metered.send(plain(1))
    metered.shown()
    metered.send(plain(2), plain(3))
    metered.stop(killed=True)
    metered.start()
    metered.send(plain(4))
    same_as_ledger(metered)
    metered.stop()


def test_the_first_start_takes_up_what_the_ledger_has(tmp_path: Path) -> None:
    """A ledger that is older than its metrics, or whose metrics file is lost or unreadable."""
    metered = Metered(tmp_path, MeteringConfig())
    metered.send(plain(1), plain(2))
    metered.stop()
    metered.store.layout.metrics.write_text("{")
    metered.start()
    same_as_ledger(metered)
    metered.stop()


def plain(number: int) -> bytes:
    return bytes(plain_calls(number)[0].SerializeToString())


def test_money_is_written_to_the_last_digit(metered: Metered) -> None:
    """The text has every pico-dollar; only Prometheus makes a float of it."""
    metered.send(plain(1), plain(2), plain(3))
    metered.shown()
    lines = [line for line in metered.telemetry.render().splitlines() if line.startswith("otel_cost_spend_usd_total{")]
    assert sum(Decimal(line.rpartition(" ")[2]) for line in lines) == metered.ledger("sum(cost_usd)")


def test_an_example_is_a_real_call_of_its_series(metered: Metered) -> None:
    """Trace and span of an exemplar are in the ledger, with that cost; a bucket's example lies in the bucket."""
    metered.send(plain(1))
    metered.shown()
    seen = 0
    for family in parsed(metered.telemetry):
        for sample in family.samples:
            if sample.exemplar is None or family.name not in ("otel_cost_spend_usd", "otel_cost_call_cost_usd"):
                continue
            seen += 1
            found = metered.call(sample.exemplar.labels["span_id"])
            assert found == [(sample.exemplar.labels["trace_id"], pytest.approx(sample.exemplar.value))]
            if "le" in sample.labels:
                assert sample.exemplar.value <= float(sample.labels["le"])
    assert seen >= 2


def test_exemplars_can_be_switched_off(tmp_path: Path) -> None:
    """No trace id leaves the collector then."""
    metered = Metered(tmp_path, MeteringConfig(exemplars=False))
    metered.send(plain(1))
    metered.shown()
    assert "trace_id" not in metered.telemetry.render(openmetrics=True)
    metered.stop()
