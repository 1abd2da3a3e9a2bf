"""Which statements a user may run: one, and one that only reads.

DuckDB's own statement type is not enough: since 2.0 a common table expression may hold INSERT or COPY, and the whole is
still typed SELECT. So the parsed tree is looked at, and every kind of query in it must be known to only read. The
sandbox's settings stand behind this gate, not instead of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from collector.store.errors import QueryFailed, QueryRefused

_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS = frozenset(
    {
        "range",
        "generate_series",
        "unnest",
        "repeat",
        "json_each",
        "json_tree",
        "summary",
        "query_table",
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "pragma_show",
        "pragma_table_info",
        "pragma_version",
        "pg_timezone_names",
    }
)
"""None of these runs SQL from a string, opens a file, or takes a pointer; some that do are always built in."""

_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN(?:\s+ANALYZE)?\b", re.IGNORECASE | re.DOTALL)


def admit(connection: Any, sql: str) -> Any:
    """Judge `sql` on a connection that is locked up already: parsing may touch files too. Returns the parsed tree.

    Raise QueryRefused unless `sql` is one statement that only reads; QueryFailed if it cannot be parsed.
    """
    try:
        statements = connection.extract_statements(sql)
    except duckdb.PermissionException as error:  # 1.5 opens the files of IMPORT DATABASE while it parses
        raise QueryRefused("only queries that read are answered") from error
    except duckdb.Error as error:
        if "CTE needs a SELECT" in str(error):  # how 1.5 says it
            raise QueryRefused("only queries that read are answered") from error
        raise QueryFailed(str(error)) from error
    if not statements:
        raise QueryRefused("there is no statement to run")
    if len(statements) > 1:
        raise QueryRefused(f"one statement at a time, please: {len(statements)} were given (PIVOT counts as several)")
    kind = statements[0].type.name
    explained = _EXPLAIN.match(sql) if kind == "EXPLAIN" else None
    if explained is not None:
        sql = sql[explained.end() :]
    elif kind != "SELECT":
        raise QueryRefused(f"only queries that read are answered, not {kind}")
    (tree,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0]
    parsed = json.loads(tree)
    if parsed.get("error"):
        raise QueryRefused("only queries that read are answered")
    for part in _parts(parsed):
        kind = part["type"]
        if kind.endswith("_NODE") and kind not in _READING_NODES:
            raise QueryRefused(f"only queries that read are answered, not {kind.split('_')[0]}")
        if kind == "TABLE_FUNCTION" and part["function"].get("function_name", "") not in _TABLE_FUNCTIONS:
            raise QueryRefused(f"{part['function'].get('function_name')}() is not available here: only the views are")
    return {**parsed, "explained": explained is not None}


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of the tree that has a type, at any depth."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("type"), str):
                yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
