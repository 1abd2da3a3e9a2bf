"""SQL texts of budgets: `sql/NAME.sql`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@cache
def statement(name: str) -> str:
    """The text of one file. Raises FileNotFoundError for a name that does not exist."""
    return files("collector.budgets").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def insert(connection: Any, name: str, added_row: pa.Table) -> None:
    """Run an INSERT of all rows of `added_row`, which DuckDB finds here by that name; if there are none, nothing."""
    if added_row.num_rows:
        connection.execute(statement(name))
