"""The version of the ledger's tables: created, checked, migrated.

A migration runs on a copy-backed file: the ledger is copied before the first step and checkpointed after each one,
because a log that holds schema changes may not replay after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from collector.store import migrate_v1, views
from collector.store.errors import SchemaTooNew
from collector.store.layout import Layout
from collector.store.statements import statement
from otel_cost import __version__

VERSION = 4

_FIRST_DDL = 2
"""The oldest version whose tables later versions only add to."""


def _create(connection: Any, version: int) -> None:
    connection.execute(statement("ddl", f"v{version}"))


MIGRATIONS: dict[int, Callable[[Any, Layout], None]] = {
    2: migrate_v1.migrate,
    3: lambda connection, _: _create(connection, 3),
    4: lambda connection, _: _create(connection, 4),
}
"""Version -> the step that leads to it from the version before."""


def apply(connection: Any, layout: Layout) -> None:
    """Bring an open ledger to `VERSION`. Raises `SchemaTooNew`, having touched nothing, if it is beyond it."""
    found = version_of(connection)
    if found > VERSION:
        raise SchemaTooNew(
            f"{layout.ledger}: has schema version {found}, this program ({__version__}) understands up to {VERSION}. "
            "Use the newer program; the ledger was not touched."
        )
    if found == 0:
        _step(connection, VERSION, _create_all)
    elif found < VERSION:
        _back_up(connection, layout, found)
        for version in range(found + 1, VERSION + 1):
            _step(connection, version, _migration(version, layout))
    _create_views(connection)


def _create_all(connection: Any) -> None:
    for version in range(_FIRST_DDL, VERSION + 1):
        _create(connection, version)


def _migration(version: int, layout: Layout) -> Callable[[Any], None]:
    return lambda connection: MIGRATIONS[version](connection, layout)


def _create_views(connection: Any) -> None:
    """Anew when this program's views are not the ones in the file."""
    wanted = views.digest()
    if connection.execute("SELECT digest FROM _ledger.view_digest").fetchall() == [(wanted,)]:
        return
    connection.begin()
    try:
        views.create(connection)
        connection.execute("DELETE FROM _ledger.view_digest")
        connection.execute("INSERT INTO _ledger.view_digest VALUES (?)", [wanted])
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    connection.execute("CHECKPOINT")


def version_of(connection: Any) -> int:
    """0 for an empty file."""
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = '_ledger'"
    if ("schema_version",) not in connection.execute(tables).fetchall():
        return 0
    return int(connection.execute("SELECT max(version) FROM _ledger.schema_version").fetchall()[0][0])


def _step(connection: Any, version: int, migrate: Callable[[Any], None]) -> None:
    connection.begin()
    try:
        migrate(connection)
        now = datetime.now(UTC).replace(tzinfo=None)
        connection.execute("INSERT INTO _ledger.schema_version VALUES (?, ?, ?)", [version, now, __version__])
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    connection.execute("CHECKPOINT")


def _back_up(connection: Any, layout: Layout, found: int) -> None:
    """A consistent copy made by DuckDB itself: Python must not open the live file (`collector.store.layout`)."""
    layout.backups.mkdir(exist_ok=True)
    target = layout.backups / f"v{found}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.duckdb"
    source = connection.execute("SELECT current_database()").fetchall()[0][0]
    connection.execute(f"ATTACH '{str(target).replace(chr(39), chr(39) * 2)}' AS backup (STORAGE_VERSION 'v1.5.0')")
    try:
        connection.execute(f'COPY FROM DATABASE "{source}" TO backup')
    finally:
        connection.execute("DETACH backup")
