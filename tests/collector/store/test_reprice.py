"""Price runs: figures of stored calls change as a whole or not at all, and come back byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.store.figures import FIGURES
from collector.store.reprice import PriceRunRefused
from collector.store.reprice_selection import Selection
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import START_NS, attribute, batch, call, span
from tests.collector.store.price_runs import (
    BILLED,
    CALLS,
    COSTS,
    PRICE,
    SPANS,
    Flat,
    apply,
    ask,
    fill,
    never,
    published,
    sound,
    undo,
)

TWICE = 250  # traces with two records of one call


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
