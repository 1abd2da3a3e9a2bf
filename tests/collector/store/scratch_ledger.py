"""A ledger made of a manifest and segments alone, for tests of maintenance: no writer thread, no memory of traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from collector.store import manifest
from collector.store.config import StoreConfig
from collector.store.layout import Layout
from collector.store.maintenance import Maintained, maintain
from collector.store.manifest import Segment
from collector.store.rows import ROW_SCHEMA, span_rows
from collector.store.statements import fetch, statement
from tests.collector.store.ledger_rows import batch


class Snapshot:
    """What `Store.read` hands out."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        return fetch(self._connection, sql, parameters)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(parameters)).fetchall()
        return rows


class ScratchLedger:
    """Append, amend and maintain; then ask what the ledger says."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.config = replace(StoreConfig(path), **config)
        self.layout = Layout.of(path)
        self.layout.segments.mkdir(parents=True)
        self.connection = duckdb.connect(str(self.layout.ledger))
        self.connection.execute(statement("ddl", "v2"))
        self.connection.execute("INSERT INTO _ledger.schema_version VALUES (2, now()::TIMESTAMP, 'test')")
        self.swaps: list[tuple[Sequence[Segment], Sequence[Segment]]] = []
        self.batch = self.seq = 0

    def read(self, work: Callable[[Any], Any]) -> Any:
        return work(Snapshot(self.connection.cursor()))

    def write(self, work: Callable[[Any], None]) -> None:
        work(self.connection)

    def append(self, spans: Sequence[Mapping[str, Any]]) -> Segment:
        """One batch, as the writer stores it: every call counted, owned by what it says itself."""
        self.batch += 1
        return self.record(judged(batch(spans), self.seq + 1, self.batch))

    def record(self, rows: pa.Table) -> Segment:
        """A batch of rows of ROW_SCHEMA."""
        segment = manifest.write(self.layout.segments, [rows])
        manifest.record(self.connection, segment)
        now = datetime.now(UTC).replace(tzinfo=None)
        values = [self.batch, self.seq + 1, rows.num_rows, segment.cost_usd, now]
        self.connection.execute("INSERT INTO _ledger.batch VALUES (?, ?, ?, ?, ?, 0)", values)
        self.seq += rows.num_rows
        return segment

    def amend(self, where: str, **changes: str) -> None:
        """A new batch changes the verdict on stored calls: `changes` are columns of the amendment as SQL."""
        self.batch += 1
        names = [row[0] for row in self.connection.execute("DESCRIBE _ledger.amendment").fetchall()]
        sources = {"revision": str(self.batch), **changes}
        picked = ", ".join(f'{sources.get(name, chr(34) + name + chr(34))} AS "{name}"' for name in names)
        before = f"DELETE FROM _ledger.amendment WHERE {where}"
        self.connection.execute(before)
        self.connection.execute(f"INSERT INTO _ledger.amendment SELECT {picked} FROM {self.source} WHERE {where}")
        now = datetime.now(UTC).replace(tzinfo=None)
        self.connection.execute("INSERT INTO _ledger.batch VALUES (?, ?, 0, 0, ?, 0)", [self.batch, self.seq + 1, now])

    def maintain(self) -> Maintained:
        """One piece of work."""
        return maintain(self.read, self.write, self.layout.segments, self.config, self._replaced)

    def settle(self) -> list[str]:
        """All there is to do; what was done."""
        did = []
        while work := self.maintain().did:
            did.append(work)
        return did

    def _replaced(self, old: Sequence[Segment], new: Sequence[Segment]) -> None:
        self.swaps.append((old, new))

    @property
    def live(self) -> list[Segment]:
        return manifest.live(self.connection)

    @property
    def source(self) -> str:
        """The rows of all live segments, for FROM."""
        names = ", ".join("'" + str(self.layout.segments / each.file).replace("'", "''") + "'" for each in self.live)
        return f"read_parquet([{names}], hive_partitioning = false)"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """An answer about `spans`, the rows of all segments."""
        rows: list[tuple[Any, ...]] = self.connection.execute(f"WITH spans AS (FROM {self.source}) {sql}").fetchall()
        return rows

    def rows(self) -> pa.Table:
        """All rows of all segments, in order of seq."""
        return fetch(self.connection, f"FROM {self.source} ORDER BY seq")

    def balance(self) -> tuple[tuple[int, Decimal], tuple[int, Decimal]]:
        """(spans, cost) that the batches promise, and those that rows and expiry say."""
        promised = self.connection.execute("SELECT sum(spans), sum(cost_usd) FROM _ledger.batch").fetchall()[0]
        expired = self.connection.execute(
            "SELECT coalesce(sum(spans), 0), coalesce(sum(cost_usd), 0) FROM _ledger.expiry"
        ).fetchall()[0]
        stored = self.ask("SELECT count(*), coalesce(sum(cost_usd), 0) FROM spans")[0] if self.live else (0, 0)
        return promised, (stored[0] + expired[0], stored[1] + expired[1])


def judged(ledger_rows: pa.Table, first_seq: int, revision: int) -> pa.Table:
    """LEDGER_SCHEMA -> ROW_SCHEMA: every call counted once, first attempt, its own owners."""
    spans = span_rows(ledger_rows, first_seq)
    count = spans.num_rows
    is_call = spans.column("call_kind").is_valid().to_numpy()
    verdict = {
        "revision": pa.array(np.full(count, revision), mask=~is_call),
        "counted": pa.array(np.full(count, True), mask=~is_call),
        "attempt": pa.array(np.full(count, 1, np.int32), mask=~is_call),
        "wasted": pa.array(np.full(count, False), mask=~is_call),
        "derived": pa.array(np.zeros(count, np.int32), mask=~is_call),
    }
    columns = []
    for field in ROW_SCHEMA:
        if field.name in spans.column_names:
            columns.append(spans.column(field.name).cast(field.type))
        else:
            columns.append(verdict.get(field.name, pa.nulls(count, field.type)))
    return pa.table(columns, schema=ROW_SCHEMA)
