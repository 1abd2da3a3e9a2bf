"""A trace of thousands of spans is not judged again for each span of it, and its verdicts are right in the end."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.store import Store
from collector.store.large_traces import LARGE_SPANS
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

VERDICTS = "SELECT span_id, counted, duplicate_of, agent, cost_usd FROM attempts ORDER BY span_id"


def verdicts(store: Store) -> list[tuple[Any, ...]]:
    return store.read(lambda reader: reader.rows(VERDICTS))


def trace(count: int) -> list[dict[str, Any]]:
    """Agents under agents, calls below them; some calls have a second record."""
    chance = random.Random(count)
    rows = [span(1, 1, agent="root")]
    for number in range(2, count):
        parent = chance.randint(1, number - 1) // 10 * 10 or 1
        if number % 10 == 0:
            rows.append(span(1, number, parent, agent=f"agent-{number}" if number % 20 else None))
        else:
            rows.append(call(1, number, parent, response_id=f"response-{number // 3}"))
    return rows


def test_a_large_trace_is_judged_whole_when_it_has_grown(open_store: OpenStore) -> None:
    """Not for each span; others of the batch are judged as ever."""
    judged: list[int] = []

    def counted(skeleton: pa.Table) -> pa.Table:
        judged.append(skeleton.num_rows)
        return attribute(skeleton)

    store = open_store()
    store.append(batch([call(1, number) for number in range(LARGE_SPANS)]), counted)
    for number in range(5):
        store.append(batch([call(1, LARGE_SPANS + number), call(2, number)]), counted)
    assert judged == [LARGE_SPANS, 2, 3, 4, 5, 6]
    store.append(batch([call(1, 2 * LARGE_SPANS + number) for number in range(LARGE_SPANS // 4)]), counted)
    assert judged[-1] == LARGE_SPANS + 5 + LARGE_SPANS // 4


@pytest.mark.parametrize("seed", range(2))
def test_the_verdicts_on_a_large_trace_are_those_of_one_batch(open_store: OpenStore, seed: int) -> None:
    """Parents that come last, second records that come first; when it is published, all is as if sent at once."""
    rows = trace(LARGE_SPANS + 600)
    store = open_store()
    sent = list(rows)
    random.Random(seed).shuffle(sent)
    at = 0
    for size in [LARGE_SPANS - 50, 100, *[11] * 20, *[1] * 30, *[40] * 30]:
        if at < len(sent):
            store.append(batch(sent[at : at + size]), attribute)
        at += size
    assert at >= len(sent)
    assert store._ledger.large.waiting
    store.publish()
    assert not store._ledger.large.waiting
    found = verdicts(store)
    store.stop()
    reference = open_store(path=store.layout.published.with_name("reference.duckdb"))
    reference.append(batch(sorted(rows, key=lambda row: str(row["span_id"]))), attribute)
    assert found == verdicts(reference)


VICTIM = """
import os, sys
from pathlib import Path
from collector.store import Store, StoreConfig
from collector.store.large_traces import LARGE_SPANS
from tests.collector.store.ledger_rows import attribute, batch, call, span
store = Store(StoreConfig(Path(sys.argv[1])))
store.start()
store.append(batch([call(1, number, 1) for number in range(2, LARGE_SPANS + 2)]), attribute)
store.append(batch([span(1, 1, agent="late")]), attribute)
os._exit(0)
"""


def test_what_was_put_off_is_done_after_a_crash(open_store: OpenStore, ledger_path: Path) -> None:
    """The ledger knows which traces wait; the next append of any trace is followed by their judgement."""
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", VICTIM, str(ledger_path)], check=True, cwd=root, env={"PYTHONPATH": str(root)}
    )
    store = open_store()
    agents = "SELECT count(*), count(agent) FROM calls WHERE trace_id = lpad('1', 32, '0')"
    assert store.read(lambda reader: reader.rows(agents)) == [(LARGE_SPANS, 0)]
    store.append(batch([call(2, 1)]), attribute)
    store.publish()
    assert store.read(lambda reader: reader.rows(agents)) == [(LARGE_SPANS, LARGE_SPANS)]
    assert store.read(lambda reader: reader.rows("SELECT count(*) FROM _ledger.waiting_trace")) == [(0,)]
