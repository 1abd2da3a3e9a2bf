"""The one door to the ledger: every statement of a question runs here, and sees only what its selection may see.

A statement (`sql/NAME.sql`) names no public view. It reads relations that are put before it here, already cut down to
the selection's organisation: `facts` (calls of the window that pass all filters, as what is summed), `before` (the same
of the period before), `ran` (the runs of those calls), `details` and `chosen` (more of the calls), and `org_attempts`,
`org_spans` (whatever their time). Nothing else in this package calls an `Ask`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import Any

import pyarrow as pa

from collector.questions import buckets
from collector.questions.measures import Measures
from collector.questions.rolled import BEFORE, DETAILS, FACTS, FILTERED, KNOWN, LENGTHS, Rolled
from collector.questions.selection import TIMES, Ask, Filter, Selection, Window
from collector.questions.texts import behind, json_path, named_in, reads
from collector.questions.whole import Whole, in_months, whole_units
from otel_cost.attributes import OTEL_COST_TAG_PREFIX

ATTRIBUTE = "attr."
"""Before the key of an attribute, where a name of our own would else be meant."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON = datetime(2100, 1, 1, tzinfo=UTC)
"""Until then clocks are known to be changed. Later: each statement about local days gets longer."""
_SECONDS = "(epoch_ns(calls.start_time) // 1000000000)"
_STATUS_OF_CALLS = ("status", "trace_id")
_CACHE_HIT_FLAG = 1 << 12
_STATUS = {
    "ok": "NOT calls.failed",
    "error": "calls.failed",
    "retry": "calls.attempt > 1",
    "wasted": "calls.wasted",
    "cached": f"(coalesce(calls.cache_read_tokens, 0) > 0 OR (calls.flags & {_CACHE_HIT_FLAG}) <> 0)",
}
_OF_AN_ORGANISATION = ("attempts", "spans")
_MADE_OF = {"facts": FACTS, "before": BEFORE, "ran": ("execution",), "lengths": LENGTHS, "details": DETAILS}
"""Relation -> what it has beside names and bucket."""
_TEXTS = {"before": "facts", "details": "facts"}
"""Relation -> the statement that reads it from calls, where that has another name."""
_OF_CALL_ROWS = {"start_ns": "first_ns"}


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


def call_rows(calls: str) -> str:
    """Calls of a relation like the view `calls` as what statements read: `FILTERED`, `KNOWN` and `FACTS`, `execution`,
    and `end_ns`."""
    names = [f'calls."{name}"' for name in (*FILTERED, *KNOWN)]
    names += ["hash(calls.run) AS execution", "epoch_ns(calls.end_time) AS end_ns", ""]
    return f"({statement('facts').format(names=', '.join(names), calls=calls, spans='', where='TRUE')})"


