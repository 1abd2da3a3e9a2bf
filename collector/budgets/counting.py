"""Which counters a batch of calls moves, and by how much: columns in, columns out, one pass per rule.

A call moves at most one counter of a rule: the one of its scope's values, in the window in which it started. A rule
whose window is a run counts each run by itself: the run is then part of the scope (`dimensions_of`).

What a call counts as whose cost is not known, or not wholly: one of `unpriced_calls`, with the part of its cost that
is known. A rule with `Unpriced.WORST_CASE` counts its tokens at `WorstRates` if that is more. These rates are kept
with the rule's counters, so that counting again gives the same whatever card is in use by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from json import dumps
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.budgets.model import CounterKey, Rule, Spent, Unpriced, Window, WindowKind
from collector.budgets.windows import MINUTE_NS, counter_start, counter_starts
from otel_cost.call import DIMENSIONS

Ints = npt.NDArray[np.int64]
Amounts = npt.NDArray[Any]
"""Whole numbers: int64, or Python's own (dtype object) where sums may exceed it."""

MOVED_SCHEMA = pa.schema(
    [
        pa.field("org_id", pa.string(), nullable=False),
        pa.field("start_time_ns", pa.int64(), nullable=False),
        pa.field("provider", pa.string()),
        pa.field("model", pa.string()),
        *(pa.field(name, pa.string()) for name in DIMENSIONS),  # `run`: else the trace id
        pa.field("cost_pico_usd", pa.int64()),  # NULL: not known
        pa.field("cost_status", pa.string()),
        pa.field("input_tokens", pa.int64()),
        pa.field("output_tokens", pa.int64()),
        pa.field("sign", pa.int64(), nullable=False),  # 1: it counts from now on, -1: it does not count so any more
    ]
)
"""Counted calls. Text may be dictionary-encoded; of the dimensions only those are needed that rules name. Attributes
that rules name (`otel_cost.call.ATTRIBUTE`) are columns of text of these names."""

_NOT_WHOLLY_PRICED = ("unpriced", "partial")
_SLOT_NS = 5 * MINUTE_NS
"""All windows and buckets start at one of these."""
_SAFE = 2.0**62
_DENSE_FACTOR = 8
"""Keys are numbered by a table of all possible ones when that is no larger than so many times the rows."""


class WorstRates(NamedTuple):
    """The dearest price of a token, in pico-USD."""

    input_pico_usd: int = 0
    output_pico_usd: int = 0


class RuleMoves(NamedTuple):
    """What calls do to the counters of one rule: one element per counter, in no order."""

    rule: Rule
    orgs: Sequence[str]
    values: Sequence[str]  # scope values
    starts_ns: Sequence[int]  # `CounterKey.window_start_ns`
    cost_pico_usd: Amounts
    tokens: Amounts
    calls: Amounts
    unpriced_calls: Amounts

    @property
    def amounts(self) -> tuple[Amounts, ...]:
        """In the order of `Spent`."""
        return (self.cost_pico_usd, self.tokens, self.calls, self.unpriced_calls)

    def deltas(self) -> dict[CounterKey, Spent]:
        """The same by key."""
        keys = map(CounterKey, self.orgs, repeat(self.rule.name), self.values, self.starts_ns)
        amounts = (each.tolist() for each in self.amounts)
        return dict(zip(keys, map(Spent, *amounts), strict=True))


def dimensions_of(rule: Rule) -> tuple[str, ...]:
    """The dimensions whose values are a counter's `scope_value`."""
    names = tuple(name for name, _ in rule.scope)
    return (*names, "run") if rule.window.kind is WindowKind.RUN and "run" not in names else names


@lru_cache(maxsize=65_536)
def scope_value(values: tuple[str, ...]) -> str:
    """`CounterKey.scope_value` of the values of a rule's dimensions."""
    return values[0] if len(values) == 1 else dumps(values, ensure_ascii=False, separators=(",", ":"))


def key_of(rule: Rule, org_id: str, values: Mapping[str, str | None], at_ns: int) -> CounterKey | None:
    """The counter that a call moves which starts then; None: it moves none of the rule.

    `values` are those of the call by dimension, `provider` and `model`.
    """
    if (rule.organization is not None and rule.organization != org_id) or at_ns < rule.from_ns:
        return None
    found: list[str] = []
    wanted = dict(rule.scope)
    for name in dimensions_of(rule):
        value = org_id if name == "organization" else values.get(name)
        if value is None or wanted.get(name) not in (None, value):
            return None
        found.append(value)
    return CounterKey(org_id, rule.name, scope_value(tuple(found)), counter_start(rule.window, at_ns))


