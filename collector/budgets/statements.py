"""SQL texts of budgets: `sql/NAME.sql`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of one file. Raises FileNotFoundError for a name that does not exist."""
    return files("collector.budgets").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
