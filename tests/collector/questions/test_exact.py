"""Figures add up: rows + other = total = the calls themselves, to the pico-dollar, whatever happened to the ledger.

Each state of a ledger (late spans, resends, merges, price runs, their undoing, expiry, restarts) is asked twice, from
sums per day and from calls, and both are compared with sums that plain Python makes of every row of `calls`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from collector import attribute as stage
from collector.questions import buckets
from collector.questions.breakdown import Grouping, breakdown
from collector.questions.runs import Listing, runs
from collector.questions.selection import COLUMNS, TIMES, Ask, Filter, Selection, Window
from collector.questions.spend import spend
from collector.questions.sums import sums
from collector.questions.timeseries import Stacking, timeseries
from collector.questions.values import values
from collector.questions.waste import LONGEST, waste
from collector.store import Store, StoreConfig
from collector.store.generations import Cursor, Generations
from collector.store.upkeep import Keep, Retention
from tests.collector.store.ledger_rows import SECOND_NS, batch, call, span
from tests.collector.store.price_runs import Flat, apply, undo

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Havana", "Australia/Lord_Howe")
SUMMED_ZONE = "Europe/Berlin"
FIRST = datetime(2026, 10, 20, tzinfo=UTC)
DAYS = 12
"""Over the night in which Berlin's clocks are put back."""
EVERYTHING = Selection(None, Window(None, None, ZoneInfo(SUMMED_ZONE)), ())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ADDED = ("cost_usd", "calls", "unpriced_calls", "failed_calls", "input_tokens", "retries", "useful_output_tokens")
_ROWS = f"""
SELECT org_id, epoch_ns(start_time) AS ns, {", ".join(f'"{name}"' for name in COLUMNS)},
    trace_id, span_id, output_tokens,
    coalesce(cost_usd, 0)::DECIMAL(38, 12) AS cost_usd, 1 AS calls, (cost_usd IS NULL)::INT AS unpriced_calls,
    failed::INT AS failed_calls, (attempt > 1)::INT AS retries, input_tokens,
    CASE WHEN failed OR wasted THEN 0 ELSE coalesce(output_tokens, 0) END AS useful_output_tokens
FROM calls
"""
Rows = list[dict[str, Any]]