def columns_of(rules: Sequence[Rule]) -> frozenset[str]:
    """The dimensions, `provider` and `model`, that rules ask for."""
    return frozenset(name for rule in rules for name in dimensions_of(rule) if name != "organization")


def count(rules: Sequence[Rule], moved: pa.Table, worst: Mapping[str, WorstRates] | None = None) -> list[RuleMoves]:
    """What `moved` (`MOVED_SCHEMA`) does to the counters of each rule that it touches. `worst`: rates by rule."""
    batch = Batch(moved)
    found = (_of_rule(rule, batch, (worst or {}).get(rule.name, WorstRates())) for rule in rules)
    return [moves for moves in found if moves is not None]


class Placed(NamedTuple):
    """Which counter of a rule each call moves."""

    rows: Ints | None  # of the batch, those that move one, ascending; None: all
    place: Ints  # of each such row: the number of its counter
    orgs: Sequence[str]  # by number
    values: Sequence[str]
    starts_ns: Sequence[int]

    def of(self, column: Amounts) -> Amounts:
        """A column of the batch in these rows."""
        return column if self.rows is None else column[self.rows]


class Batch:
    """The columns of a batch (`MOVED_SCHEMA`), read once for all rules."""

    def __init__(self, moved: pa.Table) -> None:
        self._moved = moved
        self._codes: dict[str, tuple[Ints, pa.Array]] = {}
        self._windows: dict[Window, tuple[Ints, Ints]] = {}
        self.rows = moved.num_rows
        self.start_ns = self._ints("start_time_ns")
        self.sign = self._ints("sign")
        self.input, self.output = self._ints("input_tokens"), self._ints("output_tokens")
        self.tokens = self.input + self.output
        self.cost = self._ints("cost_pico_usd")
        self.unpriced = _is_unpriced(moved)
        self._slot_of_row, self._slots = _dense(self.start_ns // _SLOT_NS)

    def _ints(self, name: str) -> Ints:
        column = self._moved.column(name)
        column = pc.fill_null(column, 0) if column.null_count else column
        return np.asarray(column.to_numpy(), np.int64)

    def codes(self, name: str) -> tuple[Ints, pa.Array]:
        """A number for each row's value, -1 for NULL, and the values by number."""
        if name not in self._codes:
            self._codes[name] = _encoded(self._moved.column("org_id" if name == "organization" else name))
        return self._codes[name]

    def windows(self, window: Window) -> tuple[Ints, Ints]:
        """A number for each row's window, and the windows' starts by number."""
        if window not in self._windows:
            starts, places = np.unique(counter_starts(window, self._slots * _SLOT_NS), return_inverse=True)
            self._windows[window] = places[self._slot_of_row], starts
        return self._windows[window]


def _is_unpriced(moved: pa.Table) -> npt.NDArray[np.bool_]:
    """Rows whose cost is not known, or not wholly."""
    codes, words = _encoded(moved.column("cost_status"))
    said = np.array([word in _NOT_WHOLLY_PRICED for word in words.to_pylist()] + [False])
    unpriced = said[codes] if said.any() else np.zeros(len(codes), np.bool_)  # the last one: NULL
    cost = moved.column("cost_pico_usd")
    return unpriced | np.asarray(pc.is_null(cost).to_numpy(), np.bool_) if cost.null_count else unpriced


def placed(rule: Rule, batch: Batch) -> Placed | None:
    """Which counters the calls of a batch move; None: none of the rule's."""
    wanted, names = dict(rule.scope), dimensions_of(rule)
    parts = [batch.codes("org_id"), *(batch.codes(name) for name in names)]
    fixed = [rule.organization, *(wanted.get(name) for name in names)]
    keep: npt.NDArray[np.bool_] | None = None
    for (codes, values), value in zip(parts, fixed, strict=True):
        if value is not None:
            keep = _both(keep, codes == values.index(value).as_py())
        if codes.min(initial=0) < 0:
            keep = _both(keep, codes >= 0)
    if rule.from_ns > 0:
        keep = _both(keep, batch.start_ns >= rule.from_ns)
    rows = None if keep is None else np.flatnonzero(keep)
    if not batch.rows or (rows is not None and not len(rows)):
        return None
    window_codes, starts = batch.windows(rule.window)
    columns = [*(codes for codes, _ in parts), window_codes]
    sizes = [*(len(values) for _, values in parts), len(starts)]
    place, keys = _numbered([_picked(each, rows) for each in columns], sizes)
    values = [_texts(part, codes) for (_, part), codes in zip(parts, keys, strict=False)]
    said = values[1] if len(names) == 1 else [scope_value(each) for each in zip(*values[1:], strict=True)]
    return Placed(rows, place, values[0], said, starts[keys[-1]].tolist())


def _texts(values: pa.Array, codes: Ints) -> list[str]:
    """The values by their numbers."""
    found: list[str] = (values if len(values) == 1 else values.take(pa.array(codes))).to_pylist()
    return found * len(codes) if len(values) == 1 else found  # as organisations mostly are


def _of_rule(rule: Rule, batch: Batch, worst: WorstRates) -> RuleMoves | None:
    found = placed(rule, batch)
    if found is None:
        return None
    cost, tokens, sign = (found.of(each) for each in (costs_of(rule, batch, worst), batch.tokens, batch.sign))
    moved = (cost * sign, tokens * sign, sign, sign * found.of(batch.unpriced))
    amounts = [_sums(found.place, each, len(found.values)) for each in moved]
    return RuleMoves(rule, found.orgs, found.values, found.starts_ns, *amounts)


def _both(keep: npt.NDArray[np.bool_] | None, also: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return also if keep is None else keep & also


def _picked(column: Amounts, rows: Ints | None) -> Amounts:
    return column if rows is None else column[rows]


def costs_of(rule: Rule, batch: Batch, worst: WorstRates) -> Ints:
    """What each call counts as, in pico-USD."""
    if rule.unpriced is not Unpriced.WORST_CASE or not batch.unpriced.any():
        return batch.cost
    cost = batch.cost.copy()
    for row in np.flatnonzero(batch.unpriced).tolist():
        dearest = int(batch.input[row]) * worst.input_pico_usd + int(batch.output[row]) * worst.output_pico_usd
        cost[row] = max(int(cost[row]), min(dearest, _LARGEST_PICO_USD))
    return cost


_LARGEST_PICO_USD = 10**18 - 1
"""What the ledger lets one call cost."""


def _encoded(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    elif column.num_chunks > 1:
        column = column.unify_dictionaries()
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if column.num_chunks == 0:
        return np.empty(0, np.int64), pa.array([], pa.string())
    codes = pc.fill_null(whole.indices, -1) if whole.null_count else whole.indices
    found = np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)
    values = whole.dictionary
    if len(values) > len(found):  # of a larger table: what follows takes time by the values there are
        found, distinct = _dense(found)
        is_null = bool(len(distinct)) and distinct[0] < 0
        found = found - 1 if is_null else found
        values = values.take(pa.array(distinct[1:] if is_null else distinct))
    if values.null_count or len(pc.unique(values)) < len(values):  # one value may have several numbers
        again = values.dictionary_encode()
        renumbered = np.asarray(pc.fill_null(again.indices, -1).to_numpy(zero_copy_only=False), np.int64)
        return np.where(found < 0, -1, renumbered[found]), again.dictionary
    return found, values


def _numbered(columns: Sequence[Ints], sizes: Sequence[int]) -> tuple[Ints, list[Ints]]:
    """A number for each row's combination of codes, and the codes of each combination by number, column by column."""
    whole = columns[0]
    place, combinations = whole, [np.arange(sizes[0])]
    bound = sizes[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        if size == 1:
            combinations.append(np.zeros(bound, np.int64))
            continue
        place, distinct = _dense(place * size + column)
        combinations = [each[distinct // size] for each in combinations]
        combinations.append(distinct % size)
        bound = len(distinct)
    if bound == sizes[0] and place is whole:  # the only column that tells rows apart: some codes may not occur
        place, distinct = _dense(place)
        combinations = [each[distinct] for each in combinations]
    return place, combinations


def _dense(numbers: Ints) -> tuple[Ints, Ints]:
    """Each number's place among the distinct ones, and those, ascending."""
    if not len(numbers):
        return numbers, numbers
    low, high = int(numbers.min()), int(numbers.max())
    if high - low >= _DENSE_FACTOR * len(numbers) + 1024:
        distinct, places = np.unique(numbers, return_inverse=True)
        return places, distinct
    occurs = np.zeros(high - low + 1, np.bool_)
    occurs[numbers - low] = True
    distinct = np.flatnonzero(occurs)
    places = np.empty(len(occurs), np.int64)
    places[distinct] = np.arange(len(distinct))
    return places[numbers - low], distinct + low


def _sums(place: Ints, amounts: Ints, size: int) -> Amounts:
    """The sum of the amounts of each place, exactly."""
    if np.abs(amounts.astype(np.float64)).sum() >= _SAFE:
        wide = np.zeros(size, object)
        np.add.at(wide, place, amounts.astype(object))
        return wide
    sums = np.zeros(size, np.int64)
    np.add.at(sums, place, amounts)
    return sums
