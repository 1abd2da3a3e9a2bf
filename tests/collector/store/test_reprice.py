"""Price runs: figures of stored calls change as a whole or not at all, and come back byte for byte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from collector.decode.columns import COST_SCHEMA
from collector.store import Store
from collector.store.checkup import examine
from collector.store.figures import FIGURES, PRICED_FROM
from collector.store.query import query_published
from collector.store.reprice import Applied, Order, PriceRunRefused
from collector.store.reprice_selection import Selection
from collector.store.restating import Cancelled
from collector.store.scrub import scrub
from collector.store.upkeep import Archive, Keep, Retention
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import START_NS, attribute, batch, call, span
from tests.collector.store.test_retention import DAY, aged

Rows = list[tuple[Any, ...]]
TWICE = 250  # traces with two records of one call
PRICE = 12_500_000_000
"""Of every call of `ledger_rows`, in pico-USD."""


class Flat:
    """A card by which every call that has usage costs the same; models named in `unknown` have no price."""

    columns = PRICED_FROM

    def __init__(self, card: str, pico_usd: int, unknown: Sequence[str] = ()) -> None:
        self.card = card
        self._pico_usd = pico_usd
        self._unknown = unknown

    def prices(self) -> pa.Table:
        return pa.table({"card": [self.card], "model": ["gpt-4o"]})

    def __call__(self, rows: pa.Table) -> pa.Table:
        used = pc.is_valid(rows.column("input_tokens")).to_pylist()
        models = rows.column("request_model").to_pylist()
        lines = [
            {
                "model": model,
                "cost_pico_usd": None if model in self._unknown else self._pico_usd,
                "cost_status": "unpriced" if model in self._unknown else "priced",
                "cost_reason": f"unknown model {model}" if model in self._unknown else None,
                "card": self.card,
                "rate_row": f"{self.card}|{model}",
                "flags": 1,
            }
            if has_usage
            else {"flags": 0}
            for model, has_usage in zip(models, used, strict=True)
        ]
        return pa.Table.from_pylist(lines, schema=COST_SCHEMA)


def never() -> bool:
    return False


def apply(store: Store, price: Flat, name: str = "run", selection: Selection | None = None) -> Applied:
    return store.repricing(attribute).apply(Order(selection or Selection(), price, "me@here", name), never)


def undo(store: Store, name: str = "run") -> None:
    store.repricing(attribute).undo(name, "me@here", never)


def ask(store: Store, sql: str) -> Rows:
    return store.read(lambda reader: reader.rows(sql))


def published(path: Path, sql: str) -> Rows:
    with duckdb.connect(str(path), read_only=True) as connection:
        rows: Rows = connection.execute(sql).fetchall()
        return rows


SPANS = "SELECT * FROM spans ORDER BY seq"
ATTEMPTS = "SELECT * FROM attempts ORDER BY seq"
CALLS = "SELECT * FROM calls ORDER BY seq"
BILLED = f"SELECT * EXCLUDE (current_cost_usd, current_cost_status, current_card, price_run) FROM ({'{}'})".format(
    "SELECT * FROM calls_as_billed ORDER BY seq"
)
COSTS = "SELECT span_id, cost_usd, card FROM calls ORDER BY seq"


def sound(path: Path) -> None:
    """What `otel-cost doctor --deep` says of a ledger that is closed."""
    checkup, copied = examine(path)
    assert copied is not None
    scrub(checkup, copied, attribute)
    assert [finding.what for finding in checkup.findings] == []


def fill(store: Store) -> None:
    """Three traces in five batches: owners that come late, so that some verdicts are amendments."""
    store.append(batch([call(1, 2, 1), call(1, 3, 1, cost_pico_usd=None, cost_status="unpriced")]), attribute)
    store.append(batch([span(1, 1, agent="planner", customer="acme")]), attribute)
    store.append(batch([call(2, 2, 1, request_model="gpt-4o-mini"), span(2, 9)]), attribute)
    store.append(batch([span(2, 1, customer="other")]), attribute)
    store.append(batch([call(3, 1)]), attribute)


def test_a_run_changes_figures_and_nothing_else(open_store: OpenStore, ledger_path: Path) -> None:
    """In the ledger and in the publication, before and after a restart; amendments say what rows say."""
    store = open_store()
    fill(store)
    assert ask(store, "SELECT count(*) FROM _ledger.amendment")[0][0] > 0
    shown = ", ".join(f'"{name}"' for name in FIGURES)
    others = f"SELECT * EXCLUDE ({shown}) FROM attempts ORDER BY seq"
    before = ask(store, others)
    applied = apply(store, Flat("new", 2 * PRICE))
    assert applied.name == "run"
    assert ask(store, others) == before
    expected = [(row[0], Decimal("0.025"), "new") for row in ask(store, COSTS)]
    assert ask(store, COSTS) == expected
    store.publish()
    assert published(ledger_path, COSTS) == expected
    store.stop()
    sound(ledger_path)
    assert ask(open_store(), COSTS) == expected


def test_the_account_says_what_changes(open_store: OpenStore) -> None:
    """By model, day and customer, as the whole trace says; a dry run and a run say the same, and the log repeats it."""
    store = open_store()
    fill(store)
    price = Flat("new", 2 * PRICE, unknown=["gpt-4o-mini"])
    preview = store.repricing(attribute).preview(Selection(), price, never)
    assert ask(store, COSTS)[0][1] == Decimal("0.0125")
    applied = apply(store, price)
    assert applied.preview.account.groups == preview.account.groups
    groups = preview.account.groups
    customers = {key[0]: (each.calls, each.before_usd, each.after_usd) for key, each in groups["customer"].items()}
    assert customers == {
        "acme": (2, Decimal("0.0125"), Decimal("0.05")),
        "other": (1, Decimal("0.0125"), Decimal(0)),
        None: (1, Decimal("0.0125"), Decimal("0.025")),
    }
    assert {key: each.calls for key, each in groups["status"].items()} == {
        ("priced", "priced"): 2,
        ("unpriced", "priced"): 1,
        ("priced", "unpriced"): 1,
    }
    day = datetime.fromtimestamp(START_NS // 10**9, UTC).date()
    assert {key: each.changed for key, each in groups["day"].items()} == {(day,): 4}
    log = ask(store, "SELECT name, applied_by, card, calls, changed_calls, delta_usd, unpriced_before FROM price_runs")
    assert log == [("run", "me@here", "new", 4, 4, Decimal("0.0375"), 1)]


@pytest.mark.parametrize("merged", [False, True])
def test_undo_restores_every_figure(open_store: OpenStore, ledger_path: Path, merged: bool) -> None:
    """Also after merging, a restart, and late spans; what arrived after the run stays as it is."""
    store = open_store()
    fill(store)
    for number in range(10, 30):
        store.append(batch([call(number, 1)]), attribute)
    before, calls = ask(store, SPANS), ask(store, CALLS)
    apply(store, Flat("new", 3 * PRICE), selection=Selection())
    assert ask(store, BILLED) == calls
    if merged:
        assert store.maintain().did
        store.stop()
        store = open_store()
    store.append(batch([span(3, 7), call(40, 1, cost_pico_usd=5)]), attribute)
    undo(store)
    assert ask(store, SPANS)[: len(before)] == before
    assert ask(store, CALLS)[: len(calls)] == calls
    assert ask(store, COSTS)[-1][1] == Decimal("0.000000000005")
    assert ask(store, "SELECT undone_by FROM price_runs") == [("me@here",)]
    store.publish()
    assert published(ledger_path, CALLS) == ask(store, CALLS)
    store.stop()
    sound(ledger_path)


def test_the_same_card_changes_nothing(open_store: OpenStore) -> None:
    store = open_store()
    fill(store)
    apply(store, Flat("new", PRICE), "one")
    files = ask(store, "SELECT file FROM _ledger.segment ORDER BY file")
    assert apply(store, Flat("new", PRICE), "two").name is None
    assert ask(store, "SELECT file FROM _ledger.segment ORDER BY file") == files
    assert ask(store, "SELECT name FROM price_runs") == [("one",)]


def test_resends_and_late_spans_do_not_notice_a_run(open_store: OpenStore, ledger_path: Path) -> None:
    """A resend is no changed one, and an owner that comes late changes the verdict and keeps the new price, whether
    the call's row is remembered or read back."""
    for recent_bytes in (32 << 20, 1):
        path = ledger_path.with_name(f"{recent_bytes}.duckdb")
        store = open_store(path=path, recent_bytes=recent_bytes)
        store.append(batch([call(1, 2, 1)]), attribute)
        store.append(batch([call(5, 2, 1)]), attribute)
        apply(store, Flat("new", 2 * PRICE))
        again = store.append(batch([call(1, 2, 1)]), attribute)
        assert (again.duplicates, again.changed) == (1, 0)
        store.append(batch([span(1, 1, agent="late")]), attribute)
        late = ask(store, "SELECT agent, cost_usd, card FROM calls ORDER BY seq")
        assert late == [("late", Decimal("0.025"), "new"), (None, Decimal("0.025"), "new")]
        store.stop()
        sound(path)


