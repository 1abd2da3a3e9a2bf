"""What a commit tells the counters of budgets, and how their moves become part of the same transaction.

The store knows no rule: whoever keeps the counters (`BudgetMoves`) is given the calls that count from now on, and those
that do not count any more as they did, and gives back rows for `_ledger.budget_counter` and `_ledger.budget_event`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.store import sources
from collector.store.attribute_values import READ_COLUMNS, attributes_in, with_attributes
from collector.store.attribution import Judged
from collector.store.manifest import Segment
from collector.store.rows import pico_usd, plain_column
from collector.store.statements import fetch, query
from collector.store.swap import in_transaction
from otel_cost.attributes import OTEL_COST_LEASE
from otel_cost.call import DIMENSIONS

_TEXTS = ("provider", "model", *DIMENSIONS)
_LEASE = f'"{OTEL_COST_LEASE}":"'
_LEASE_VALUE = '"' + OTEL_COST_LEASE.replace(".", r"\.") + r'":"(?P<lease_id>[^"\\]*)"'

Ask = Callable[[str, Sequence[object]], pa.Table]
"""SQL and its parameters -> the result."""

Content = Callable[[Any, Sequence[str]], pa.Table]
"""Some stored rows by ascending seq, and columns -> these, with `seq`."""

_READ_SEQS = 500_000
"""Stored spans whose calls are read at once, up to 100 bytes each."""
_READ_WHOLE_SEQS = 50_000
"""The same where attributes are read too, up to a thousand bytes each."""

_LOOKED_AT_BYTES = 256 << 10
"""Of texts looked at together. Lower: more steps in Python. Higher: copies that leave the processor's cache."""

COMPACT_ROWS = 50_000
"""Rows of `_ledger.budget_counter` that come before it is added up, or twice as many as there are counters. Lower: that
is done more often, at 1 us a row. Higher: each start and each publication adds up more."""


class Moved(Protocol):
    """What one transaction does to counters."""

    @property
    def rows(self) -> pa.Table:
        """Of `_ledger.budget_counter`."""

    @property
    def event_rows(self) -> pa.Table:
        """Of `_ledger.budget_event`."""


class BudgetMoves(Protocol):
    """Who keeps the counters. Called in the writer's thread only."""

    @property
    def columns(self) -> frozenset[str] | None:
        """Dimensions, `provider`, `model` and attributes (`otel_cost.call.ATTRIBUTE`) that it needs to know of calls;
        None: nothing is counted."""

    @property
    def hears_leases(self) -> bool:
        """Whether it is to be told of leased calls."""

    def moves(self, moved: pa.Table | None, leased: pa.Table | None) -> Moved | None:
        """What calls do (`moved_calls`, `leased_calls`). Changes nothing. None: nothing."""

    def apply(self, moved: Any) -> None:
        """It is committed."""

    def load(self, counters: pa.Table, counted: pa.Table, events: pa.Table, ask: Ask) -> None:
        """Forget all; this is what the ledger has: rows of the tables `budget_counter` (one a counter),
        `budget_counted` and `budget_event`. `ask`: reads it, in the writer's thread, until the next `load`."""

    def failed(self, error: Exception) -> None:
        """`moves` has raised: its calls are stored and not counted, and nothing is counted any more."""


class Counting:
    """The counters' part in the commits of one ledger. No fault of theirs keeps spans out of it.

    Where nobody keeps the counters that the ledger has, or somebody has failed to, they are not taken for right any
    more from the next commit on.
    """

    def __init__(self) -> None:
        self.keeper: BudgetMoves | None = None
        self._uncounts = False  # the ledger has counters, and what is committed next will not be in them

    def load(self, connection: Any, keeper: BudgetMoves | None) -> None:
        """Have `keeper` read everything that the ledger has of counters, and keep them from now on."""
        self.keeper = keeper
        counted = fetch(connection, query("budget_counted"))
        self._uncounts = keeper is None and counted.num_rows > 0
        if keeper is not None:
            events = fetch(connection, query("budget_events_fired"))
            ask: Ask = lambda sql, parameters: fetch(connection, sql, parameters)  # noqa: E731
            keeper.load(fetch(connection, query("budget_counters")), counted, events, ask)

    def moved(self, judged: Judged, content: Content, *, may_be_leased: bool = True) -> Moved | None:
        """What a batch does to the counters; None: nothing. `may_be_leased`: whether its new spans may name leases."""
        keeper = self.keeper
        if keeper is None:
            return None
        if keeper.columns is not None:  # it counts, perhaps again
            self._uncounts = False
        return self._guarded(lambda: _moved_by(keeper, judged, content, may_be_leased))

    def restated(self, before: Iterable[pa.Table], after: Iterable[pa.Table]) -> Moved | None:
        """What it does to the counters that calls (`stored_calls`) have other figures."""
        keeper = self.keeper
        if keeper is None or keeper.columns is None:
            return None
        columns, self._uncounts = keeper.columns, False
        parts = [*(calls_of(rows, columns, -1) for rows in before), *(calls_of(rows, columns, 1) for rows in after)]
        moved = signed(parts)
        return None if moved is None else self._guarded(lambda: keeper.moves(moved, None))

    @property
    def columns(self) -> frozenset[str] | None:
        """What the counters need to know of calls; None: nothing is counted."""
        return None if self.keeper is None else self.keeper.columns

    def write(self, connection: Any, moved: Moved | None) -> None:
        """Inside the transaction of what has moved them."""
        if self._uncounts:
            connection.execute(query("forget_budget_counted"))
        elif moved is not None:
            add_rows(connection, query("insert_budget_counters"), moved.rows)
            add_rows(connection, query("insert_budget_events"), moved.event_rows)

    def apply(self, moved: Moved | None) -> None:
        """That transaction is committed."""
        self._uncounts = False
        if moved is not None and self.keeper is not None:
            try:
                self.keeper.apply(moved)
            except Exception as error:
                self._fail(error)

    def _guarded(self, work: Callable[[], Moved | None]) -> Moved | None:
        try:
            return work()
        except MemoryError:  # a smaller batch may pass
            raise
        except Exception as error:
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        self._uncounts = True
        if self.keeper is not None:
            self.keeper.failed(error)


