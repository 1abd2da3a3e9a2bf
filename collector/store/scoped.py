"""A user's SQL over the rows of one organisation: the public views, each with the rows of the others left out.

Three locks. The statement may name nothing but these views, its own common table expressions, and functions that are
listed: no schema, no catalogue, no setting, no statistics, no function that takes a query as text. The views stand in a
database of their own; the publication is attached under a random name. And each view ends with LIMIT: a predicate of
the user's is never evaluated below it, on a row of somebody else, where an error would tell what it saw.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from collector.store.errors import QueryRefused
from collector.store.statements import identifier, literal
from collector.store.views import NAMES

_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat", "json_each", "json_tree"})
_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_REFERENCES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF"}
)
_DETAILS = re.compile(r"[A-Z_]+_(MODIFIER|TYPE_INFO)|ASCENDING|DESCENDING|ORDER_DEFAULT|INVALID")
_SHOWN = frozenset({"DESCRIBE", "SUMMARY"})
_CTE_NAME = re.compile(r"(?!duckdb_|pragma_|pg_|sqlite_|information_schema)[a-z_][a-z0-9_]*", re.IGNORECASE)
"""Out of its scope the name of a CTE is looked for elsewhere: it must not be one of the system's, nor a file's."""

_BARRIER = "LIMIT 9223372036854775807"

_OWN_ROWS = "SELECT * FROM {ledger}.main.{view} WHERE org_id = {org} {barrier}"
_OTHERS = {
    "price_runs": "SELECT * FROM {ledger}.main.price_runs WHERE organizations = {org} {barrier}",
    "prices": "SELECT * FROM {ledger}.main.prices "
    "WHERE card IN (SELECT card FROM {ledger}.main.calls WHERE org_id = {org}) {barrier}",
    "publication": "SELECT published_at, last_commit_at, schema_version FROM {ledger}.main.publication",
}
"""Views without an organisation, as it may see them: runs that chose nobody else's calls, prices of its own calls."""


def admit_scoped(parsed: Any) -> frozenset[str]:
    """The views that a parsed statement names, all of which it may. Raises QueryRefused."""
    parts = list(_dicts(parsed))
    own = {str(name).lower() for part in parts for name in _cte_names(part)}
    for name in own:
        if not _CTE_NAME.fullmatch(name):
            raise QueryRefused(f"a common table expression cannot be called {name}")
    named: set[str] = set()
    for part in parts:
        kind = part.get("type")
        if isinstance(kind, str) and "class" not in part:
            named.update(_reference(kind, part, own))
        if part.get("class") in ("FUNCTION", "WINDOW"):
            _check_function(part)
    return frozenset(named)


def attach(connection: Any, path: str) -> str:
    """Attach the publication at `path` to an empty database; returns the name it got. Settings can be locked then."""
    ledger = f'"{secrets.token_hex(16)}"'
    connection.execute(f"ATTACH {literal(path)} AS {ledger} (READ_ONLY)")
    connection.execute("SET preserve_insertion_order = false")  # else LIMIT takes one row after the other
    connection.execute("SET python_enable_replacements = false")
    return ledger


def make_views(connection: Any, ledger: str, org: str, views: frozenset[str]) -> None:
    """The views of an organisation, over what is attached as `ledger`."""
    for view in sorted(views):
        select = _OTHERS.get(view, _OWN_ROWS).format(
            ledger=ledger, view=identifier(view), org=literal(org), barrier=_BARRIER
        )
        connection.execute(f"CREATE VIEW {identifier(view)} AS {select}")


def without_names(message: str, ledger: str, path: str) -> str:
    """An error's text without the names that nobody outside needs."""
    return message.replace(ledger.strip('"'), "ledger").replace(path, "ledger")


def _reference(kind: str, part: dict[str, Any], own: set[str]) -> list[str]:
    """The views that one reference names. Raises QueryRefused."""
    if kind == "BASE_TABLE":
        return _table(part, own)
    if kind == "TABLE_FUNCTION":
        name = str(part["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise QueryRefused(f"{name}() is not available here: only the views are")
    elif kind == "SHOW_REF":
        if part.get("show_type") not in _SHOWN or not part.get("query"):
            raise QueryRefused(f"that is not available here; the views are {', '.join(NAMES)}")
    elif kind not in _NODES and kind not in _REFERENCES and not _DETAILS.fullmatch(kind):
        raise QueryRefused(f"{kind.lower()} is not available here")
    return []


def _table(part: dict[str, Any], own: set[str]) -> list[str]:
    path = part.get("qualified_name", {}).get("path") or [part.get("table_name", "")]
    name = str(part.get("table_name", "")).lower()
    if part.get("schema_name") or part.get("catalog_name") or len(path) != 1 or str(path[0]).lower() != name:
        raise QueryRefused("name views without a schema")
    if name in NAMES:
        return [name]
    if name not in own:
        raise QueryRefused(f"there is no view {name} here; the views are {', '.join(NAMES)}")
    return []


def _check_function(part: dict[str, Any]) -> None:
    name = str(part.get("function_name", ""))
    if name.lower() not in _functions() and name.lower() not in _TABLE_FUNCTIONS:
        raise QueryRefused(f"{name}() is not available here")


@cache
def _functions() -> frozenset[str]:
    """What may be called: functions of their arguments alone, which take no query as text."""
    text = files("collector.store").joinpath("sql", "scoped_functions.txt").read_text(encoding="utf-8")
    return frozenset(line.lower() for line in text.splitlines())


def _cte_names(part: dict[str, Any]) -> list[object]:
    listed = part.get("cte_map")
    found = [item.get("key") for item in listed.get("map", [])] if isinstance(listed, dict) else []
    return [*found, *(part[key] for key in ("cte_name", "ctename") if part.get(key))]


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