def test_later_runs_keep_the_prices_of_arrival(open_store: OpenStore) -> None:
    """As billed is what the first run replaced; runs are undone in reverse, each to what was before it."""
    store = open_store()
    fill(store)
    arrival = ask(store, CALLS)
    apply(store, Flat("two", 2 * PRICE), "two", Selection(models=("gpt-4o-mini",)))
    second = ask(store, CALLS)
    apply(store, Flat("three", 3 * PRICE), "three")
    assert ask(store, BILLED) == arrival
    runs = ask(store, "SELECT price_run, count(*) FROM calls_as_billed GROUP BY ALL ORDER BY ALL")
    assert runs == [("three", 3), ("two", 1)]
    with pytest.raises(PriceRunRefused, match=r"three came later and changed \d of the same calls: undo it first"):
        undo(store, "two")
    undo(store, "three")
    assert ask(store, CALLS) == second
    undo(store, "two")
    assert ask(store, CALLS) == ask(store, BILLED) == arrival


def test_a_selection_chooses_by_time_and_names(open_store: OpenStore) -> None:
    """Start included, end excluded, to the nanosecond."""
    store = open_store()
    store.append(
        batch([call(1, n, org_id=f"org-{n}", provider=f"p{n}", request_model=f"m{n}") for n in (1, 2)]), attribute
    )
    starts = [row[0] for row in ask(store, "SELECT epoch_ns(start_time) FROM spans ORDER BY seq")]
    chosen: list[tuple[Selection, int]] = [
        (Selection(since_ns=starts[0], until_ns=starts[1]), 1),
        (Selection(since_ns=starts[0] + 1), 1),
        (Selection(until_ns=starts[1] + 1), 2),
        (Selection(models=("m1", "m2")), 2),
        (Selection(models=("m1",), providers=("p2",)), 0),
        (Selection(organizations=("org-2",)), 1),
        (Selection(organizations=("org-3",)), 0),
    ]
    for selection, calls in chosen:
        assert store.repricing().preview(selection, Flat("new", 1), never).account.total.calls == calls, selection


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda store: apply(store, Flat("x", 1), "run"), "there is a price run run already"),
        (lambda store: apply(store, Flat("x", 1), "../run"), "'../run' is no name"),
        (lambda store: undo(store, "rum"), r"there is no price run rum \(price runs: run\)"),
    ],
)
def test_what_cannot_be_done_is_refused(open_store: OpenStore, work: Callable[[Store], None], message: str) -> None:
    store = open_store()
    fill(store)
    apply(store, Flat("new", PRICE))
    with pytest.raises(PriceRunRefused, match=message):
        work(store)
    undo(store)
    with pytest.raises(PriceRunRefused, match=r"run was undone at .* already"):
        undo(store)


