"""What the chosen calls cost in all, and in the period before."""

from __future__ import annotations

from dataclasses import dataclass

from collector.questions.measures import Measures
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection


@dataclass(frozen=True, slots=True)
class Spend:
    """`previous` None: not asked for, or the window has no start."""

    total: Measures
    previous: Measures | None = None


def spend(ask: Ask, selection: Selection, *, compare: bool = False) -> Spend:
    """The total of a selection."""
    scope = Scope(ask, selection)
    comparable = compare and selection.window.since is not None
    return Spend(scope.total(), scope.earlier().total() if comparable else None)