class World:
    """A ledger to which things happen."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.chance = random.Random(seed)
        self.late: list[dict[str, Any]] = []
        self.traces = self.named = 0
        self.price_runs: list[str] = []
        self.store = Store(StoreConfig(path, lock_wait_seconds=0, free_space_floor_bytes=0))
        self.store.start()

    def spans_come(self) -> None:
        """Runs with a root that names the customer; some roots, and some calls, come later or twice."""
        chance, found = self.chance, []
        for _ in range(chance.randint(5, 25)):
            self.traces += 1
            org = chance.choice(("default", "other"))
            at_ns = int((FIRST - EPOCH).total_seconds()) * SECOND_NS + chance.randrange(DAYS * 86_400 * SECOND_NS)
            rows = [span(self.traces, 1, customer=chance.choice(("a", "b", None)), project=chance.choice(("p", None)))]
            rows += [call(self.traces, number, 1, **self._said()) for number in range(2, 2 + chance.randint(1, 5))]
            for number, row in enumerate(rows):
                start_ns = at_ns + number * SECOND_NS * chance.choice((1, 3_000))
                found.append(row | {"org_id": org, "start_time_ns": start_ns, "end_time_ns": start_ns + SECOND_NS})
        chance.shuffle(found)
        cut = len(found) // 4
        self.store.append(batch([*found[cut:], *self.late]), stage.attribute)
        self.late = [*found[:cut], *found[cut : cut + 3]]

    def _said(self) -> dict[str, Any]:
        chance = self.chance
        price = chance.choice((None, 0, 1, 12_500_000_000, chance.randrange(10**15)))
        return {
            "agent": chance.choice(("writer", "critic", "it's", None)),
            "provider": chance.choice(("openai", "anthropic", None)),
            "model": (model := chance.choice(("gpt-4o", "claude", None))),
            "request_model": model,
            "run": chance.choice((None, None, "nightly")),
            "cost_pico_usd": price,
            "cost_status": "unpriced"
            if price is None
            else chance.choice(("priced", "estimated", "partial", "reported")),
            "failed": chance.random() < 0.15,
            "input_tokens": chance.choice((None, 0, 1_000, chance.randrange(10**9))),
            "output_tokens": chance.choice((None, 100, chance.randrange(2_000))),
        }

    def it_is_merged(self) -> None:
        self.store.maintain()

    def prices_change(self) -> None:
        self.named += 1
        self.price_runs.append(f"run-{self.named}")
        pico_usd = self.chance.randrange(10**11)
        apply(self.store, Flat(f"card-{self.named}", pico_usd, ["claude"]), self.price_runs[-1])

    def prices_come_back(self) -> None:
        if self.price_runs:
            undo(self.store, self.price_runs.pop())

    def it_restarts(self) -> None:
        self.store.stop()
        age = (datetime.now(UTC) - FIRST).total_seconds() - 2 * 86_400
        kept = Retention(Keep(max_age_seconds=max(age, 1.0))) if self.chance.random() < 0.5 else Retention()
        self.store = Store(StoreConfig(self.path, lock_wait_seconds=0, free_space_floor_bytes=0, retention=kept))
        self.store.start()


def rows_of(path: Path) -> Rows:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.sql(_ROWS).to_arrow_table().to_pylist()  # type: ignore[no-any-return]


def selections(chance: random.Random, count: int) -> Iterator[Selection]:
    for _ in range(count):
        zone = ZoneInfo(chance.choice(ZONES))
        ends = sorted(FIRST + timedelta(seconds=chance.randrange(-86_400, (DAYS + 1) * 86_400)) for _ in range(2))
        if chance.random() < 0.3:
            ends = [buckets.start(buckets.DAY, buckets.number(buckets.DAY, end, zone), zone) for end in ends]
        since, until = (end if chance.random() < 0.7 else None for end in ends)
        if since and until and until <= since:
            until = None
        filters = [
            Filter("agent", tuple(chance.sample(("writer", "critic", "it's", None), chance.randint(1, 3)))),
            Filter("customer", (chance.choice(("a", None)),)),
            Filter("provider", ("openai", None)),
            Filter("cost_status", ("priced", "unpriced")),
            Filter("status", (chance.choice(("ok", "error")),)),
        ]
        some = tuple(chance.sample(filters, chance.choice((0, 0, 1, 2))))
        yield Selection(chance.choice((None, "default", "other")), Window(since, until, zone), some)


def chosen(rows: Rows, selection: Selection) -> Rows:
    return [row for row in rows if _passes(row, selection)]


def _passes(row: Mapping[str, Any], selection: Selection) -> bool:
    window, at = selection.window, EPOCH + timedelta(microseconds=row["ns"] // 1_000)
    said = {**row, "status": "error" if row["failed_calls"] else "ok"}
    return (
        selection.org_id in (None, row["org_id"])
        and (window.since is None or at >= window.since)
        and (window.until is None or at < window.until)
        and all(said[one.key] in one.values for one in selection.filters)
    )


def added(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: sum((row[name] or 0 for row in rows), Decimal(0) if name == "cost_usd" else 0) for name in ADDED}


def said_by(measures: Any) -> dict[str, Any]:
    return {name: getattr(measures, name) or 0 for name in ADDED}


def grouped(rows: Rows, by: Sequence[str], zone: ZoneInfo) -> dict[tuple[Any, ...], dict[str, Any]]:
    found: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        at = EPOCH + timedelta(microseconds=row["ns"] // 1_000)
        key = (buckets.label(name, buckets.number(name, at, zone), zone) if name in TIMES else row[name] for name in by)
        found[tuple(key)].append(row)
    return {key: added(group) for key, group in found.items()}


def check(ask: Ask, rows: Rows, selection: Selection, chance: random.Random) -> None:
    """Every kind of question about one selection."""
    zone = selection.window.zone
    mine = chosen(rows, selection)
    whole = added(mine)
    assert said_by(spend(ask, selection).total) == whole
    by = tuple(chance.sample((*COLUMNS, *TIMES), chance.choice((1, 1, 2))))
    groups = grouped(mine, by, zone)
    found = breakdown(ask, selection, Grouping(by, limit=1_000))
    assert {row.key: said_by(row.measures) for row in found.rows} == groups
    assert found.other is None
    assert found.groups == len(groups)
    cut = breakdown(ask, selection, Grouping(by, limit=2, offset=1, sparkline="day", compare=True))
    parts = [row.measures for row in cut.rows] + ([cut.other.measures] if cut.other else [])
    assert added([said_by(part) for part in parts]) == said_by(cut.total) == whole
    assert all(sum(row.sparkline or ()) == row.measures.cost_usd for row in cut.rows)
    _check_series(ask, mine, selection, chance)
    listed = runs(ask, selection, Listing(limit=3, sort=chance.choice(("cost", "time"))))
    shown = [run.measures for run in listed.runs] + ([listed.other] if listed.other else [])
    assert added([said_by(part) for part in shown]) == said_by(listed.total) == whole
    assert listed.groups == listed.total.executions == len({row["run"] for row in mine})
    _check_executions(ask, mine, selection)
    _check_longest(ask, mine, selection)
    agents = grouped(mine, ("agent",), zone)
    assert {one.value: one.cost_usd for one in values(ask, selection, "agent")} == {
        key[0]: group["cost_usd"] for key, group in agents.items()
    }


def _check_executions(ask: Ask, mine: Rows, selection: Selection) -> None:
    for by in (("agent",), ("provider", "model")):
        runs_of = defaultdict(set)
        for row in mine:
            runs_of[tuple(row[name] for name in by)].add(row["run"])
        found = breakdown(ask, selection, Grouping(by, limit=1_000, executions=True))
        assert {row.key: row.measures.executions for row in found.rows} == {
            key: len(several) for key, several in runs_of.items()
        }


def _check_longest(ask: Ask, mine: Rows, selection: Selection) -> None:
    known = [row for row in mine if row["output_tokens"] is not None]
    known.sort(key=lambda row: row["span_id"])
    known.sort(key=lambda row: row["trace_id"])
    known.sort(key=lambda row: (row["output_tokens"], not row["unpriced_calls"], row["cost_usd"]), reverse=True)
    expected = [(row["trace_id"], row["span_id"], row["output_tokens"]) for row in known[:LONGEST]]
    assert [(one.trace_id, one.span_id, one.output_tokens) for one in waste(ask, selection).longest] == expected


def _check_series(ask: Ask, mine: Rows, selection: Selection, chance: random.Random) -> None:
    bucket = chance.choice(TIMES)
    if bucket != buckets.MINUTE:  # of days there are more than a series shows
        _check_stacked(ask, mine, selection, bucket)
    for by in ((), ("provider",)):
        _check_sums(ask, mine, selection, bucket, by)


def _check_sums(ask: Ask, mine: Rows, selection: Selection, bucket: str, by: tuple[str, ...]) -> None:
    zone = selection.window.zone
    assert {
        (buckets.label(bucket, buckets.number(bucket, cell.start, zone), zone), *cell.key): said_by(cell.measures)
        for cell in sums(ask, selection, bucket, by)
    } == grouped(mine, (bucket, *by), zone)


def _check_stacked(ask: Ask, mine: Rows, selection: Selection, bucket: str) -> None:
    zone = selection.window.zone
    stacked = timeseries(ask, selection, Stacking("model", bucket, limit=1, compare=True))
    values_of = [one.values for one in stacked.series] + ([stacked.other] if stacked.other else [])
    assert tuple(map(sum, zip(*values_of, strict=True))) == (stacked.total if values_of else ())
    labels = [buckets.label(bucket, buckets.number(bucket, start, zone), zone) for start in stacked.buckets]
    spent = {
        label: (cost, unpriced)
        for label, cost, unpriced in zip(labels, stacked.total, stacked.unpriced_calls, strict=True)
    }
    expected = {key[0]: (one["cost_usd"], one["unpriced_calls"]) for key, one in grouped(mine, (bucket,), zone).items()}
    assert {label: one for label, one in spent.items() if any(one) or label in expected} == expected


def live(path: Path, seed: int, steps: int, asked: int) -> int:
    """Let things happen, and ask after each; how many of the questions could use sums."""
    world, chance, helped = World(path, seed), random.Random(seed), 0
    happenings = (
        [world.spans_come] * 6
        + [world.it_is_merged] * 2
        + [world.it_restarts, world.prices_change, world.prices_come_back]
    )
    world.spans_come()
    world.store.publish()
    generations = Generations(path, ZoneInfo(SUMMED_ZONE), unsummed_rows=20)
    generations.open()
    try:
        for _ in range(steps):
            world.chance.choice(happenings)()
            world.store.publish()
            if chance.random() < 0.8:  # else the newest segments have no sums yet
                generations.step()
            generations.step()
            rows = rows_of(path)
            with generations.current() as cursor:  # where there are sums of every other bucket
                _check_sums(cursor, rows, EVERYTHING, buckets.MINUTE, ())
                _check_executions(cursor, rows, EVERYTHING)
            for selection in selections(chance, asked):
                with generations.current() as cursor:
                    helped += _has_sums(cursor)
                    check(cursor, rows, selection, random.Random(seed))
                    cursor.rolled = None
                    check(cursor, rows, selection, random.Random(seed))
    finally:
        generations.close()
        world.store.stop()
    return helped


def _has_sums(cursor: Cursor) -> bool:
    assert cursor.rolled is not None
    return bool(cursor.rolled.parts)


@pytest.mark.parametrize("seed", range(2))
def test_figures_are_those_of_the_calls_whatever_happens(tmp_path: Path, seed: int) -> None:
    assert live(tmp_path / "ledger's cost.duckdb", seed, steps=3, asked=1)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(100, 140))
def test_figures_are_those_of_the_calls_for_long(tmp_path: Path, seed: int) -> None:
    """Half an hour of CPU in all, by the seed so that it may be cut short."""
    assert live(tmp_path / "otel-cost.duckdb", seed, steps=12, asked=3)
