"""A newer catalogue laid over what was known before: what was known is added to, never lost.

Catalogues mostly say what a price is now. The rules, per model and variant, with the moment at which the newer
catalogue was read:

1. From that moment on the newer catalogue holds.
2. Of the past, a period of the newer catalogue holds if one of its ends is a date that was not known before: the
   catalogue has learned when a price changed. It reaches back no further than the last date that was known.
3. Where nothing was known of the past at all, the newer catalogue holds.
4. Everything else of the past stays as it was: a price that changed without a date becomes a row that begins now.

A model, variant or name that the newer catalogue no longer has stays as it was. A name that it lists under another
model than before resolves by date from now on.

Raw models and rows are those of the card's files: `[variant, from ns, to ns, window, tiers, ...]`, None for open ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from otel_cost.pricing.rates import BEGINNING_NS, END_NS

Raw = dict[str, Any]
Row = list[Any]
Interval = tuple[int, int]

MOVED = " (moved)"
"""Ends the id of a model that stands for a name alone, because the name has meant several models."""


def merge_provider(before: Mapping[str, Any], now: Mapping[str, Any], at_ns: int) -> Raw:
    """A provider's raw card `now`, read at `at_ns`, over the one `before`."""
    known, listed = _by_id(before), _by_id(now)
    models = [_merge_model(known.get(entry), model, at_ns) for entry, model in listed.items()]
    models += [dict(model) for entry, model in known.items() if entry not in listed]
    _settle_names(known, listed, models, at_ns)
    return {**now, "models": models}


def _by_id(provider: Mapping[str, Any]) -> dict[str, Raw]:
    """The models by id. Of one that is listed twice the last counts, as in a `RateCard`, with the names of both."""
    found: dict[str, Raw] = {}
    for model in provider["models"]:
        names = [*found.get(model["id"], {}).get("names", ()), *model.get("names", ())]
        found[model["id"]] = {**model, "names": list(dict.fromkeys(names))}
    return found


def _merge_model(before: Mapping[str, Any] | None, now: Mapping[str, Any], at_ns: int) -> Raw:
    if before is None:
        return dict(now)
    merged = {**now, "names": [*now["names"]]}
    merged["rows"] = merge_rows(before.get("rows", ()), now.get("rows", ()), at_ns)
    if "first_price_ns" in before and before.get("rows") == now.get("rows"):
        merged["first_price_ns"] = before["first_price_ns"]
    return merged


def merge_rows(before: Sequence[Row], now: Sequence[Row], at_ns: int) -> list[Row]:
    """The rows of one model, `now` over `before`; variants in the order of `now`, then those that only `before` has."""
    merged: list[Row] = []
    for variant in dict.fromkeys(row[0] for row in (*now, *before)):
        old, new = ([row for row in rows if row[0] == variant] for rows in (before, now))
        merged += _merge_variant(old, new, at_ns) if old and new else (new or old)
    return merged


def _merge_variant(old: list[Row], new: list[Row], at_ns: int) -> list[Row]:
    if old == new:
        return old
    dates = {date for row in old for date in _period(row)}
    edges = sorted(dates | {date for row in new for date in _period(row)} | {BEGINNING_NS, at_ns, END_NS})
    owned: dict[bool, list[Interval]] = {True: [], False: []}
    for interval in pairwise(edges):
        is_known = any(_period(row)[0] <= interval[0] < _period(row)[1] for row in old)
        owned[not is_known or _is_news(interval, new, dates, at_ns)].append(interval)
    theirs, ours = _runs(owned[True]), _runs(owned[False])
    if list(_clipped(new, theirs)) == list(_clipped(old, theirs)):
        return old
    rows = _joined([*_clipped(new, theirs), *_clipped(old, ours)], at_ns)
    keys = [(row[1], str(row[3]), str(row[6:])) for row in rows]
    return rows if len(keys) == len(set(keys)) else old  # a row's start and hours are its name: wait until they differ


