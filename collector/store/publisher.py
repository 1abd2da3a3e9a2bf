"""The published file: what users open while the collector has the ledger to itself.

A small DuckDB file with the newest rows in it and views over sealed Parquet segments for the rest, so that a refresh
costs what changed and not the history. It is built beside its place, synced, and renamed over the old one: a reader
has the old file or the new one, whole. It is built in a DuckDB instance of its own, so that a full disk here cannot
kill the instance that ingests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from collector.store import segments, views
from collector.store.config import StoreConfig
from collector.store.database import STORAGE_VERSION
from collector.store.layout import Layout
from collector.store.segments import Extent, Segment
from collector.store.statements import query, registered

Read = Callable[[Callable[[Any], Any]], Any]
"""`Store.read`."""

Write = Callable[[Callable[[Any], None]], None]
"""Runs something on the writer's connection and waits."""

_EXTENTS = {"span_log": "span_extent", "call_log": "call_extent"}


@dataclass(frozen=True, slots=True)
class Content:
    """One consistent state of the ledger, as far as it is copied: Arrow tables by name, and segments by table."""

    hot: dict[str, pa.Table]
    sealed: dict[str, list[Segment]]
    prices: pa.Table | None  # None: as in the template


class Publisher:
    """Writes the published file of one ledger. Not thread-safe; the store calls it under a lock."""

    def __init__(self, layout: Layout, config: StoreConfig) -> None:
        self._layout = layout
        self._config = config
        self._prices_in_template: int | None = None  # None: there is no template yet

    def start(self, connection: Any) -> None:
        """Clear what a crash left behind. In the writer."""
        self._layout.segments.mkdir(parents=True, exist_ok=True)
        for left in self._layout.folder.glob("publishing-*"):
            left.unlink()
        segments.remove_strays(connection, self._layout.segments)

    def publish(self, read: Read, write: Write) -> None:
        """Seal what is worth it, then replace the published file."""
        for source in segments.KEYS:
            self._seal(source, read, write)
        content = read(self._content)
        self._replace(content)
        write(self._forget_retired)

    def _forget_retired(self, connection: Any) -> None:
        segments.forget_retired(connection, self._layout.segments, self._config.segment_grace_seconds)

    def _seal(self, source: str, read: Read, write: Write) -> None:
        def cut(reader: Any) -> list[Segment]:
            present = segments.live(reader, source)
            sealed_to = present[-1].last_key if present else 0
            rows = reader.rows(query(_EXTENTS[source]), [sealed_to, self._config.seal_bytes])
            hot = [Extent(*row) for row in rows]
            retracted = dict(reader.rows(query("retracted_by_segment"))) if source == "call_log" else {}
            as_of = reader.rows("SELECT coalesce(max(batch), 0) FROM _ledger.batch")[0][0]
            raw_bytes = segments.sizes(self._layout.segments)
            wanted = segments.plans(source, present, hot, retracted, raw_bytes, self._config)
            return [segments.write(reader, self._layout.segments, plan, as_of) for plan in wanted]

        for segment in read(cut):
            write(lambda connection, segment=segment: segments.record(connection, segment))  # type: ignore[misc]

    def _content(self, reader: Any) -> Content:
        sealed = {source: segments.live(reader, source) for source in segments.KEYS}
        hot = {}
        for source, key in segments.KEYS.items():
            sealed_to = sealed[source][-1].last_key if sealed[source] else 0
            hot[source] = reader.table(f"SELECT * FROM _ledger.{source} WHERE {key} > ? ORDER BY seq", [sealed_to])
        for name in ("budget", "budget_event"):
            hot[name] = reader.table(f"SELECT * FROM _ledger.{name}")
        hot["call_retraction"] = reader.table(query("relevant_retractions"))
        hot["publication"] = reader.table("SELECT * FROM publication")
        count = reader.rows("SELECT count(*) FROM _ledger.price_row")[0][0]
        same = count == self._prices_in_template
        return Content(hot, sealed, None if same else reader.table("SELECT * FROM _ledger.price_row"))

    def _replace(self, content: Content) -> None:
        partial = self._layout.folder / f"publishing-{os.getpid()}.duckdb"
        _remove(partial)
        try:
            if content.prices is not None:
                self._make_template(content, content.prices)
            shutil.copyfile(self._layout.template, partial)
            self._fill(partial, content)
            segments.sync(partial)
            os.replace(partial, self._layout.published)
            segments.sync(self._layout.published.parent)
        except BaseException:
            _remove(partial)
            raise

    def _make_template(self, content: Content, prices: pa.Table) -> None:
        """Tables of the right types, all views, and the prices: what costs most and changes least."""
        _remove(self._layout.template)
        with _open(self._layout.template) as connection:
            connection.begin()
            connection.execute("CREATE SCHEMA _ledger")
            connection.execute("CREATE TABLE _ledger.sealed_file (file VARCHAR NOT NULL)")
            for name, table in content.hot.items():
                with registered(connection, source=table.slice(0, 0)):
                    connection.execute(f"CREATE TABLE {_target(name)} AS SELECT * FROM source")
            with registered(connection, source=prices):
                connection.execute("CREATE TABLE _ledger.price_row AS SELECT * FROM source")
            for source in segments.KEYS:
                connection.execute(self._joined(source, [], 0))
            views.create(connection, publication=False)
            connection.commit()
        self._prices_in_template = prices.num_rows

    def _fill(self, path: Path, content: Content) -> None:
        with _open(path) as connection:
            connection.begin()
            for name, table in content.hot.items():
                if table.num_rows:
                    with registered(connection, source=table):
                        connection.execute(f"INSERT INTO {_target(name)} SELECT * FROM source")
            for source, present in content.sealed.items():
                if present:
                    files = [str(self._layout.segments / segment.file) for segment in present]
                    with registered(connection, source=pa.table({"file": files})):
                        connection.execute("INSERT INTO _ledger.sealed_file SELECT * FROM source")
                    retractions = content.hot["call_retraction"].num_rows
                    connection.execute(self._joined(source, present, retractions))
            connection.commit()

    def _joined(self, source: str, present: Sequence[Segment], retractions: int) -> str:
        """Hot and sealed rows as one view with the table's own name."""
        view = f"CREATE OR REPLACE VIEW _ledger.{source} AS SELECT * FROM _ledger.hot_{source}"
        if not present:
            return view
        files = ", ".join(_quoted(self._layout.segments / segment.file) for segment in present)
        sealed = f"SELECT * FROM read_parquet([{files}])"
        if source == "call_log" and retractions:
            sealed = (
                f"SELECT sealed.* FROM read_parquet([{files}]) AS sealed "
                "ANTI JOIN _ledger.call_retraction AS retraction "
                "ON retraction.seq = sealed.seq AND retraction.revision = sealed.revision"
            )
        return f"{view} UNION ALL BY NAME {sealed}"


def _open(path: Path) -> Any:
    settings = {"storage_compatibility_version": STORAGE_VERSION, "threads": 1, "memory_limit": "512MiB"}
    return duckdb.connect(str(path), config=settings)


def _target(name: str) -> str:
    if name == "publication":
        return name
    return f"_ledger.hot_{name}" if name in segments.KEYS else f"_ledger.{name}"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
