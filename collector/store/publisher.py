"""The published file: what users open while the collector has the ledger to itself.

A small DuckDB file with views over the same Parquet segments that the ledger has, and copies of what is not in them:
amendments, budgets, prices. No span is copied, so a refresh costs the same whatever arrived; prices and most amendments
stand in a template that it starts from. It is built beside its place, synced, and renamed over the old one: a reader
has the old file or the new one, whole. It is built in a DuckDB instance of its own, so that a full disk here cannot
kill the instance that ingests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from collector.store import billed, manifest, retired, views
from collector.store.amendment_versions import Ints, Versions
from collector.store.config import StoreConfig
from collector.store.database import STORAGE_VERSION
from collector.store.descriptors import require_descriptors
from collector.store.layout import Layout
from collector.store.manifest import Segment
from collector.store.statements import literal, query, registered

Read = Callable[[Callable[[Any], Any]], Any]
"""`Store.read`."""

Write = Callable[[Callable[[Any], None]], None]
"""Runs something on the writer's connection and waits."""

Files = Callable[[], Collection[str]]
"""`Readers.files`."""

PUBLISHED_CHANGED_RESENDS = 10_000
"""Newest spans that came again with other content, in the published file. All are in the ledger; a sender that repeats
everything with new content would make each refresh copy millions."""

PUBLISHED_BUDGET_EVENTS = 10_000
"""The newest, in the published file."""

PUBLISHED_COUNTERS = 20_000
"""Counters in the published file, those of the newest windows. All are in the ledger; each refresh copies these, at
1 us each."""

CHANGED_AMENDMENTS = 5_000
"""Amendments that a refresh removes from, or adds to, those of the template; or an eighth of them, if that is more.
Beyond it the template is made anew with all of them, at 6 us each. Lower: that happens more often. Higher: refreshes in
between copy more."""

_AMENDMENTS = "SELECT * FROM _ledger.amendment"
_SOME_AMENDMENTS = f"{_AMENDMENTS} WHERE seq IN (SELECT unnest(?::BIGINT[]))"
_VERSIONS = "SELECT seq, revision FROM _ledger.amendment"
_COPIED = {
    "price_run": "SELECT * FROM _ledger.price_run",
    "budget": "SELECT * FROM _ledger.budget",
    "budget_event": f"SELECT * FROM _ledger.budget_event ORDER BY happened_at DESC LIMIT {PUBLISHED_BUDGET_EVENTS}",
    "budget_counter": f"{query('published_counters')} LIMIT {PUBLISHED_COUNTERS}",
    "budget_counted": "SELECT * FROM _ledger.budget_counted",
    "budget_approval": "SELECT * FROM _ledger.budget_approval WHERE state = 'approved'",
    "changed_resend": f"SELECT * FROM _ledger.changed_resend ORDER BY seen_at DESC LIMIT {PUBLISHED_CHANGED_RESENDS}",
}
_PUBLICATION = "SELECT * REPLACE (spans - ? AS spans, missing_spans + ? AS missing_spans) FROM publication"
_PRICES = "SELECT * FROM _ledger.price_row"


@dataclass(frozen=True, slots=True)
class Content:
    """One consistent state of the ledger: which segments can be read, and Arrow tables of what is copied by name."""

    segments: Sequence[Segment]
    copied: dict[str, pa.Table]
    publication: pa.Table
    amended: Versions  # all amendments
    amendments: pa.Table  # those that the template has not; all of them for a new one
    outdated: Ints  # seqs of amendments that the template has, and the ledger has no more
    prices: pa.Table | None  # of a new template, which has the types of all others too; None: it stays
    billed: Sequence[Path] = ()  # figures that price runs have replaced
    org_id: str | None = None  # the organisation of all spans; None: there are several, or none


