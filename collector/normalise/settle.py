"""Counts as our units define them, in columns. The same rules in the same order as `otel_cost.normalise.settle`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from collector.normalise.fields import Bools, Ints
from otel_cost.call import CallKind, Flag
from otel_cost.normalise.reader import Reading
from otel_cost.normalise.rules import TOTAL, Input
from otel_cost.normalise.settle import CACHE_PARTS, INPUT_PARTS, OUTPUT_PARTS

IN, OUT = "input_tokens", "output_tokens"
READ, WRITE = "cache_read_tokens", "cache_write_tokens"
SHORT, LONG = "cache_write_5m_tokens", "cache_write_1h_tokens"
REASONING = "output_reasoning_tokens"


class Usage:
    """Counts per unit, each a column of quantities (0 where absent) and a mask of where it is present."""

    def __init__(self, size: int, columns: dict[str, tuple[Ints, Bools]]) -> None:
        self.size = size
        self.columns = columns
        self._none = np.zeros(size, np.int64), np.zeros(size, np.bool_)

    def __getitem__(self, unit: str) -> tuple[Ints, Bools]:
        return self.columns.get(unit, self._none)

    def put(self, unit: str, where: Bools, values: Ints) -> None:
        """Sets the unit where `where` holds."""
        if where.any():
            old, present = self[unit]
            self.columns[unit] = np.where(where, values, old), present | where

    def cut(self, unit: str, limit: Ints, where: Bools) -> Bools:
        """Cuts the unit to `limit` where `where` holds; says where it did."""
        values, present = self[unit]
        above = present & where & (values > limit)
        self.put(unit, above, limit)
        return above


@dataclass(frozen=True, slots=True)
class Facts:
    """What the readings say of each span, as columns."""

    exclusive: Bools
    inclusive: Bools
    disjoint: Bools
    total_minus_input: Bools
    reasoning_beside_output: Bools
    splits_cache_writes: Bools
    needs_usage: Bools
    cache_hit: Bools


def facts_of(readings: Sequence[Reading], shape: Ints) -> Facts:
    """The facts of each span's shape."""

    nowhere = np.zeros(len(shape), np.bool_)

    def each(fact: Callable[[Reading], bool]) -> Bools:
        of_shape = [fact(reading) for reading in readings]
        found: Bools = np.array(of_shape, np.bool_)[shape] if any(of_shape) else nowhere
        return found

    return Facts(
        each(lambda reading: reading.counting is Input.EXCLUSIVE),
        each(lambda reading: reading.counting is Input.INCLUSIVE),
        each(lambda reading: reading.counting is Input.DISJOINT),
        each(lambda reading: reading.output_is_total_minus_input),
        each(lambda reading: reading.reasoning_beside_output),
        each(lambda reading: reading.splits_cache_writes),
        each(lambda r: r.kind is CallKind.LEAF and not r.failed and not r.cache_hit),
        each(lambda reading: reading.cache_hit),
    )


def settle_columns(usage: Usage, facts: Facts) -> tuple[dict[str, tuple[Ints, Bools]], Ints]:
    """The usage in our units and the flags of settling it, per span."""
    total = usage.columns.pop(TOTAL, usage[TOTAL])
    flags = np.zeros(usage.size, np.int64)
    flags[_merge_writes(usage)] |= int(Flag.CLAMPED)
    if total[1].any() or not _is_plain(usage, facts):
        _include(usage, total, facts, flags)
        flags[_cut(usage)] |= int(Flag.CLAMPED)
    written, _ = usage[WRITE]
    assumed = facts.splits_cache_writes & (written > 0) & ~usage[SHORT][1] & ~usage[LONG][1]
    flags[assumed] |= int(Flag.TTL_ASSUMED)
    used = np.zeros(usage.size, np.bool_)
    for values, present in usage.columns.values():
        used |= present & (values != 0)
    missing = facts.needs_usage & ~used
    flags[missing] |= int(Flag.USAGE_MISSING)
    flags[facts.cache_hit] |= int(Flag.CACHE_HIT)
    if missing.any():
        return {unit: (values, present & ~missing) for unit, (values, present) in usage.columns.items()}, flags
    return usage.columns, flags


