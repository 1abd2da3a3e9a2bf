"""The one door to the ledger: every statement of a question runs here, and sees only what its selection may see.

A statement (`sql/NAME.sql`) names no public view. It reads relations that are put before it here, already cut down to
the selection's organisation: `facts` (calls of the window that pass all filters, as what is summed), `before` (the same
of the period before), `ran` (the runs of those calls), `details` and `chosen` (more of the calls), and `org_attempts`,
`org_spans` (whatever their time). Nothing else in this package calls an `Ask`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from collector.questions import buckets
from collector.questions.measures import Measures
from collector.questions.selection import COLUMNS, TIMES, Ask, Filter, Selection, Window
from otel_cost.attributes import OTEL_COST_TAG_PREFIX

ATTRIBUTE = "attr."
"""Before the key of an attribute, where a name of our own would else be meant."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON = datetime(2100, 1, 1, tzinfo=UTC)
"""Until then clocks are known to be changed. Later: each statement about local days gets longer."""
_KNOWN = (*COLUMNS, "card", "rate_row")
_SECONDS = "(epoch_ns(calls.start_time) // 1000000000)"
_CACHE_HIT_FLAG = 1 << 12
_STATUS = {
    "ok": "NOT calls.failed",
    "error": "calls.failed",
    "retry": "calls.attempt > 1",
    "wasted": "calls.wasted",
    "cached": f"(coalesce(calls.cache_read_tokens, 0) > 0 OR (calls.flags & {_CACHE_HIT_FLAG}) <> 0)",
}
_OF_AN_ORGANISATION = ("attempts", "spans")


