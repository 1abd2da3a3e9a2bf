"""Sums per local hour or day and value of some names: what projections and anomalies are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from collector.questions import buckets
from collector.questions.measures import Measures
from collector.questions.scope import Scope, measures_of, measures_sql
from collector.questions.selection import Ask, Selection


@dataclass(frozen=True, slots=True)
class Cell:
    """Calls of one bucket with one key. Buckets without calls have no cell."""

    start: datetime
    """Local start of the bucket, with offset; an hour that is there twice in autumn has two."""
    key: tuple[str | None, ...]
    measures: Measures


def sums(ask: Ask, selection: Selection, bucket: str, by: tuple[str, ...] = ()) -> tuple[Cell, ...]:
    """In order of time, then key. `bucket` is one of `TIMES`; `by` names of `COLUMNS` or attributes."""
    zone = selection.window.zone
    names = [f"key_{at}" for at in range(len(by))]
    lines = Scope(ask, selection).rows(
        "cells", keys=by, bucket=bucket, named=", ".join(["bucket", *names]), measures=measures_sql()
    )
    return tuple(
        Cell(buckets.start(bucket, line["bucket"], zone), tuple(line[name] for name in names), measures_of(line))
        for line in lines
    )