def _is_news(interval: Interval, new: Iterable[Row], dates: set[int], at_ns: int) -> bool:
    """Whether the newer rows hold in an interval (rules 1 and 2)."""
    if interval[0] >= at_ns:
        return True
    for row in new:
        start, end = _period(row)
        if not start <= interval[0] < end:
            continue
        if start not in dates and start != BEGINNING_NS:
            return True
        if (
            end not in dates
            and end < at_ns
            and interval[0] >= max((date for date in dates if date < end), default=BEGINNING_NS)
        ):
            return True
    return False


def _period(row: Row) -> Interval:
    return (BEGINNING_NS if row[1] is None else row[1], END_NS if row[2] is None else row[2])


def _runs(intervals: Iterable[Interval]) -> list[Interval]:
    """Neighbouring intervals as one."""
    runs: list[Interval] = []
    for start, end in intervals:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _clipped(rows: Iterable[Row], runs: Sequence[Interval]) -> Iterator[Row]:
    """The parts of rows inside of intervals, in the order of the rows, the latest part first."""
    for row in rows:
        start, end = _period(row)
        for low, high in reversed(runs):
            inside = max(start, low), min(end, high)
            if inside[0] < inside[1]:
                yield _with_period(row, inside)


def _with_period(row: Row, period: Interval) -> Row:
    start = None if period[0] == BEGINNING_NS else period[0]
    end = None if period[1] == END_NS else period[1]
    return [row[0], start, end, *row[3:]]


def _joined(rows: list[Row], at_ns: int) -> list[Row]:
    """Rows of the same rates that meet at `at_ns` as one; those of certain hours stay before those of all.

    Equal rows that meet at another date are left apart: it is a date that a catalogue knows.
    Where a period is excepted from a longer one, rows overlap and their order says which holds: those are left alone.
    """
    lanes: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row[3] is None):
        lanes.setdefault(str(row[3]), []).append(row)
    ordered = [sorted(lane, key=_period, reverse=True) for lane in lanes.values()]
    if any(_period(later)[0] < _period(earlier)[1] for lane in ordered for later, earlier in pairwise(lane)):
        return rows
    return [row for lane in ordered for row in _join_lane(lane, at_ns)]


def _join_lane(newest_first: list[Row], at_ns: int) -> list[Row]:
    lane: list[Row] = []
    for row in newest_first:
        if lane and lane[-1][3:] == row[3:] and _period(row)[1] == _period(lane[-1])[0] == at_ns:
            lane[-1] = _with_period(row, (_period(row)[0], _period(lane[-1])[1]))
        else:
            lane.append(row)
    return lane


def _settle_names(before: Mapping[str, Raw], now: Mapping[str, Raw], models: list[Raw], at_ns: int) -> None:
    """Names of `before` that `now` does not list stay; those that it lists under another model become dated."""
    owner_now = _owners(now)
    by_id = {model["id"]: model for model in models}
    for name, old_owner in _owners(before).items():
        old, owner = by_id[old_owner], owner_now.get(name, old_owner)
        if owner == old_owner:
            old["names"] += [name] if name not in old["names"] else []
        else:
            moved = _moved(name, old, by_id[owner], at_ns)
            for model in models:
                model["names"] = [other for other in model["names"] if other != name]
            models[:] = [*(model for model in models if model["id"] != moved["id"]), moved]
            by_id[moved["id"]] = moved


def _owners(models: Mapping[str, Raw]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for entry, model in models.items():
        for name in model["names"]:
            owners.setdefault(name, entry)
    return owners


def _moved(name: str, old: Raw, new: Raw, at_ns: int) -> Raw:
    """A name that meant `old` until `at_ns` and means `new` since: a model of its own with the rows of both."""
    since, until = [(at_ns, END_NS)], [(BEGINNING_NS, at_ns)]
    rows_now, rows_before = new.get("rows", ()), old.get("rows", ())
    if list(_clipped(rows_now, since)) == list(_clipped(rows_before, since)):
        rows = list(rows_before)
    else:
        rows = [*_clipped(rows_now, since), *_clipped(rows_before, until)]
    kept = {key: value for key, value in new.items() if key not in ("patterns", "first_price_ns")}
    canonical = new.get("canonical", new["id"])
    return {**kept, "id": name + MOVED, "names": [name], "canonical": canonical, "rows": rows}