@cache
def statement(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return files("collector.questions").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def measures_sql() -> str:
    """The sums of `Measures` over `facts`, as columns; executions do not add up and are counted apart."""
    return statement("measures").rstrip()


def measures_of(line: Mapping[str, Any]) -> Measures:
    """One line of such columns."""
    return Measures(**{field.name: line[field.name] for field in fields(Measures)})


class Rolled(Protocol):
    """Sums of calls per day of one zone, kept by whoever runs the statements: an `Ask` may have some as `rolled`."""

    zone: ZoneInfo
    last: datetime | None
    """When the last call in the sums started, or a moment later (UTC); None: there is none."""

    def covered(self, since: datetime | None, until: datetime | None) -> str | None:
        """Calls that are in the sums, all of such a window among them: a relation like the view `calls`. None: none."""
        ...

    def uncovered(self, since: datetime | None, until: datetime | None) -> str | None:
        """The same of all other calls."""
        ...

    def sums(self, names: frozenset[str]) -> str | None:
        """A relation with org_id, day (the number of `buckets`), these names, and what `sql/facts.sql` sums.

        Without names it has `hour` too. None: there are none that tell these names apart.
        """
        ...

    def runs(self, names: frozenset[str]) -> str | None:
        """The same with the runs of each day in the place of sums: `execution`, as in `sql/ran.sql`."""
        ...

    def longest(self, names: frozenset[str]) -> str | None:
        """The same with calls, as in `sql/lengths.sql`: of each day `LONGEST`, or all that there are."""
        ...


class _Whole(NamedTuple):
    """Which sums help: of which whole hours or days of the window; None: of an open end."""

    relation: str
    unit: str
    first: int | None
    end: int | None


class Scope:
    """Runs statements over one selection; its window may be narrowed, its organisation never changes."""

    def __init__(self, ask: Ask, selection: Selection) -> None:
        self._ask = ask
        self.selection = selection
        self._instants: tuple[datetime, datetime] | None = None

    def within(self, since: datetime | None, until: datetime | None) -> Scope:
        """The same calls in another window."""
        window = Window(since, until, self.selection.window.zone)
        return Scope(self._ask, replace(self.selection, window=window))

    def having(self, *filters: Filter) -> Scope:
        """Those of the calls that pass more filters."""
        return Scope(self._ask, replace(self.selection, filters=(*self.selection.filters, *filters)))

    def rows(
        self,
        name: str,
        parameters: Mapping[str, object] | None = None,
        *,
        keys: Sequence[str] = (),
        bucket: str | None = None,
        **parts: str,
    ) -> list[dict[str, Any]]:
        """The rows of `table`."""
        rows: list[dict[str, Any]] = self.table(name, parameters, keys=keys, bucket=bucket, **parts).to_pylist()
        return rows

    def table(
        self,
        name: str,
        parameters: Mapping[str, object] | None = None,
        *,
        keys: Sequence[str] = (),
        bucket: str | None = None,
        **parts: str,
    ) -> pa.Table:
        """The result of `sql/NAME.sql`, filled with `parts`.

        `facts` get the columns `key_0`, `key_1`, ... of `keys` (names, `TIMES`, or attributes) and `bucket` (of
        `TIMES`), the number of `collector.questions.buckets`.
        """
        body = statement(name).format(**parts)
        given: dict[str, object] = dict(parameters or {})
        sources = self._sources(body, keys, bucket, given)
        text = ",\n".join(f"{source} AS NOT MATERIALIZED (\n{query}\n)" for source, query in sources.items())
        return self._ask(_behind(text, body), given)

    def total(self, *, executions: bool = False) -> Measures:
        """Sums over all chosen calls."""
        found = measures_of(self.rows("total", measures=measures_sql())[0])
        return replace(found, executions=self.executions()) if executions else found

    def executions(self) -> int:
        """Distinct runs of the chosen calls."""
        return int(self.rows("execution_count")[0]["executions"])

    def executions_by(self, keys: Sequence[str]) -> dict[tuple[Any, ...], int]:
        """The same per value of some names."""
        names = [f"key_{at}" for at in range(len(keys))]
        lines = self.rows("executions", keys=keys, named=", ".join(names))
        return {tuple(line[name] for name in names): line["executions"] for line in lines}

    def seqs(self, given: dict[str, object]) -> str:
        """A statement that finds the numbers (`seq`) of the chosen calls, for others to build upon.

        `given` gets its parameters, named `org_id`, `where_...` and `chosen_...`.
        """
        return self._calls("seqs", "", given, "chosen_")

    def instants(self) -> tuple[datetime, datetime] | None:
        """The window without open ends: they are those of the calls. None: it is open and there are no calls."""
        window = self.selection.window
        if window.since and window.until:
            return window.since, window.until
        if self._instants is None:
            found = self.rows("extent")[0]
            if found["first_ns"] is None:
                return None
            first, last = (_EPOCH + timedelta(microseconds=found[end] // 1_000) for end in ("first_ns", "last_ns"))
            since = window.since or first
            self._instants = since, max(since, window.until or last + timedelta(microseconds=1))
        return self._instants

    def earlier(self) -> Scope:
        """The period before, as long as the window. Of an open window that of before its first call: nothing."""
        since, until = self.instants() or (_EPOCH, _EPOCH)
        return self.within(since - (until - since), since)

    def _sources(self, body: str, keys: Sequence[str], bucket: str | None, given: dict[str, object]) -> dict[str, str]:
        """The relations that a statement names."""
        sources = {}
        if _reads(body, "facts"):
            sources["facts"] = self._facts("facts", keys, bucket, given, "")
        if _reads(body, "before"):
            sources["before"] = self.earlier()._facts("facts", keys, None, given, "before_")
        for kind in ("ran", "lengths"):
            if _reads(body, kind):
                sources[kind] = self._facts(kind, keys, bucket, given, "")
        if _reads(body, "details"):
            columns = self._columns(keys, bucket, given)
            sources["details"] = self._calls("facts", f"{columns}\n    {statement('detail_columns')}", given)
        if _reads(body, "chosen"):
            sources["chosen"] = self._calls("chosen", self._columns(keys, bucket, given), given)
        for view in _OF_AN_ORGANISATION:
            if _reads(body, f"org_{view}"):
                sources[f"org_{view}"] = f"SELECT * FROM {view} WHERE {self._organisation(view, given)}"
        return sources

    def _organisation(self, view: str, given: dict[str, object]) -> str:
        if self.selection.org_id is None:
            return "TRUE"
        given["org_id"] = self.selection.org_id
        return f"{view}.org_id = $org_id"

    def _columns(self, keys: Sequence[str], bucket: str | None, given: dict[str, object]) -> str:
        columns = [f"{self._expression(key, f'key_{at}', given)} AS key_{at}," for at, key in enumerate(keys)]
        if bucket:
            columns.append(f"{self._bucket(bucket)} AS bucket,")
        return "\n    ".join(columns)

    def _facts(self, kind: str, keys: Sequence[str], bucket: str | None, given: dict[str, object], prefix: str) -> str:
        """`facts`, `ran` or `lengths`, from calls; or from sums of whole days or hours, and calls of the rest."""
        columns = self._columns(keys, bucket, given)
        rolled: Rolled | None = getattr(self._ask, "rolled", None)
        whole = None if rolled is None else self._whole(rolled, kind, keys, bucket)
        if rolled is None or whole is None:
            return self._calls(kind, columns, given, prefix)
        parts = [self._sums(whole, keys, bucket, given)]
        if rest := self._rest(rolled, whole, given, prefix):
            filters = [self._condition(one, f"where_{at}", given) for at, one in enumerate(self.selection.filters)]
            where = "\n    AND ".join(filters or ["TRUE"])
            calls = "(\n" + "\nUNION ALL\n".join(rest) + "\n)"
            parts.append(statement(kind).format(names=columns, calls=calls, spans="", where=where))
        return "\nUNION ALL BY NAME\n".join(parts)

    def _rest(self, rolled: Rolled, whole: _Whole, given: dict[str, object], prefix: str) -> list[str]:
        """The calls of the window that are not in these sums."""
        window = self.selection.window
        some = [(rolled.uncovered, self, prefix)]
        if window.since is not None and whole.first is not None:
            begin = buckets.start(whole.unit, whole.first, rolled.zone)
            head = self.within(window.since, min(begin, window.until or begin))
            some.append((rolled.covered, head, f"{prefix}head_"))
        if window.until is not None and whole.end is not None:
            tail = self.within(buckets.start(whole.unit, whole.end, rolled.zone), window.until)
            some.append((rolled.covered, tail, f"{prefix}tail_"))
        found = []
        for kept, scope, name in some:
            ends = scope.selection.window
            if scope.is_some() and (relation := kept(ends.since, ends.until)) is not None:
                found.append(f"SELECT calls.* FROM {relation} AS calls WHERE {scope._window('calls', given, name)}")
        return found

    def is_some(self) -> bool:
        """Whether there is any time in the window."""
        window = self.selection.window
        return window.since is None or window.until is None or window.since < window.until

    def _whole(self, rolled: Rolled, kind: str, keys: Sequence[str], bucket: str | None) -> _Whole | None:
        """The sums that help, if any do."""
        names = frozenset(name for name in (*keys, *(one.key for one in self.selection.filters)) if name not in TIMES)
        unit = buckets.HOUR if kind == "facts" and not names else buckets.DAY
        times = {key for key in (*keys, bucket) if key in TIMES}
        is_too_fine = buckets.HOUR in times and unit != buckets.HOUR
        if self.selection.as_billed or is_too_fine or (times and rolled.zone.key != self.selection.window.zone.key):
            return None
        ends = self._whole_units(rolled, unit)
        kept = {"facts": rolled.sums, "ran": rolled.runs, "lengths": rolled.longest}[kind]
        relation = None if ends is None else kept(names)
        return None if ends is None or relation is None else _Whole(relation, unit, *ends)

    def _whole_units(self, rolled: Rolled, unit: str) -> tuple[int | None, int | None] | None:
        """First day or hour that is whole in the window, and the one after the last; None of an open end.

        None at all: there is none.
        """
        window = self.selection.window
        first = end = None
        if window.since is not None:
            first = buckets.number(unit, window.since, rolled.zone)
            if buckets.start(unit, first, rolled.zone) < window.since:
                first = buckets.after(unit, first, rolled.zone)
        if window.until is not None and rolled.last is not None and window.until <= rolled.last:
            end = buckets.number(unit, window.until, rolled.zone)
        return None if first is not None and end is not None and first >= end else (first, end)

    def _sums(self, whole: _Whole, keys: Sequence[str], bucket: str | None, given: dict[str, object]) -> str:
        """What the whole days or hours of the window add to facts."""

        def time(name: str) -> str:
            return "calls.hour" if name == buckets.HOUR else buckets.sql_of_day(name, "calls.day")

        columns = [
            f"{time(key) if key in TIMES else self._expression(key, '', given)} AS key_{at},"
            for at, key in enumerate(keys)
        ]
        if bucket:
            columns.append(f"{time(bucket)} AS bucket,")
        where = [self._organisation("calls", given)]
        ends = ((">=", whole.first), ("<", whole.end))
        where += [f"calls.{whole.unit} {operator} {number}" for operator, number in ends if number is not None]
        where += [self._condition(one, f"where_{at}", given) for at, one in enumerate(self.selection.filters)]
        return statement("rolled").format(
            names="\n    ".join(columns),
            times="day, hour" if whole.unit == buckets.HOUR else "day",
            sums=whole.relation,
            where="\n    AND ".join(where),
        )

    def _calls(self, name: str, columns: str, given: dict[str, object], prefix: str = "") -> str:
        where = self._where("calls", given, prefix)
        joined = "spans." in columns + where
        return statement(name).format(
            names=columns,
            calls="calls_as_billed" if self.selection.as_billed else "calls",
            spans=f"JOIN spans ON spans.seq = calls.seq AND {self._window('spans', given, prefix)}" if joined else "",
            where=where,
        )

    def _window(self, view: str, given: dict[str, object], prefix: str) -> str:
        window = self.selection.window
        conditions = [self._organisation(view, given)]
        for end, operator, instant in (("since", ">=", window.since), ("until", "<", window.until)):
            if instant is not None:
                given[prefix + end] = instant.astimezone(UTC).replace(tzinfo=None).isoformat()
                conditions.append(f"{view}.start_time {operator} CAST(${prefix}{end} AS TIMESTAMP_NS)")
        return "\n    AND ".join(conditions)

    def _where(self, view: str, given: dict[str, object], prefix: str) -> str:
        filters = (self._condition(one, f"where_{at}", given) for at, one in enumerate(self.selection.filters))
        return "\n    AND ".join([self._window(view, given, prefix), *filters])

    def _condition(self, one: Filter, name: str, given: dict[str, object]) -> str:
        if one.key == "status":
            return f"({' OR '.join(_STATUS[value] for value in one.values if value is not None) or 'FALSE'})"
        expression = "calls.trace_id" if one.key == "trace_id" else self._expression(one.key, name, given)
        wanted = [value for value in one.values if value is not None]
        tests = []
        if wanted:
            names = [f"{name}_{at}" for at in range(len(wanted))]
            given.update(zip(names, wanted, strict=True))
            listed = ", ".join(f"${one}" for one in names)
            tests.append(f"{expression} IN ({listed})" if len(wanted) > 1 else f"{expression} = {listed}")
        if None in one.values:
            tests.append(f"{expression} IS NULL")
        return f"({' OR '.join(tests) or 'FALSE'})"

    def _expression(self, key: str, name: str, given: dict[str, object]) -> str:
        """The SQL of one name; the key of an attribute travels as a parameter."""
        if key in _KNOWN:
            return f'calls."{key}"'
        if key in TIMES:
            return self._bucket(key)
        attribute = key.removeprefix(ATTRIBUTE)
        given[name] = _json_path(attribute)
        given[f"{name}_tag"] = _json_path(OTEL_COST_TAG_PREFIX + attribute)
        return statement("attribute").format(name=name)

    def _bucket(self, bucket: str) -> str:
        window = self.selection.window
        ends = (window.since or _EPOCH, window.until or max(_HORIZON, window.since or _EPOCH))
        first, last = ((instant - _EPOCH) // timedelta(seconds=1) for instant in ends)
        return buckets.sql(bucket, _SECONDS, buckets.pieces(self.selection.window.zone, first, last))


def _reads(body: str, relation: str) -> bool:
    return re.search(rf"\b(?:FROM|JOIN)\s+{relation}\b", body) is not None


def _behind(sources: str, body: str) -> str:
    """`body` behind the relations that it reads; it may begin with some of its own."""
    text = re.sub(r"^(?:--[^\n]*\n)+", "", body)
    if not sources:
        return text
    own = text.removeprefix("WITH ")
    return f"WITH {sources}{', ' if own != text else ' '}{own}"


def _json_path(key: str) -> str:
    """A pointer (RFC 6901): DuckDB's own paths have no way to name a key `*`."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