def _moved_by(keeper: BudgetMoves, judged: Judged, content: Content, may_be_leased: bool) -> Moved | None:
    moved = None if keeper.columns is None else moved_calls(judged, keeper.columns, content)
    leased = leased_calls(judged.rows) if may_be_leased and keeper.hears_leases else None
    return None if moved is None and leased is None else keeper.moves(moved, leased)


def compact(connection: Any) -> None:
    """Add up the rows of each counter when there are many. One transaction."""
    (rows,) = connection.execute(query("budget_counter_rows")).fetchall()[0]
    if rows < COMPACT_ROWS:
        return
    (distinct,) = connection.execute(query("budget_counters_distinct")).fetchall()[0]
    if rows < 2 * distinct:
        return
    whole = fetch(connection, query("budget_counters"))
    in_transaction(connection, lambda connection: _put_in_place(connection, whole))


def _put_in_place(connection: Any, whole: pa.Table) -> None:
    connection.execute(query("forget_budget_counters_but"), [[]])
    add_rows(connection, query("insert_budget_counters"), whole)


def add_rows(connection: Any, sql: str, added_row: pa.Table) -> None:
    """Run an INSERT of everything in `added_row`, inside a transaction; does nothing if that has no rows.

    DuckDB finds the table here by that name itself, which a small commit notices: to register it takes as long again.
    """
    if added_row.num_rows:
        connection.execute(sql)


def moved_calls(judged: Judged, columns: frozenset[str], content: Content) -> pa.Table | None:
    """Counted calls as the counters read them (`sign` 1), and as they were counted until now (`sign` -1); None: no call
    has moved. Of the dimensions only `columns`."""
    parts: list[pa.Table] = []
    _add(parts, judged.rows, columns, 1)
    if judged.amendments is not None and judged.before is not None:
        now = _with_stored_attributes(judged.amendments, columns, content)
        _add(parts, now, columns, 1)
        _add(parts, _as_they_were(now, judged.before, columns), columns, -1)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else pa.concat_tables([_plain(part) for part in parts])


def _with_stored_attributes(amended: pa.Table, columns: frozenset[str], content: Content) -> pa.Table:
    """Amendments hold no attributes: those of their rows, which never change."""
    names = attributes_in(columns)
    if not names:
        return amended
    seqs = amended.column("seq").to_numpy()
    rows = with_attributes(content(np.unique(seqs), READ_COLUMNS), columns)
    order = np.argsort(rows.column("seq").to_numpy())
    at = pa.array(order[np.searchsorted(rows.column("seq").to_numpy()[order], seqs)])
    for name in names:
        amended = amended.append_column(name, rows.column(name).take(at))
    return amended


def leased_calls(rows: pa.Table) -> pa.Table | None:
    """Of new spans (ROW_SCHEMA) that say under which lease they were made: `lease_id`, `cost_pico_usd`, `tokens`,
    `is_counted`; None: there is none."""
    if not _may_hold(rows.column("attributes"), _LEASE.encode()):
        return None
    is_call = pc.is_valid(rows.column("call_kind"))
    leased = pc.and_(is_call, pc.match_substring(rows.column("attributes"), _LEASE))
    if not pc.any(leased).as_py():
        return None
    names = ["attributes", "cost_usd", "input_tokens", "output_tokens", "counted"]
    some = rows.select(names).filter(leased)
    found = pc.struct_field(pc.extract_regex(some.column("attributes"), _LEASE_VALUE), "lease_id")
    tokens = [pc.fill_null(some.column(name), 0) for name in ("input_tokens", "output_tokens")]
    counted = pc.fill_null(some.column("counted"), False)
    columns = [found, pico_usd(some.column("cost_usd")), pc.add(*tokens), counted]
    return pa.table(columns, names=["lease_id", "cost_pico_usd", "tokens", "is_counted"]).filter(pc.is_valid(found))


