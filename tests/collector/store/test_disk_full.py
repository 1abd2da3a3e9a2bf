"""A disk that is full: refused retryably, nothing lost, nothing twice, and ingest goes on when there is room again.

The kernel's limit on file size stands in for the disk: the same failed writes, at the same places.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITER = """
import resource, sys
from pathlib import Path
from collector.errors import StoreUnavailable
from collector.store import Store, StoreConfig
from tests.collector.store.ledger_rows import attribute, batch, call

store = Store(StoreConfig(Path(sys.argv[1]), checkpoint_wal_bytes=int(sys.argv[2])), lambda text: print(text))
store.start()
batches = {n: batch([call(n, k, attributes='{"x":"%s"}' % (str(n * k) * 50)) for k in range(60)]) for n in range(1, 50)}
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
acknowledged = set()
for number, rows in batches.items():
    if number == 20:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
    try:
        store.append(rows, attribute)
        acknowledged.add(number)
    except StoreUnavailable:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
again = {number: store.append(rows, attribute) for number, rows in batches.items()}
assert 0 < len(acknowledged) < len(batches), acknowledged
assert all(again[number].accepted == 0 for number in acknowledged), again
counts = store.read(lambda reader: reader.rows("SELECT count(*), count(DISTINCT span_id) FROM calls"))
assert counts == [(60 * 49, 60 * 49)], counts
named = store.read(lambda reader: reader.rows("SELECT count(*) FROM _ledger.segment"))[0][0]
assert len(list(store.layout.segments.iterdir())) == named
store.stop()
"""


SEGMENT_BYTES, LOG_BYTES, LEDGER_BYTES = 8_000, 30_000, 800_000
"""Less than a segment of a batch; more than that, and less than the log of all batches; about the ledger's own size."""


@pytest.mark.parametrize(
    ("checkpoint_wal_bytes", "room_bytes"),
    [(1 << 27, SEGMENT_BYTES), (1 << 27, LOG_BYTES), (20_000, LEDGER_BYTES)],
    ids=["segment", "log", "checkpoint"],
)
def test_no_room_for_a_segment_the_log_or_the_checkpoint(
    tmp_path: Path, checkpoint_wal_bytes: int, room_bytes: int
) -> None:
    """No file is left behind. In the checkpoint DuckDB's instance dies with the commit already durable: it is opened
    anew, a retry is known."""
    root = Path(__file__).parents[3]
    arguments = [str(tmp_path / "ledger.duckdb"), str(checkpoint_wal_bytes), str(room_bytes)]
    done = subprocess.run(
        [sys.executable, "-c", WRITER, *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:2000]
    assert ("reopening after" in done.stdout) == (checkpoint_wal_bytes < 1 << 27)