def test_a_cancelled_run_leaves_no_file(open_store: OpenStore) -> None:
    """At whatever piece it is cancelled."""
    store = open_store()
    fill(store)

    def files() -> set[Path]:
        return {path for path in store.layout.folder.rglob("*.p*") if path.suffix in (".parquet", ".partial")}

    before, figures = files(), ask(store, SPANS)
    for pieces in range(5):
        left = iter(range(pieces))
        order = Order(Selection(), Flat("new", 1), "me")
        with pytest.raises(Cancelled):
            store.repricing().apply(order, lambda left=left: next(left, None) is None)  # type: ignore[misc]
        assert files() == before
    assert ask(store, SPANS) == figures
    assert ask(store, "SELECT * FROM price_runs") == []


def test_a_price_for_a_second_record_decides_again_which_one_counts(open_store: OpenStore, ledger_path: Path) -> None:
    """Of two records the one with a price is kept: when the other one gets one, their trace is judged again, a hundred
    traces in one commit."""

    def priced_first(skeleton: pa.Table) -> pa.Table:
        """As the toy attribution, but of records of one response the cheapest that has a price is kept."""
        verdicts = attribute(skeleton).to_pylist()
        rows = {row["span_id"]: row for row in skeleton.to_pylist()}
        by_response: dict[str, list[dict[str, Any]]] = {}
        for verdict in verdicts:
            by_response.setdefault(rows[verdict["span_id"]]["response_id"], []).append(verdict)
        for same in by_response.values():
            kept = min(same, key=lambda each: (rows[each["span_id"]]["cost_pico_usd"] is None, each["span_id"]))
            for each in same:
                each["counted"] = each is kept
                each["not_counted_reason"] = None if each is kept else "duplicate"
                each["duplicate_of"] = None if each is kept else kept["span_id"]
        return pa.Table.from_pylist(verdicts, schema=attribute(skeleton).schema)

    store = open_store()
    records: list[dict[str, Any]] = []
    for number in range(1, TWICE + 1):
        unpriced: dict[str, Any] = {"cost_pico_usd": None, "cost_status": "unpriced", "request_model": "new-1"}
        records += [call(number, 1, response_id=f"r{number}", **unpriced), call(number, 2, response_id=f"r{number}")]
    store.append(batch(records), priced_first)
    counted = "SELECT request_model, count(*) FROM calls GROUP BY ALL"
    assert ask(store, counted) == [("gpt-4o", TWICE)]
    apply(store, Flat("new", PRICE))
    store.publish()
    assert ask(store, counted) == published(ledger_path, counted) == [("new-1", TWICE)]
    assert store.position.batch == 2 + 3  # the batch, the run, and the judging
    undo(store)
    store.stop()
    assert published(ledger_path, counted) == [("gpt-4o", TWICE)]
    sound(ledger_path)


