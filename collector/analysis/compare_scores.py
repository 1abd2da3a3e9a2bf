"""Which models are good enough to be compared with: by what they score in one benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from collector.analysis.compare_models import Target


@dataclass(frozen=True, slots=True)
class Wanted:
    """A benchmark, and the least that a model must score in it, in per cent; None: whatever it scores."""

    benchmark: str
    least: float | None


class Scored(Protocol):
    """A figure of a benchmark."""

    @property
    def score(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Screened:
    """Models that may be compared with, those that score too little, and those of which nothing is known."""

    passed: tuple[Target, ...]
    below: tuple[Target, ...] = ()
    unknown: tuple[Target, ...] = ()


def screen(targets: Iterable[Target], wanted: Wanted | None, score_of: Callable[[str, str], Scored | None]) -> Screened:
    """A score that is not known never passes. `score_of`: of a benchmark and a model."""
    if wanted is None or wanted.least is None:
        return Screened(tuple(targets))
    passed: list[Target] = []
    below: list[Target] = []
    unknown: list[Target] = []
    for target in targets:
        score = score_of(wanted.benchmark, target.model)
        fate = unknown if score is None else passed if score.score >= wanted.least else below
        fate.append(target)
    return Screened(tuple(passed), tuple(below), tuple(unknown))
