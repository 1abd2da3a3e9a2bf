"""The public SQL surface (docs/sql.md): the same views in the ledger and in its publication.

They stand on three names: `_ledger.span_log`, every row of the live segments, `_ledger.call_log`, the verdicts in
those rows with the amendments in the place of what they amend, and `_ledger.billed`, the figures that price runs have
replaced. A publication names its files; in the ledger the files are those of the variables that each read sets
(`collector.store.sources`), so that a commit need not touch a view.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from collector.questions.scope import statement as question
from collector.store import billed, sources
from collector.store.rows import DERIVED_BITS
from collector.store.statements import listed, literal, statement
from collector.store.whole_attributes import whole_sql

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
_OTHERS = ("calls_as_billed", "price_runs", "unpriced", "changed_resends", "prices", "budgets", "budget_events")
_PUBLICATION = "publication"
_SOURCES = ("span_log", "call_log", "judged", "billed")

NAMES = (*_DETAIL, *ROLLUPS, *_OTHERS, _PUBLICATION)
"""Every public view, in the order of creation."""

_OWN = {name: f'CASE WHEN (derived & {bit}) <> 0 THEN NULL ELSE "{name}" END' for name, bit in DERIVED_BITS.items()}
"""Column -> what the span itself says in it."""

_SAID = {**_OWN, "attributes": whole_sql()}

_PAIR = "xor(hash(calls.{}), hash(hash(calls.{})))"
"""A number for two names, in their order; for NULL too. Grouping by it, not by the names, spares a fifth of the CPU.

Of 64 bits: two of a thousand pairs are taken for one with a probability of three in a hundred trillion.
"""

_AMENDED = "ANTI JOIN _ledger.amendment USING (seq)"
_AMENDMENTS = "SELECT * FROM _ledger.amendment"


def create(connection: Any) -> None:
    """Create or replace all views in the ledger, over whatever segments are live when they are asked."""
    sources.bind(connection, sources.prepare(connection), [])
    connection.execute(statement("views", "span_log").format(files=sources.EXPRESSION))
    parts = [_AMENDMENTS, _judged(sources.EXPRESSION, _AMENDED)]
    connection.execute(statement("views", "call_log").format(parts=_union(parts)))
    connection.execute(statement("views", "billed").format(files=billed.EXPRESSION))
    create_public(connection)
    connection.execute(statement("views", _PUBLICATION))


def create_public(connection: Any, org_id: str | None = None) -> None:
    """Create or replace what users see, except `publication`, over the two names and tables of `_ledger`.

    `org_id`: the organisation of all spans, if there is one only. Views that group by it then need not read it: a
    fifth of the CPU of `agents`, a twentieth of that of `models`.
    """
    for name in _DETAIL:
        connection.execute(statement("views", name).format(**_SAID))
    for name, keys in ROLLUPS.items():
        connection.execute(_rollup(name, keys, org_id))
    for name in _OTHERS:
        connection.execute(_other(name, org_id))


def create_sources(connection: Any, clean: Iterable[Path], amended: Iterable[Path]) -> None:
    """Create or replace the two names over segments without and with amendments; at least one file in all.

    Subtracting amendments costs every row that is read, so only the segments that have some pay for it. Name the newest
    files first: the latest calls are then found in the first of them, and statistics rule out the others.
    """
    clean, amended = list(clean), list(amended)
    connection.execute(statement("views", "span_log").format(files=listed([*amended, *clean])))
    parts = [_AMENDMENTS, _judged(listed(amended), _AMENDED)] if amended else []
    if clean:
        parts.append(_judged(listed(clean), ""))
    connection.execute(statement("views", "call_log").format(parts=_union(parts)))


def calls_of(clean: Iterable[Path], amended: Iterable[Path], ledger: str, *, amendments: bool) -> str:
    """The relation `calls` over some segments, without what amendments speak of, as text for any statement.

    With `amendments` they themselves are added. They are those of the schema `ledger`.
    """
    clean, amended = list(clean), list(amended)
    parts = [_AMENDMENTS] if amendments else []
    parts += [_judged(listed(files), rest) for files, rest in ((amended, _AMENDED), (clean, "")) if files]
    log = _union(parts).replace("_ledger.amendment", f"{ledger}.amendment")
    attempts, calls = (statement("views", name).format(**_SAID).partition(" AS\n")[2] for name in ("attempts", "calls"))
    attempts = attempts.replace("_ledger.call_log", f"(\n{log}\n) AS call_log")
    return f"({calls.replace('FROM attempts', f'FROM ({attempts}) AS attempts')})"


def create_billed(connection: Any, files: Iterable[Path]) -> None:
    """Create or replace the name of the figures that price runs have replaced; the first file is there.

    When another one is not, whoever asks for prices as billed is told so: they are not known.
    """
    files = list(files)
    missing = [file for file in files if not file.is_file()]
    if missing:
        said = f"{missing[0]} is missing: prices as billed are not known"
        connection.execute(statement("views", "billed_missing").format(said=literal(said), files=listed(files[:1])))
    else:
        connection.execute(statement("views", "billed").format(files=listed(files)))


def digest() -> str:
    """Changes whenever a view's text does."""
    texts = [statement("views", name) for name in (*_SOURCES, *_DETAIL, _PUBLICATION, "rollup")]
    texts += map(_other, _OTHERS)
    return sha256("\n".join([*texts, _AMENDED, repr(ROLLUPS), _PAIR, repr(_SAID)]).encode()).hexdigest()


def _other(view: str, org_id: str | None = None) -> str:
    text = statement("views", view)
    if view != "unpriced":
        return text
    return text.format(suggested_override=question("suggested_override"), **_organisation(org_id))


def _rollup(view: str, keys: str, org_id: str | None) -> str:
    computed = _COMPUTED.get(keys)
    select = f"{computed} AS {keys}" if computed else keys
    group = computed or keys
    if len(names := keys.split(", ")) == 2:
        select = ",\n    ".join(f"any_value(calls.{name}) AS {name}" for name in names)
        group = _PAIR.format(*names)
    return statement("views", "rollup").format(view=view, select=select, group=group, **_organisation(org_id))


def _organisation(org_id: str | None) -> dict[str, str]:
    """How a view says the organisation, and what it groups by."""
    if org_id is None:
        return {"org_id": "org_id", "org": "org_id, "}
    return {"org_id": literal(org_id), "org": ""}


def _judged(files: str, amended: str) -> str:
    return statement("views", "judged").format(files=files, amended=amended)


def _union(parts: Iterable[str]) -> str:
    return "\nUNION ALL\n".join(parts)
