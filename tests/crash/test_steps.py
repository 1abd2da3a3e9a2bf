"""Death at every step of everything that changes the ledger: what was promised is there once, nothing is left over."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest

from collector.budgets.keeper import BudgetKeeper
from collector.budgets.model import Unit, Window, WindowKind
from collector.store import Store, StoreConfig
from collector.store.checkup import examine
from collector.store.query import query_published
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from collector.store.upkeep import Archive, Keep, Retention
from tests.collector.budgets.moved_calls import rule
from tests.collector.store.ledger_rows import attribute, batch, call, span
from tests.collector.store.price_runs import Flat
from tests.collector.store.test_retention import DAY, aged
from tests.crash.steps import Death, run

LEDGER = Path(__file__).parents[1] / "testdata" / "ledger" / "v1.ledger.gz"
BUDGETS = [
    rule("agents", scope=(("agent", None),), limit=10**10),
    rule("runs", scope=(("organization", None),), limit=2, unit=Unit.CALLS, window=Window(WindowKind.RUN)),
]
Batches = Sequence[Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Scene:
    """What is there before, and what is done; both again after the death of the process that did it."""

    work: Callable[[Path], None]
    before: Batches = ()
    batches: Batches = ()
    settings: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda _: None
    prepare_last: Callable[[Path], None] = lambda _: None


def opened(folder: Path, settings: dict[str, Any]) -> Store:
    """A store that checkpoints after each commit, and deletes replaced files as soon as it may; with budgets."""
    if "archive" in settings:
        settings = {**settings, "archive": Archive(folder / "cold", 30 * DAY)}
    store = Store(StoreConfig(folder / "costs.duckdb", lock_wait_seconds=0, segment_grace_seconds=0.0, **settings))
    keeper = BudgetKeeper(store, BUDGETS)
    store.start()
    keeper.start()
    return store


def replay(store: Store, batches: Batches, released: Path) -> None:
    """What the applier does with a journal; `released` keeps what the journal has forgotten."""
    gone = int(released.read_text()) if released.exists() else 0
    assert store.journal >= gone, f"the journal forgot {gone}, the ledger has {store.journal}"
    for number in range(store.journal + 1, len(batches) + 1):
        store.append(batch(batches[number - 1]), attribute, number)
        released.write_text(str(store.settled(number)))


def kept_up(folder: Path, scene: Scene) -> None:
    """Start, replay, all upkeep there is, publish, stop."""
    store = opened(folder, scene.settings)
    replay(store, [*scene.before, *scene.batches], folder / "released")
    while store.maintain().did:
        store.publish()
    store.publish()
    store.stop()


def arriving(folder: Path) -> None:
    kept_up(folder, SCENES["append"])


def merging(folder: Path) -> None:
    kept_up(folder, SCENES["merge"])


def removing(folder: Path) -> None:
    kept_up(folder, SCENES["retention"])


def archiving(folder: Path) -> None:
    kept_up(folder, SCENES["archive"])


def migrating(folder: Path) -> None:
    kept_up(folder, SCENES["migration"])


def pricing_again(folder: Path) -> None:
    """A run, unless it was made before the death; then all of it was."""
    store = opened(folder, {})
    replay(store, SCENES["price run"].before, folder / "released")
    if not priced_by_run(store):
        store.repricing(attribute).apply(Order(Selection(), Flat("new", 7), "me", "run"), lambda: False)
    store.publish()
    store.stop()


def taking_back(folder: Path) -> None:
    """The run is undone, unless it was before the death; then all of it was."""
    store = opened(folder, {})
    if priced_by_run(store):
        store.repricing(attribute).undo("run", "me", lambda: False)
    store.publish()
    store.stop()


def priced_by_run(store: Store) -> bool:
    """Whether calls have the prices of a run: all of them or none, and the list of runs says the same."""
    in_force = store.read(lambda reader: reader.rows("SELECT count(*) FROM price_runs WHERE undone_at IS NULL"))
    cards = store.read(lambda reader: reader.rows("SELECT DISTINCT card, cost_usd FROM attempts"))
    assert cards in ([("new", Decimal("0.000000000007"))], [(None, Decimal("0.0125"))])
    assert in_force == [(int(cards[0][0] == "new"),)]
    return bool(cards[0][0])


def version_1(folder: Path) -> None:
    """A ledger of version 1, as its collector left it."""
    live = folder / "costs.duckdb.live"
    (live / "segments").mkdir(parents=True)
    (live / "ledger.duckdb").write_bytes(gzip.decompress(LEDGER.read_bytes()))
    (live / "segments" / "span_log-1-167-0a0b0c0d.parquet").write_bytes(b"of version 1")


def trace(number: int) -> list[list[dict[str, Any]]]:
    """Calls, then the root that owns them, which changes what was said of them, then a second record of one."""
    return [
        [call(number, 2, 1, response_id=f"r{number}"), call(number, 3, 1)],
        [span(number, 1, agent=f"agent {number}")],
        [call(number + 50, 9, response_id=f"r{number}"), call(number, 2, 1, response_id=f"r{number}")],
    ]


def small(count: int) -> Batches:
    return [each for number in range(count) for each in trace(number)]


SCENES = {
    "append": Scene(arriving, batches=small(1)),
    "merge": Scene(merging, before=small(6)),
    "retention": Scene(
        removing,
        before=[[aged(1, 100), aged(2, 100)], [aged(3, 1)]],
        settings={"retention": Retention(Keep(max_age_seconds=90 * DAY))},
    ),
    "price run": Scene(pricing_again, before=small(1)),
    "undone price run": Scene(taking_back, before=small(1), prepare_last=pricing_again),
    "archive": Scene(archiving, before=[[aged(1, 40), aged(2, 41)], [aged(3, 1)]], settings={"archive": None}),
    "migration": Scene(migrating, batches=[[call(900, 1)]], prepare=version_1),
}


def prepared(scene: Scene, folder: Path) -> Path:
    """A stopped ledger with what was before, its upkeep not yet done."""
    folder.mkdir()
    scene.prepare(folder)
    if scene.before:
        store = opened(folder, {})
        replay(store, scene.before, folder / "released")
        store.stop()
    scene.prepare_last(folder)
    return folder


def said(folder: Path) -> list[Any]:
    """Whatever depends on neither numbers nor names of files. Each event is there as often as without a death."""
    spans = "SELECT trace_id, span_id, CAST(cost_usd AS VARCHAR) AS cost FROM spans ORDER BY ALL"
    calls = "SELECT trace_id, span_id, CAST(cost_usd AS VARCHAR) AS cost, agent, counted FROM attempts ORDER BY ALL"
    budgets = "SELECT budget, scope_value, calls, cost_usd::VARCHAR, state FROM budgets ORDER BY ALL"
    events = "SELECT budget, scope_value, event, period_start FROM budget_events ORDER BY ALL"
    return [query_published(folder / "costs.duckdb", sql).to_pylist() for sql in (spans, calls, budgets, events)]


def counted(folder: Path) -> None:
    """The counters that the ledger has are those of its calls, without being counted anew."""
    store = Store(StoreConfig(folder / "costs.duckdb", lock_wait_seconds=0))
    keeper = BudgetKeeper(store, BUDGETS)
    store.start()
    assert list(keeper.counters.rules) == BUDGETS
    assert keeper.verify() == []
    store.stop()


def sound(folder: Path, death: Death) -> None:
    """The books balance, and no file is there that nobody names."""
    checkup, _ = examine(folder / "costs.duckdb")
    wrong = [finding.what for finding in checkup.findings if finding.severity != "note"]
    if death is Death.POWER:  # files of lost transactions
        wrong = [what for what in wrong if "kept aside" not in what]
    assert wrong == []
    live = folder / "costs.duckdb.live"
    segments = live / "segments"
    with duckdb.connect(str(live / "ledger.duckdb"), read_only=True) as connection:
        named = {str(segments / row[0]) for row in connection.execute("SELECT file FROM _ledger.segment").fetchall()}
        runs = connection.execute("SELECT file, undone_at IS NULL FROM _ledger.price_run").fetchall()
    found = [*segments.iterdir(), *folder.glob("cold/**/*.parquet"), *folder.glob("cold/**/.*.partial")]
    assert {str(path) for path in found} == named
    kept = {path.name for path in (live / "price-runs").iterdir()} - {"none.parquet"}
    assert {file for file, in_force in runs if in_force} <= kept <= {file for file, _ in runs}
    assert death is Death.POWER or not (live / "damaged").exists()


@pytest.mark.parametrize("death", Death)
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("stride", [40, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_death_at_any_step_leaves_a_ledger_that_goes_on(tmp_path: Path, name: str, death: Death, stride: int) -> None:
    """The next start does what is left to do, and the ledger is as if nothing had happened."""
    scene = SCENES[name]
    start = prepared(scene, tmp_path / "start")
    straight = Path(shutil.copytree(start, tmp_path / "straight"))
    scene.work(straight)
    expected = said(straight)
    deaths = 0
    for last in count(1 + len(name) % stride, stride):
        folder = Path(shutil.copytree(start, tmp_path / str(last)))
        complete = run(scene.work, folder, last, death)
        scene.work(folder)
        assert said(folder) == expected, f"step {last}"
        sound(folder, death)
        if name != "retention":  # counters keep what is removed
            counted(folder)
        shutil.rmtree(folder)
        if complete:
            break
        deaths += 1
    assert deaths
