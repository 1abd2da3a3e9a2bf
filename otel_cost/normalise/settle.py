"""Counts as our units define them: input with cached tokens, output with reasoning, parts never above their whole.

The rules, in order (`collector.normalise` has the same in columns):
1. What the input includes: the dialect's table says so, or the emitter's total, or arithmetic (a part above the whole).
2. Output that leaves out reasoning is completed from the total.
3. Parts are cut to their wholes, and every change is flagged.
"""

from __future__ import annotations

from otel_cost.call import CallKind, Flag
from otel_cost.normalise.reader import Reading
from otel_cost.normalise.rules import TOTAL, Input

CACHE_EXCLUSIVE = int(Flag.CACHE_EXCLUSIVE)
CLAMPED = int(Flag.CLAMPED)
OUTPUT_DERIVED = int(Flag.OUTPUT_DERIVED)
TOTAL_MISMATCH = int(Flag.TOTAL_MISMATCH)

LEAF = CallKind.LEAF
DECIDED = (Input.EXCLUSIVE, Input.INCLUSIVE)
INPUT_PARTS = ("input_audio_tokens", "input_image_tokens")
OUTPUT_PARTS = ("output_reasoning_tokens", "output_audio_tokens", "output_image_tokens")
CACHE_PARTS = (("cache_audio_read_tokens", "input_audio_tokens"), ("cache_image_read_tokens", "input_image_tokens"))
"""A cached part of a modality: at most the cache read, and at most the modality's input."""


def settle(reading: Reading) -> tuple[dict[str, int], int]:
    """The usage in our units and all flags of the reading."""
    usage = reading.usage
    total = usage.pop(TOTAL, None)
    flags = reading.flags
    if total is not None or not (len(usage) == 2 and "input_tokens" in usage and "output_tokens" in usage):
        flags |= _merge_writes(usage) | _include(usage, total, reading) | _cut(usage)
        if reading.splits_cache_writes and usage.get("cache_write_tokens") and not _SPLIT & usage.keys():
            flags |= Flag.TTL_ASSUMED
    if reading.kind is LEAF and not reading.failed and not reading.cache_hit and not any(usage.values()):
        usage.clear()  # a call that succeeded used something: zeros alone say nothing
        flags |= Flag.USAGE_MISSING
    if reading.cache_hit:
        flags |= Flag.CACHE_HIT
    return usage, int(flags)


_SPLIT = frozenset({"cache_write_5m_tokens", "cache_write_1h_tokens"})


def _merge_writes(usage: dict[str, int]) -> int:
    short, long = usage.get("cache_write_5m_tokens"), usage.get("cache_write_1h_tokens")
    if short is None and long is None:
        return 0
    split = (short or 0) + (long or 0)
    written = usage.setdefault("cache_write_tokens", split)
    if split <= written:
        return 0
    kept_long = min(long or 0, written)
    if long is not None:
        usage["cache_write_1h_tokens"] = kept_long
    if short is not None:
        usage["cache_write_5m_tokens"] = min(short, written - kept_long)
    return CLAMPED


def _include(usage: dict[str, int], total: int | None, reading: Reading) -> int:
    """Adds what input and output left out. The emitter's total decides, where it fits one reading only."""
    entered, left = usage.get("input_tokens"), usage.get("output_tokens")
    if entered is None:
        return 0
    counting, output = reading.counting, left or 0
    parts = usage.get("cache_read_tokens", 0) + usage.get("cache_write_tokens", 0)
    reasoning, output_parts = usage.get("output_reasoning_tokens", 0), 0
    if counting is Input.DISJOINT:
        parts += sum(usage.get(unit, 0) for unit in INPUT_PARTS)
        output_parts = sum(usage.get(unit, 0) for unit in OUTPUT_PARTS)
    plain = entered + output
    apart = plain + parts + output_parts
    if counting in DECIDED or total == plain:
        excluded = counting is Input.EXCLUSIVE
    elif total == apart and (output_parts or apart != plain + reasoning):
        excluded = True
    else:
        excluded = counting is Input.DISJOINT or parts > entered
    flags = 0
    if excluded:
        usage["input_tokens"] = entered + parts
        flags = CACHE_EXCLUSIVE if parts else 0
    if left is not None:
        derived = left + output_parts if excluded else left
        derived = _complete(derived, usage["input_tokens"], reasoning, total, reading)
        if derived != left:
            usage["output_tokens"] = derived
            flags |= OUTPUT_DERIVED
    elif reading.output_is_total_minus_input and total is not None and total > usage["input_tokens"]:
        usage["output_tokens"] = total - usage["input_tokens"]
        flags |= OUTPUT_DERIVED
    if total is not None and total not in (plain, apart, usage["input_tokens"] + usage.get("output_tokens", 0)):
        flags |= TOTAL_MISMATCH
    return flags


def _complete(output: int, entered: int, reasoning: int, total: int | None, reading: Reading) -> int:
    """The output with the reasoning that the emitter counted beside it."""
    if total is None:
        return output + reasoning if reading.reasoning_beside_output and reasoning > output else output
    if reading.output_is_total_minus_input and total > entered + output:
        return total - entered
    return output + reasoning if total == entered + output + reasoning else output


def _cut(usage: dict[str, int]) -> int:
    entered, left = usage.get("input_tokens"), usage.get("output_tokens")
    cached, reasoning = usage.get("cache_read_tokens", 0), usage.get("output_reasoning_tokens", 0)
    if not (usage.keys() - _PLAIN) and cached <= (entered or 0) and reasoning <= (left or 0):
        return 0  # the common case, as the rest would find it
    return _cut_all(usage, entered, left)


_PLAIN = frozenset({"input_tokens", "output_tokens", "cache_read_tokens", "output_reasoning_tokens"})


def _cut_all(usage: dict[str, int], entered: int | None, left: int | None) -> int:
    flags = 0
    if entered is not None:
        flags |= _at_most(usage, "cache_write_tokens", entered)
        flags |= _at_most(usage, "cache_read_tokens", entered - usage.get("cache_write_tokens", 0))
        for unit in INPUT_PARTS:
            flags |= _at_most(usage, unit, entered)
    written = usage.get("cache_write_tokens")
    if written is not None:
        flags |= _at_most(usage, "cache_write_1h_tokens", written)
        flags |= _at_most(usage, "cache_write_5m_tokens", written - usage.get("cache_write_1h_tokens", 0))
    read = usage.get("cache_read_tokens")
    for part, whole in CACHE_PARTS:
        if read is not None:
            flags |= _at_most(usage, part, read)
        if whole in usage:
            flags |= _at_most(usage, part, usage[whole])
    if left is not None:
        for unit in OUTPUT_PARTS:
            flags |= _at_most(usage, unit, left)
    return flags


def _at_most(usage: dict[str, int], unit: str, limit: int) -> int:
    if usage.get(unit, 0) <= limit:
        return 0
    usage[unit] = limit
    return CLAMPED