_Kept = Callable[[datetime | None, datetime | None], str | None]


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
        return self._ask(behind(text, body), given)

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
        for kind in ("facts", "ran", "lengths", "details"):
            if reads(body, kind):
                sources[kind] = self._facts(kind, named_in(body, _MADE_OF[kind]), keys, bucket, given)
        if reads(body, "before"):
            sources["before"] = self.earlier()._facts("before", BEFORE, keys, None, given, "before_")
        if reads(body, "chosen"):
            sources["chosen"] = self._calls("chosen", self._columns(keys, bucket, given), given)
        for view in _OF_AN_ORGANISATION:
            if reads(body, f"org_{view}"):
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

    def _facts(
        self,
        kind: str,
        columns: tuple[str, ...],
        keys: Sequence[str],
        bucket: str | None,
        given: dict[str, object],
        prefix: str = "",
    ) -> str:
        """Some columns of a relation of `_MADE_OF`: from sums of whole days or hours and calls of the rest, or calls
        alone."""
        rolled: Rolled | None = getattr(self._ask, "rolled", None)
        names = [*keys, *(one.key for one in self.selection.filters)]
        if rolled is not None and not self.selection.as_billed and all(map(_is_column, names)):
            whole = self._whole(rolled, kind, columns, keys, bucket)
            wholes = [] if whole is None else self._coarsest(rolled, whole, kind, columns, keys, bucket)
            parts = [self._sums(each, columns, keys, bucket, given) for each in wholes]
            said = [f"calls.{_OF_CALL_ROWS.get(name, name)} AS {name}," for name in columns]
            summed = self._names_of_sums(rolled, kind, (*keys, bucket))
            for relation, where in self._rest(rolled, whole, summed, given, prefix):
                parts.append(self._read(relation, [self._columns(keys, bucket, given), *said], where, given))
            if parts:
                return "\nUNION ALL\n".join(parts)
        more = [statement("detail_columns")] if kind == "details" else []
        return self._calls(
            _TEXTS.get(kind, kind), "\n    ".join([self._columns(keys, bucket, given), *more]), given, prefix
        )

    def _read(self, relation: str, columns: Sequence[str], where: str, given: dict[str, object]) -> str:
        """Columns of the lines of a relation that pass a condition and the filters."""
        filters = [self._condition(one, f"where_{at}", given) for at, one in enumerate(self.selection.filters)]
        return statement("rolled").format(
            columns="\n    ".join(columns).rstrip(","), calls=relation, where="\n    AND ".join([where, *filters])
        )

    def _names_of_sums(self, rolled: Rolled, kind: str, keys: Sequence[str | None]) -> frozenset[str] | None:
        """What tells the calls of these keys, and of the filters, apart. None: what is wanted of them is no sums."""
        is_local = rolled.zone.key == self.selection.window.zone.key
        if (
            _TEXTS.get(kind, kind) != "facts"
            or kind == "details"
            or buckets.MINUTE in keys
            or (not is_local and any(key in TIMES for key in keys))
        ):
            return None
        names = (*(key for key in keys if key and key not in TIMES), *(one.key for one in self.selection.filters))
        return frozenset(names)

    def _rest(
        self,
        rolled: Rolled,
        whole: Whole | None,
        summed: frozenset[str] | None,
        given: dict[str, object],
        prefix: str,
    ) -> Iterator[tuple[str, str]]:
        """The calls of the window that are not in these sums: relations, each with a condition."""
        window = self.selection.window
        some: list[tuple[_Kept, Scope, str]] = [(partial(rolled.uncovered, names=summed), self, prefix)]
        if whole is None:
            some.append((rolled.covered, self, prefix))
        elif window.since is not None and whole.first is not None:
            begin = buckets.start(whole.unit, whole.first, rolled.zone)
            head = self.within(window.since, min(begin, window.until or begin))
            some.append((rolled.covered, head, f"{prefix}head_"))
        if whole is not None and window.until is not None and whole.end is not None:
            tail = self.within(buckets.start(whole.unit, whole.end, rolled.zone), window.until)
            some.append((rolled.covered, tail, f"{prefix}tail_"))
        for kept, scope, name in some:
            ends = scope.selection.window
            if scope.is_some() and (relation := kept(ends.since, ends.until)) is not None:
                yield relation, scope._window("calls", given, name)

    def is_some(self) -> bool:
        """Whether there is any time in the window."""
        window = self.selection.window
        return window.since is None or window.until is None or window.since < window.until

    def _whole(
        self, rolled: Rolled, kind: str, columns: tuple[str, ...], keys: Sequence[str], bucket: str | None
    ) -> Whole | None:
        """The sums that help, if any do."""
        names = frozenset(name for name in (*keys, *(one.key for one in self.selection.filters)) if name not in TIMES)
        unit = buckets.HOUR if _TEXTS.get(kind, kind) == "facts" and not names else buckets.DAY
        times = {key for key in (*keys, bucket) if key in TIMES}
        is_too_fine = buckets.MINUTE in times or (buckets.HOUR in times and unit != buckets.HOUR)
        if kind == "details" or is_too_fine or (times and rolled.zone.key != self.selection.window.zone.key):
            return None
        ends = whole_units(unit, self.selection.window, rolled.zone, rolled.last)
        if ends is None:
            return None
        if kind == "ran":
            relation = rolled.runs(names)
        else:
            relation = rolled.longest(names) if kind == "lengths" else rolled.sums(names, columns)
        return None if relation is None else Whole(relation, unit, *ends)

    def _coarsest(
        self,
        rolled: Rolled,
        whole: Whole,
        kind: str,
        columns: tuple[str, ...],
        keys: Sequence[str],
        bucket: str | None,
    ) -> list[Whole]:
        """The same sums, of months as far as the window has whole ones."""
        names = self._names_of_sums(rolled, kind, (*keys, bucket))
        is_finer = any(key in TIMES and key != buckets.MONTH for key in (*keys, bucket))
        if whole.unit != buckets.DAY or names is None or is_finer:
            return [whole]
        months = rolled.months(names, columns)
        return [whole] if months is None else in_months(whole, months, rolled.last, rolled.zone)

    def _sums(
        self, whole: Whole, columns: tuple[str, ...], keys: Sequence[str], bucket: str | None, given: dict[str, object]
    ) -> str:
        """What whole hours, days or months of the window add to facts."""

        def time(name: str) -> str:
            return f"calls.{name}" if name in (buckets.HOUR, whole.unit) else buckets.sql_of_day(name, "calls.day")

        names = [
            f"{time(key) if key in TIMES else self._expression(key, '', given)} AS key_{at},"
            for at, key in enumerate(keys)
        ]
        if bucket:
            names.append(f"{time(bucket)} AS bucket,")
        where = [self._organisation("calls", given)]
        ends = ((">=", whole.first), ("<", whole.end))
        where += [f"calls.{whole.unit} {operator} {number}" for operator, number in ends if number is not None]
        said = [f"calls.{name}," for name in columns]
        return self._read(whole.relation, [*names, *said], "\n    AND ".join(where), given)

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
        if key in KNOWN:
            return f'calls."{key}"'
        if key in TIMES:
            return self._bucket(key)
        attribute = key.removeprefix(ATTRIBUTE)
        given[name] = json_path(attribute)
        given[f"{name}_tag"] = json_path(OTEL_COST_TAG_PREFIX + attribute)
        return statement("attribute").format(name=name)

    def _bucket(self, bucket: str) -> str:
        window = self.selection.window
        ends = (window.since or _EPOCH, window.until or max(_HORIZON, window.since or _EPOCH))
        first, last = ((instant - _EPOCH) // timedelta(seconds=1) for instant in ends)
        return buckets.sql(bucket, _SECONDS, buckets.pieces(self.selection.window.zone, first, last))


def _is_column(name: str) -> bool:
    return name in KNOWN or name in TIMES or name in _STATUS_OF_CALLS