class Publisher:
    """Writes the published file of one ledger. Not thread-safe; the store calls it under a lock."""

    def __init__(self, layout: Layout, config: StoreConfig) -> None:
        self._layout = layout
        self._config = config
        self._prices_in_template: int | None = None  # None: there is no template yet
        self._amended_in_template = Versions()
        self._org_id_in_template: str | None = None
        self._named: frozenset[str] = frozenset()  # files of the current publication
        self._builder: Any = None

    def start(self, connection: Any) -> None:
        """Clear what a crash left behind. In the writer."""
        self._layout.segments.mkdir(parents=True, exist_ok=True)
        for left in self._layout.folder.glob("publishing-*"):
            left.unlink()

    def stop(self) -> None:
        """Give back what publishing keeps open. Publishing again is possible."""
        builder, self._builder = self._builder, None
        if builder is not None:
            builder.close()

    def publish(self, read: Read, write: Write, files_in_use: Files = frozenset) -> None:
        """Replace the published file, then delete the segments that nobody needs any more.

        Raises OSError, duckdb.Error, StoreUnavailable; the published file is as it was then.
        """
        require_descriptors()
        content = read(self._content)
        self._replace(content)
        self._named = frozenset(segment.file for segment in content.segments)

        def forget(connection: Any) -> None:
            retired.forget(connection, self._layout.segments, self._config, self._named | frozenset(files_in_use()))

        write(forget)

    def _content(self, reader: Any) -> Content:
        prices, amendments, *counts = reader.rows(query("published_counts"))[0]
        template = self._amended_in_template
        amended = Versions.of(reader.table(_VERSIONS)) if amendments else Versions()
        added, outdated = amended.without(template), template.without(amended)
        most = max(CHANGED_AMENDMENTS, len(template.seqs) // 8)
        orgs = reader.rows(query("published_orgs"))
        org_id = orgs[0][0] if len(orgs) == 1 else None
        is_same = prices == self._prices_in_template and org_id == self._org_id_in_template
        first = not is_same or len(added) + len(outdated) > most
        return Content(
            reader.segments,
            {name: reader.table(_COPIED[name]) for name, count in zip(_COPIED, counts, strict=True) if count or first},
            reader.table(_PUBLICATION, [reader.missing_spans, reader.missing_spans]),
            amended,
            reader.table(_AMENDMENTS) if first else _some_amendments(reader, added),
            outdated,
            reader.table(_PRICES) if first else None,
            billed.in_force(reader.rows(query("price_run_files")), self._layout),
            org_id,
        )

    def _replace(self, content: Content) -> None:
        partial = self._layout.folder / f"publishing-{os.getpid()}.duckdb"
        _remove(partial)
        try:
            if content.prices is not None:
                self._make_template(content, content.prices)
            shutil.copyfile(self._layout.template, partial)
            with self._attached(partial) as connection:
                self._fill(connection, content)
            manifest.sync(partial)
            os.replace(partial, self._layout.published)
            manifest.sync(self._layout.published.parent)
        except BaseException:
            _remove(partial)
            raise

    def _make_template(self, content: Content, prices: pa.Table) -> None:
        """Tables of the right types, all views, prices and amendments: what costs most and changes least."""
        self._prices_in_template = None
        _remove(self._layout.template)
        whole = {"price_row": prices, "amendment": content.amendments}
        typed = {name: table.slice(0, 0) for name, table in content.copied.items()}
        with self._attached(self._layout.template) as connection:
            connection.execute("CREATE SCHEMA _ledger")
            connection.execute("CREATE TABLE _ledger.segment_file (file VARCHAR NOT NULL)")
            connection.execute("INSERT INTO _ledger.segment_file VALUES (?)", [str(self._layout.empty)])
            connection.execute("INSERT INTO _ledger.segment_file VALUES (?)", [str(self._layout.no_price_run)])
            for name, table in {**typed, **whole}.items():
                with registered(connection, source=table):
                    connection.execute(f"CREATE TABLE _ledger.{name} AS SELECT * FROM source")
            with registered(connection, source=content.publication.slice(0, 0)):
                connection.execute("CREATE TABLE publication AS SELECT * FROM source")
            views.create_sources(connection, [self._layout.empty], [])
            views.create_billed(connection, [self._layout.no_price_run])
            views.create_public(connection, content.org_id)
        self._prices_in_template, self._amended_in_template = prices.num_rows, content.amended
        self._org_id_in_template = content.org_id

    def _fill(self, connection: Any, content: Content) -> None:
        newest_first = content.segments[::-1]
        files = [manifest.path_of(self._layout.segments, segment.file) for segment in newest_first]
        if files:
            amended = has_amendments(newest_first, content.amended.seqs)
            clean = [file for file, some in zip(files, amended, strict=True) if not some]
            views.create_sources(connection, clean, [file for file, some in zip(files, amended, strict=True) if some])
            _insert(connection, "_ledger.segment_file", pa.table({"file": [str(file) for file in files]}))
        if len(content.billed) > 1:
            views.create_billed(connection, content.billed)
            _insert(connection, "_ledger.segment_file", pa.table({"file": [str(path) for path in content.billed[1:]]}))
        if content.prices is None:
            self._amend(connection, content)
        for name, table in content.copied.items():
            _insert(connection, f"_ledger.{name}", table)
        _insert(connection, "publication", content.publication)

    def _amend(self, connection: Any, content: Content) -> None:
        """Bring the template's amendments up to date."""
        if len(content.outdated):
            with registered(connection, source=pa.table({"seq": content.outdated})):
                connection.execute("DELETE FROM _ledger.amendment WHERE seq IN (SELECT seq FROM source)")
        _insert(connection, "_ledger.amendment", content.amendments)

    @contextmanager
    def _attached(self, path: Path) -> Iterator[Any]:
        """One transaction on the file at `path`, which is complete and closed afterwards.

        The instance stays between publications, as starting one costs more than all else; after a failure it does not.
        """
        if self._builder is None:
            require_descriptors()
            self._builder = duckdb.connect(config={"threads": 1, "memory_limit": "256MiB"})
        connection = self._builder
        try:
            connection.execute(f"ATTACH {literal(path)} AS file (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute("USE file")
            connection.begin()
            yield connection
            connection.commit()
            connection.execute("USE memory")
            connection.execute("CHECKPOINT file")
            connection.execute("DETACH file")
        except BaseException:
            self._builder = None
            connection.close()
            raise


def _some_amendments(reader: Any, seqs: Ints) -> pa.Table:
    return reader.table(_SOME_AMENDMENTS, [seqs.tolist()]) if len(seqs) else pa.table({})


def has_amendments(segments: Sequence[Segment], seqs: Ints) -> list[bool]:
    """For each segment, whether some amendment may speak of a row of it. `seqs` are those of all, ascending."""
    first = np.searchsorted(seqs, [segment.first_seq for segment in segments], side="left")
    last = np.searchsorted(seqs, [segment.last_seq for segment in segments], side="right")
    return (last > first).tolist()  # type: ignore[no-any-return]


def _insert(connection: Any, target: str, table: pa.Table) -> None:
    if table.num_rows:
        with registered(connection, source=table):
            connection.execute(f"INSERT INTO {target} SELECT * FROM source")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