def test_expired_calls_need_no_undo(open_store: OpenStore, ledger_path: Path) -> None:
    """The books balance: what retention removed is written down at the price that it had then."""
    store = open_store(retention=Retention(Keep(max_age_seconds=90 * DAY)))
    store.append(batch([aged(1, 100)]), attribute)
    store.append(batch([aged(2, 1)]), attribute)
    before = ask(store, "SELECT * FROM spans WHERE seq = 2")
    apply(store, Flat("new", 2 * PRICE))
    while store.maintain().did:
        pass
    assert ask(store, "SELECT sum(cost_usd) FROM _ledger.expiry") == [(Decimal("0.025"),)]
    undo(store)
    assert ask(store, SPANS) == before
    store.stop()
    sound(ledger_path)


def test_the_archive_stays_as_it_is(open_store: OpenStore, tmp_path: Path) -> None:
    """Its spans are counted and left alone; a run whose calls have gone there cannot be taken back by halves."""
    store = open_store(archive=Archive(tmp_path / "cold", 30 * DAY))
    store.append(batch([aged(1, 40), aged(2, 41)]), attribute)
    store.append(batch([aged(3, 1)]), attribute)
    apply(store, Flat("new", 2 * PRICE), "early")
    while store.maintain().did:
        pass
    applied = apply(store, Flat("newer", 3 * PRICE), "late")
    assert applied.preview.archived_spans == 2
    assert ask(store, "SELECT card, count(*) FROM calls GROUP BY ALL ORDER BY ALL") == [("new", 2), ("newer", 1)]
    undo(store, "late")
    with pytest.raises(PriceRunRefused, match="2 calls of early have gone to the archive since"):
        undo(store, "early")


