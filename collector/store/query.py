"""Our own questions to a ledger, from outside the collector: always to the published file, never to the live one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from collector.store.errors import QueryFailed
from collector.store.fresh import bring_up_to_date

Parameters = Mapping[str, object] | Sequence[object]


def query_published(path: Path, sql: str, parameters: Parameters = ()) -> pa.Table:
    """The result of one of our own queries over the published file. Never a user's: nothing is confined here.

    Publishes first when no collector runs and the ledger is ahead of its publication, as after a crash.
    Raises NotPublished if there is no ledger, QueryFailed with DuckDB's message, StartupError if the ledger cannot be
    opened for that publication.
    """
    bring_up_to_date(path)
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            listed = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
            return connection.sql(sql, params=listed).to_arrow_table()
    except duckdb.Error as error:
        raise QueryFailed(f"{path}: {error}") from error
