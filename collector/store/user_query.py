"""A user's SQL over a ledger, run in a process of its own (`collector.store.sandbox`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from collector.errors import QueryTimedOut
from collector.store import sandbox
from collector.store.errors import QueryFailed, QueryRefused
from collector.store.fresh import bring_up_to_date

_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
_GRACE_SECONDS = 10.0
"""Starting the process and sending the answer, beside the query's own time."""


@dataclass(frozen=True, slots=True)
class UserQuery:
    """A statement and what it may take."""

    sql: str
    timeout_seconds: float = 30.0
    memory_limit_mib: int = 1024
    org: str | None = None  # whose rows it sees, and nothing of others'; None: all
    max_rows: int | None = None  # of the result; None: all


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, and up to where the data behind it goes."""

    table: pa.Table
    published_at: datetime  # UTC
    last_seq: int
    spans: int
    collector_runs: bool


def ask(path: Path, query: UserQuery) -> Answer:
    """Run `query` over the publication at `path`; publish first when no collector runs and the ledger is ahead.

    Raises NotPublished, QueryRefused (not one reading statement), QueryFailed (wrong SQL, memory or, as
    QueryTimedOut, time is up),
    StartupError (the ledger cannot be opened for publishing).
    """
    collector_runs = bring_up_to_date(path)
    request = {
        "path": str(path.absolute()),
        "sql": query.sql,
        "timeout_seconds": query.timeout_seconds,
        "memory_limit_mib": query.memory_limit_mib,
        "org": query.org,
        "max_rows": query.max_rows,
    }
    table = _run(json.dumps(request), query.timeout_seconds)
    said = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    published_at = datetime.fromisoformat(said["published_at"]).replace(tzinfo=UTC)
    return Answer(table, published_at, int(said["last_seq"]), int(said["spans"]), collector_runs)


def _run(request: str, timeout_seconds: float) -> pa.Table:
    try:
        done = subprocess.run(
            [sys.executable, "-m", sandbox.__name__],
            input=request.encode(),
            capture_output=True,
            timeout=timeout_seconds + _GRACE_SECONDS,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise QueryTimedOut(f"stopped after {timeout_seconds:g} seconds") from error
    reason = done.stderr.decode(errors="replace").strip()
    if done.returncode == sandbox.REFUSED:
        raise QueryRefused(reason)
    if done.returncode == sandbox.TIMED_OUT:
        raise QueryTimedOut(reason)
    if done.returncode != 0:
        raise QueryFailed(reason or f"the query's process ended with {done.returncode}")
    with pa.ipc.open_stream(done.stdout) as stream:
        return stream.read_all()
