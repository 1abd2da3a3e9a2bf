"""Sums per local hour or day and value of some names: what projections and anomalies are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from collector.questions.measures import Measures
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
    raise NotImplementedError
