"""Which calls repeat one that failed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from collector.attribute.calls import Calls
from collector.attribute.counting import COUNTED, WRAPPER, Verdict
from collector.attribute.identity import Record, models_agree
from collector.attribute.skeleton import UNKNOWN, Bools, Ints, Spans, encode, pair_codes

MAX_FAILURES_COMPARED = 64
"""Calls that failed under one parent and wait for a repetition; older ones are taken to have been given up."""


@dataclass(frozen=True, slots=True)
class Retries:
    """One element per span: which attempt it is (1 for a first), the row of the attempt before, and if it failed."""

    attempt: Ints
    retry_of: Ints
    wasted: Bools


def find_retries(spans: Spans, calls: Calls, verdict: Verdict, agents: pa.Array) -> Retries:
    """Chain attempts of one agent and operation under one parent, each to the failed one before it.

    An attempt repeats one that had failed and ended before it started; each failure is repeated once.
    All records of a call share its place in the chain.
    """
    attempt, retry_of = np.ones(len(spans), np.int64), np.full(len(spans), UNKNOWN, np.int64)
    is_call = (spans.leaf & (verdict.verdict != WRAPPER)) | (spans.aggregate & (verdict.verdict == COUNTED))
    wasted = is_call & verdict.failed
    before = _predecessors(spans, calls, verdict, agents, is_call) if wasted.any() else {}
    for call in before:
        chain = [call]
        while attempt[chain[-1]] == 1 and chain[-1] in before:
            chain.append(before[chain[-1]])
        number = int(attempt[chain.pop()])
        for repeated in reversed(chain):
            number += 1
            for row in verdict.groups.get(repeated, [repeated]):
                attempt[row], retry_of[row] = number, before[repeated]
    return Retries(attempt, retry_of, wasted)


def _predecessors(spans: Spans, calls: Calls, verdict: Verdict, agents: pa.Array, is_call: Bools) -> dict[int, int]:
    """Kept row of each repeated call -> kept row of the attempt before."""
    rows = np.flatnonzero(is_call)
    agent = encode(agents)[0].codes
    parents = pair_codes(spans.trace[rows], spans.parent[rows])
    suspects = np.isin(parents, parents[verdict.failed[rows]])
    families: dict[int, list[int]] = {}
    for row, parent in zip(rows[suspects].tolist(), parents[suspects].tolist(), strict=True):
        families.setdefault(parent, []).append(row)
    kept = {row: top for top, members in verdict.groups.items() for row in members}
    before: dict[int, int] = {}
    outer_first = sorted(families.values(), key=lambda family: (calls.depth[family].min(), min(map(spans.key, family))))
    for family in outer_first:
        if len(family) > 1:
            _chain(calls, verdict, agent, family, kept, before)
    return before


def _chain(
    calls: Calls, verdict: Verdict, agent: Ints, family: list[int], kept: dict[int, int], before: dict[int, int]
) -> None:
    open_failures: dict[tuple[int, str, str | None], list[Record]] = {}
    repeated = set(before.values())
    for record in sorted(map(calls.record, family), key=lambda record: record.key):
        call = kept.get(record.row, record.row)
        same = open_failures.setdefault((int(agent[record.row]), record.operation, record.provider), [])
        if call not in before:
            for failure in reversed(same[-MAX_FAILURES_COMPARED:]):
                earlier = kept.get(failure.row, failure.row)
                free = earlier != call and earlier not in repeated
                if free and call in verdict.groups and _leads_to(before, earlier, call):
                    continue
                if free and failure.end_ns <= record.start_ns and models_agree(failure, record):
                    before[call] = earlier
                    repeated.add(earlier)
                    same.remove(failure)
                    break
        if verdict.failed[record.row]:
            same.append(record)


def _leads_to(before: dict[int, int], call: int, target: int) -> bool:
    current: int | None = call
    while current is not None:
        if current == target:
            return True
        current = before.get(current)
    return False