def test_a_lost_file_of_a_run_is_said_by_whoever_needs_it(open_store: OpenStore, ledger_path: Path) -> None:
    """Everything else is published and answered as before."""
    store = open_store()
    fill(store)
    apply(store, Flat("new", PRICE))
    (file,) = (path for path in store.layout.price_runs.iterdir() if path != store.layout.no_price_run)
    file.unlink()
    store.append(batch([call(50, 1)]), attribute)
    store.publish()
    assert published(ledger_path, "SELECT count(*) FROM calls") == [(5,)]
    with pytest.raises(duckdb.Error, match=r"is missing: prices as billed are not known"):
        published(ledger_path, "SELECT * FROM calls_as_billed")
    with pytest.raises(PriceRunRefused, match="is missing: what the calls of run cost before"):
        undo(store)
    store.stop()
    (finding,) = examine(ledger_path)[0].findings
    assert finding.what == f"{file}: is missing"


def test_the_file_of_an_undone_run_goes(open_store: OpenStore) -> None:
    """After the time that readers of an older publication have, or at the next start."""
    store = open_store(segment_grace_seconds=0.0)
    fill(store)
    for name in ("one", "two"):
        apply(store, Flat(name, 2 * PRICE), name)
        undo(store, name)
        assert len(list(store.layout.price_runs.iterdir())) == 2
        if name == "one":
            store.repricing().tidy()
        else:
            store.stop()
            store = open_store()
        assert list(store.layout.price_runs.iterdir()) == [store.layout.no_price_run]


def test_a_run_beside_appends_misses_and_doubles_nothing(open_store: OpenStore, ledger_path: Path) -> None:
    """Spans arrive and verdicts change all the while: amendments that come between snapshot and swap get the new
    price, and what arrives after the snapshot keeps its own."""
    store = open_store()
    for number in range(1, 21):
        store.append(batch([call(number, 2, 1)]), attribute)
    enough = threading.Event()
    appended: list[int] = []

    def append() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            late = [span(number, 1, agent="late")] if number <= 20 else []
            store.append(batch([*late, call(100 + number, 1)]), attribute)
            appended.append(number)

    thread = threading.Thread(target=append)
    thread.start()
    while len(appended) < 5:
        enough.wait(0.001)
    apply(store, Flat("new", 2 * PRICE), selection=Selection(until_ns=call(50, 0)["start_time_ns"]))
    while len(appended) < 25:
        enough.wait(0.001)
    enough.set()
    thread.join()
    by_card = ask(store, "SELECT card, cost_usd, count(*) FROM calls GROUP BY ALL ORDER BY ALL")
    assert by_card == [("new", Decimal("0.025"), 20), (None, Decimal("0.0125"), len(appended))]
    assert ask(store, "SELECT count(*) FROM calls WHERE agent = 'late'") == [(20,)]
    store.stop()
    sound(ledger_path)
    assert query_published(ledger_path, "SELECT count(*) AS n FROM calls").to_pylist() == [{"n": 20 + len(appended)}]
