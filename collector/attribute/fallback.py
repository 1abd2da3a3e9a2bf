"""What is said of a trace on which the rules themselves fail: a fault of ours must not refuse valid spans for good.

The traces that fail are found by halving; the others are judged as ever. Of a failing trace only the new spans get a
verdict, each for itself, and the verdicts on its stored spans stay as they were. The next span of the trace has the
whole trace judged again, so that a repaired program repairs its verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import ATTRIBUTION_SCHEMA, SKELETON_SCHEMA
from otel_cost.call import DIMENSIONS, CallKind

Attribute = Callable[[pa.Table], pa.Table]
"""`SKELETON_SCHEMA` of whole traces -> `ATTRIBUTION_SCHEMA`."""


@dataclass(slots=True)
class Judged:
    """Verdicts as `ATTRIBUTION_SCHEMA`, and the traces among them that were not judged as a whole, with the reasons."""

    verdicts: pa.Table
    failed_traces: list[str] = field(default_factory=list)
    reasons: list[Exception] = field(default_factory=list)


@dataclass(slots=True)
class _Halves:
    verdicts: list[pa.Table] = field(default_factory=list)
    failed: list[tuple[pa.Table, Exception]] = field(default_factory=list)


def attribute_or_fall_back(skeleton: pa.Table, first_new_seq: int, attribute: Attribute) -> Judged:
    """Judge `skeleton` with `attribute`; spans from `first_new_seq` on are new.

    Raises MemoryError: that is no fault of a trace, and sending again later may help.
    """
    try:
        return Judged(attribute(skeleton))
    except MemoryError:
        raise
    except Exception as error:
        found = _Halves()
        _halve(skeleton, attribute, error, found)
    verdicts = _of_the_others(skeleton, attribute, found)
    for spans, _ in found.failed:
        verdicts.append(alone(spans.filter(pc.greater_equal(spans.column("seq"), first_new_seq))))
    traces = [str(spans.column("trace_id")[0]) for spans, _ in found.failed]
    return Judged(pa.concat_tables(verdicts), traces, [error for _, error in found.failed])


def alone(spans: pa.Table) -> pa.Table:
    """Verdicts that look at one span at a time: model calls count, wrappers do not, owners are what the span says."""
    calls = spans.cast(SKELETON_SCHEMA).filter(pc.is_valid(spans.column("call_kind")))
    kind, failed = calls.column("call_kind"), calls.column("failed")
    leaf = pc.equal(kind, CallKind.LEAF.value)
    spent = pc.or_(calls.column("has_usage"), pc.greater(pc.fill_null(calls.column("reported_cost_pico_usd"), 0), 0))
    counted = pc.and_(leaf, pc.or_(spent, pc.invert(failed)))
    other = pc.if_else(pc.equal(kind, CallKind.AGGREGATE.value), "wrapper", "ignored")
    reason = pc.if_else(counted, pa.scalar(None, pa.string()), pc.if_else(leaf, "failed", other))
    said = {name: pc.coalesce(calls.column(name), calls.column(f"resource_{name}")) for name in DIMENSIONS}
    columns = {
        **{name: calls.column(name) for name in ("org_id", "trace_id", "span_id")},
        "counted": counted,
        "not_counted_reason": reason.dictionary_encode(),
        **said,
        "run": pc.coalesce(said["run"], calls.column("trace_id")),
        "attempt": pa.array(np.ones(calls.num_rows, np.int32)),
        "wasted": pc.and_(failed, pc.not_equal(kind, CallKind.IGNORE.value)),
    }
    return pa.table(
        [
            columns[column.name].cast(column.type) if column.name in columns else pa.nulls(calls.num_rows, column.type)
            for column in ATTRIBUTION_SCHEMA
        ],
        schema=ATTRIBUTION_SCHEMA,
    )


def _halve(spans: pa.Table, attribute: Attribute, error: Exception, found: _Halves) -> None:
    """Split a failing table by trace until what fails is one trace."""
    traces = pc.unique(spans.column("trace_id"))
    if len(traces) < 2:
        found.failed.append((spans, error))
        return
    first = pc.is_in(spans.column("trace_id"), value_set=traces[: len(traces) // 2])
    for half in (spans.filter(first), spans.filter(pc.invert(first))):
        try:
            found.verdicts.append(attribute(half))
        except MemoryError:
            raise
        except Exception as again:
            _halve(half, attribute, again, found)


def _of_the_others(skeleton: pa.Table, attribute: Attribute, found: _Halves) -> list[pa.Table]:
    """All traces but those that fail, judged together: a call may have records in several."""
    if not found.failed:
        return found.verdicts
    failed = pa.concat_arrays([pc.unique(spans.column("trace_id")) for spans, _ in found.failed])
    others = skeleton.filter(pc.invert(pc.is_in(skeleton.column("trace_id"), value_set=failed)))
    try:
        return [attribute(others)]
    except MemoryError:
        raise
    except Exception:
        return found.verdicts