def _may_hold(texts: pa.ChunkedArray, wanted: bytes) -> bool:
    """Whether one of `texts` may contain `wanted`; False is certain. Most batches know no lease, and to look through
    their bytes takes a tenth of asking text by text."""
    for chunk in texts.chunks:
        if len(chunk) and (data := chunk.buffers()[-1]) is not None:
            whole = memoryview(data)
            for begin in range(0, len(whole), _LOOKED_AT_BYTES):
                if wanted in bytes(whole[begin : begin + _LOOKED_AT_BYTES + len(wanted) - 1]):
                    return True
    return False


def calls_of(rows: pa.Table, columns: frozenset[str], sign: int) -> pa.Table:
    """Rows of calls, all of them counted, as the counters read them. `rows` has the names of the view `calls`, and for
    attributes what `attribute_column` reads."""
    run = rows.column("run") if "run" in columns else None
    if run is not None and run.null_count and "trace_id" in rows.column_names:
        rows = rows.set_column(
            rows.schema.get_field_index("run"), "run", pc.coalesce(plain_column(run), rows.column("trace_id"))
        )
    rows = with_attributes(rows, columns)
    start = rows.column("start_time")
    told = {
        "org_id": rows.column("org_id"),
        "start_time_ns": start.cast(pa.timestamp("ns")).cast(pa.int64()),
        **{name: rows.column(name) for name in (*_TEXTS, *attributes_in(columns)) if name in columns},
        "cost_pico_usd": pico_usd(rows.column("cost_usd")),
        "cost_status": rows.column("cost_status"),
        "input_tokens": rows.column("input_tokens"),
        "output_tokens": rows.column("output_tokens"),
        "sign": pa.array(np.full(rows.num_rows, sign, np.int64)),
    }
    return pa.table(told)


def needed_of(columns: frozenset[str]) -> list[str]:
    """Columns of the view `calls` that `calls_of` reads, but for attributes."""
    texts = [name for name in _TEXTS if name in columns]
    return ["org_id", "trace_id", "start_time", *texts, "cost_usd", "cost_status", "input_tokens", "output_tokens"]


def selected(source: str, names: Iterable[str], columns: frozenset[str]) -> str:
    """`SELECT ... FROM` a view of calls that gives these columns of it, and what `calls_of` needs for attributes."""
    listed = ", ".join(f'calls."{name}"' for name in names)
    if not attributes_in(columns):
        return f"SELECT {listed} FROM {source} AS calls"
    return (
        f"SELECT {listed}, spans.attributes, spans.resource FROM {source} AS calls JOIN spans ON spans.seq = calls.seq"
    )


def _add(parts: list[pa.Table], rows: pa.Table, columns: frozenset[str], sign: int) -> None:
    counted = rows.column("counted")
    if counted.null_count < len(counted):
        names = [*needed_of(columns)]
        if attributes := attributes_in(columns):
            names += READ_COLUMNS if "attributes" in rows.column_names else attributes
        some = rows.select(list(dict.fromkeys(names))).filter(counted)  # NULL: it is no call
        if some.num_rows:
            parts.append(calls_of(some, columns, sign))


def _as_they_were(now: pa.Table, before: pa.Table, columns: frozenset[str]) -> pa.Table:
    """`now` with what `before` says of the same calls."""
    for name in ("counted", *(name for name in _TEXTS if name in columns)):
        if name in before.column_names:
            now = now.set_column(now.schema.get_field_index(name), name, before.column(name))
    return now


def _plain(table: pa.Table) -> pa.Table:
    return pa.Table.from_arrays([plain_column(column) for column in table.columns], names=table.column_names)


def stored_calls(ask: Ask, segments: Sequence[Segment], columns: frozenset[str]) -> Iterator[pa.Table]:
    """The counted calls of segments that the views read, some at a time: `seq` and what `calls_of` reads."""
    if not segments:
        return
    has_attributes = bool(attributes_in(columns))
    sql = f"{selected('calls', ('seq', *needed_of(columns)), columns)} WHERE calls.seq BETWEEN ? AND ?"
    if has_attributes:  # so that the other side reads no more than it must
        sql += " AND spans.seq BETWEEN ? AND ?"
    step = _READ_WHOLE_SEQS if has_attributes else _READ_SEQS
    last_seq = max(segment.last_seq for segment in segments)
    for first in range(min(segment.first_seq for segment in segments), last_seq + 1, step):
        ends = [first, min(first + step - 1, last_seq)]
        yield ask(sql, ends * 2 if has_attributes else ends)


def calls_in(connection: Any, segments: Sequence[Segment], columns: frozenset[str]) -> Iterator[pa.Table]:
    """`stored_calls` of these segments, on the writer's connection."""
    layout = sources.layout_of(connection)
    readable, _ = sources.split(layout, segments)
    sources.bind(connection, layout, readable)
    return stored_calls(lambda sql, parameters: fetch(connection, sql, parameters), readable, columns)


def signed(parts: Sequence[pa.Table]) -> pa.Table | None:
    """Tables of `calls_of` as one; None: they have no row."""
    some = [_plain(part) for part in parts if part.num_rows]
    return pa.concat_tables(some) if some else None