def _is_plain(usage: Usage, facts: Facts) -> bool:
    """Whether no rule below could change a count: the common case, told from a few comparisons."""
    units = usage.columns.keys()
    if units <= {IN, OUT}:
        return True
    if units - {IN, OUT, READ, REASONING} or facts.exclusive.any() or facts.disjoint.any():
        return False
    if facts.reasoning_beside_output.any():
        return False
    return not (usage[READ][0] > usage[IN][0]).any() and not (usage[REASONING][0] > usage[OUT][0]).any()


def _merge_writes(usage: Usage) -> Bools:
    if not usage.columns.keys() & {SHORT, LONG}:
        return np.zeros(usage.size, np.bool_)
    (short, has_short), (long, has_long) = usage[SHORT], usage[LONG]
    split = np.where(has_short, short, 0) + np.where(has_long, long, 0)
    usage.put(WRITE, (has_short | has_long) & ~usage[WRITE][1], split)
    written, _ = usage[WRITE]
    above = (has_short | has_long) & (split > written)
    if above.any():
        kept = np.minimum(np.where(has_long, long, 0), written)
        usage.put(LONG, above & has_long, kept)
        usage.put(SHORT, above & has_short, np.minimum(short, written - kept))
    return above


def _zeroed(usage: Usage, unit: str) -> Ints:
    values, present = usage[unit]
    return np.where(present, values, 0)


def _include(usage: Usage, total: tuple[Ints, Bools], facts: Facts, flags: Ints) -> None:
    (entered, known), has_left = usage[IN], usage[OUT][1]
    left, reasoning = _zeroed(usage, OUT), _zeroed(usage, REASONING)
    parts = _zeroed(usage, READ) + _zeroed(usage, WRITE)
    output_parts = np.zeros(usage.size, np.int64)
    if facts.disjoint.any():
        parts = parts + np.where(facts.disjoint, sum(_zeroed(usage, unit) for unit in INPUT_PARTS), 0)
        output_parts = np.where(facts.disjoint, sum(_zeroed(usage, unit) for unit in OUTPUT_PARTS), 0)
    summed, has_total = total
    plain = entered + left
    apart = plain + parts + output_parts
    by_plain = has_total & (summed == plain)
    by_apart = has_total & (summed == apart) & ((output_parts > 0) | (apart != plain + reasoning))
    excluded = np.where(by_plain, False, by_apart | facts.disjoint | (parts > entered))
    excluded = known & (facts.exclusive | (excluded & ~facts.inclusive))
    usage.put(IN, excluded & (parts > 0), entered + parts)
    flags[excluded & (parts > 0)] |= int(Flag.CACHE_EXCLUSIVE)
    entered, known = usage[IN]
    derived = _complete(left + np.where(excluded, output_parts, 0), entered, reasoning, total, facts)
    alone = known & ~has_left & facts.total_minus_input & has_total & (summed > entered)
    changed = (known & has_left & (derived != left)) | alone
    usage.put(OUT, changed, np.where(alone, summed - entered, derived))
    flags[changed] |= int(Flag.OUTPUT_DERIVED)
    final = entered + _zeroed(usage, OUT)
    mismatch = known & has_total & (summed != plain) & (summed != apart) & (summed != final)
    flags[mismatch] |= int(Flag.TOTAL_MISMATCH)


def _complete(output: Ints, entered: Ints, reasoning: Ints, total: tuple[Ints, Bools], facts: Facts) -> Ints:
    summed, has_total = total
    beside = output + reasoning
    without_total = np.where(facts.reasoning_beside_output & (reasoning > output), beside, output)
    with_total = np.where(
        facts.total_minus_input & (summed > entered + output),
        summed - entered,
        np.where(summed == entered + beside, beside, output),
    )
    return np.where(has_total, with_total, without_total)


def _cut(usage: Usage) -> Bools:
    (entered, known), (left, has_left) = usage[IN], usage[OUT]
    cut = usage.cut(WRITE, entered, known)
    cut |= usage.cut(READ, entered - _zeroed(usage, WRITE), known)
    for unit in INPUT_PARTS:
        cut |= usage.cut(unit, entered, known)
    written, has_written = usage[WRITE]
    cut |= usage.cut(LONG, written, has_written)
    cut |= usage.cut(SHORT, written - _zeroed(usage, LONG), has_written)
    for part, whole in CACHE_PARTS:
        cut |= usage.cut(part, *usage[READ])
        cut |= usage.cut(part, *usage[whole])
    for unit in OUTPUT_PARTS:
        cut |= usage.cut(unit, left, has_left)
    return cut
