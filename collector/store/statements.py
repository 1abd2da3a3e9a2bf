"""SQL texts of the package: `sql/{ddl,views,queries}/NAME.sql`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
import pyarrow as pa


@cache
def statement(kind: str, name: str) -> str:
    """The text of one file. Raises FileNotFoundError for a name that does not exist."""
    return files("collector.store").joinpath("sql", kind, f"{name}.sql").read_text(encoding="utf-8")


def query(name: str) -> str:
    return statement("queries", name)


def literal(text: object) -> str:
    """A text, or a path, as SQL writes it: in quotes, those inside doubled."""
    return "'" + str(text).replace("'", "''") + "'"


def listed(texts: Iterable[object]) -> str:
    """Texts, or paths, as a list in SQL."""
    return f"[{', '.join(map(literal, texts))}]"


def identifier(name: str) -> str:
    """The name of a column or a database as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def fetch(connection: Any, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
    """The whole result as Arrow, by the one way that DuckDB 1.5 and 2.0 share. The result is drained."""
    return connection.sql(sql, params=list(parameters)).to_arrow_table()


def execute(connection: Any, sql: str, parameters: Mapping[str, object]) -> pa.Table:
    """The same with named parameters, for small results: planned once instead of twice, and copied."""
    result = connection.execute(sql, dict(parameters))
    if not hasattr(result, "to_arrow_table"):  # DuckDB 1.5
        return result.fetch_arrow_table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return result.to_arrow_table()


@contextmanager
def registered(connection: Any, **tables: pa.Table) -> Iterator[None]:
    """Arrow tables that SQL can name for the time of the block."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    except duckdb.Error:  # the transaction is aborted: nothing can be unregistered in it, a next one replaces them
        raise
    except BaseException:
        _unregister(connection, tables)
        raise
    _unregister(connection, tables)


def _unregister(connection: Any, names: Iterable[str]) -> None:
    for name in names:
        connection.unregister(name)
