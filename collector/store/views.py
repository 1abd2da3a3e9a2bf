"""The public SQL surface (docs/sql.md): the same views in the ledger and in its publication."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from collector.store.statements import statement

ROLLUPS = {
    "runs": "run",
    "agents": "agent",
    "providers": "provider",
    "models": "provider, model",
    "customers": "customer",
    "features": "feature",
    "teams": "team",
    "users": '"user"',
    "projects": "project",
    "environments": "environment",
    "conversations": "conversation",
    "services": "service_name",
    "daily": "day",
}
"""View -> what it groups calls by, beside the organisation. A key that is unknown is NULL and has a row too."""

_COMPUTED = {"day": "CAST(start_time AS DATE)"}

_DETAIL = ("spans", "attempts", "calls")
_OTHERS = ("unpriced", "prices", "budgets", "budget_events")
_PUBLICATION = "publication"

NAMES = (*_DETAIL, *ROLLUPS, *_OTHERS, _PUBLICATION)
"""Every public view, in the order of creation."""


def create(connection: Any, *, publication: bool = True) -> None:
    """Create or replace the views over the tables of schema `_ledger`."""
    for name in _DETAIL:
        connection.execute(statement("views", name))
    for name, keys in ROLLUPS.items():
        connection.execute(_rollup(name, keys))
    for name in _OTHERS:
        connection.execute(statement("views", name))
    if publication:
        connection.execute(statement("views", _PUBLICATION))


def digest() -> str:
    """Changes whenever a view's text does."""
    texts = [statement("views", name) for name in (*_DETAIL, *_OTHERS, _PUBLICATION, "rollup")]
    return sha256("\n".join([*texts, repr(ROLLUPS)]).encode()).hexdigest()


def _rollup(view: str, keys: str) -> str:
    computed = _COMPUTED.get(keys)
    select = f"{computed} AS {keys}" if computed else keys
    return statement("views", "rollup").format(view=view, select=select, group=computed or keys)
