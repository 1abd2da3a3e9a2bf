"""The process that runs a user's SQL: `python -m collector.store.sandbox`, a request on stdin, Arrow on stdout.

Four locks, each needed: one reading statement (`collector.store.gate`), a file opened read-only, no access to any
other file than the segments of that publication, and settings that cannot be changed. The process itself may
not make any file grow, and ends when its time is up.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
from typing import Any

import duckdb
import pyarrow as pa

from collector.errors import QueryTimedOut
from collector.store.errors import QueryFailed, QueryRefused
from collector.store.gate import admit
from collector.store.scoped import admit_scoped, attach, make_views, without_names

REFUSED, FAILED, TIMED_OUT = 3, 4, 5
"""Exit codes; the reason is on stderr."""

_BEYOND_MEMORY_LIMIT = 1 << 30
"""Python, Arrow and DuckDB's own code and threads, beside what DuckDB counts."""


def main() -> int:
    request = json.load(sys.stdin)
    _confine(request["memory_limit_mib"])
    try:
        table = answer(request)
    except QueryRefused as error:
        return _say(REFUSED, error)
    except QueryTimedOut as error:
        return _say(TIMED_OUT, error)
    except (QueryFailed, duckdb.Error, MemoryError) as error:
        return _say(FAILED, error)
    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)
    return 0


def answer(request: dict[str, Any]) -> pa.Table:
    """The result, with what `publication` says in the metadata of its schema."""
    if request.get("org") is not None:
        return _scoped_answer(request)
    with duckdb.connect(request["path"], read_only=True) as connection:
        _lock_up(connection, request["memory_limit_mib"])
        admit(connection, request["sql"])
        return _run(connection, request, "publication")


def _scoped_answer(request: dict[str, Any]) -> pa.Table:
    """The same over the rows of one organisation: nothing else can be named or reached (`collector.store.scoped`)."""
    ledger = ""
    with duckdb.connect() as connection:
        try:
            ledger = attach(connection, request["path"])
            _lock_up(connection, request["memory_limit_mib"], f"{ledger}.")
            parsed = admit(connection, request["sql"])
            if parsed["explained"]:
                raise QueryRefused("EXPLAIN is not available here")
            make_views(connection, ledger, request["org"], admit_scoped(parsed))
            return _run(connection, request, f"{ledger}.main.publication")
        except QueryTimedOut:
            raise
        except (QueryFailed, duckdb.Error) as error:
            raise QueryFailed(without_names(str(error), ledger, request["path"])) from None


def _run(connection: Any, request: dict[str, Any], publication: str) -> pa.Table:
    published = connection.execute(f"SELECT published_at, last_seq, spans FROM {publication}").fetchall()[0]
    timer = threading.Timer(request["timeout_seconds"], connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        connection.execute("BEGIN TRANSACTION READ ONLY")
        result = connection.sql(request["sql"])
        if result is None:
            raise QueryRefused("only queries that read are answered")
        limit = request.get("max_rows")
        table = (result if limit is None else result.limit(limit)).to_arrow_table()
    except duckdb.InterruptException as error:
        raise QueryTimedOut(f"stopped after {request['timeout_seconds']:g} seconds") from error
    finally:
        timer.cancel()
    keys = ("published_at", "last_seq", "spans")
    return table.replace_schema_metadata(dict(zip(keys, map(str, published), strict=True)))


def _lock_up(connection: Any, memory_limit_mib: int, catalogue: str = "") -> None:
    segments = connection.execute(f"SELECT file FROM {catalogue}_ledger.segment_file").fetchall()
    connection.execute("SET temp_directory = ''")
    connection.execute("SET allowed_paths = ?", [[name for (name,) in segments]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{int(memory_limit_mib)}MiB'")
    connection.execute("SET lock_configuration = true")


def _confine(memory_limit_mib: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data_bytes = (memory_limit_mib << 20) + _BEYOND_MEMORY_LIMIT
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def _say(code: int, error: Exception) -> int:
    sys.stderr.write(str(error))
    return code


if __name__ == "__main__":
    sys.exit(main())
