"""What models of a comparison score, for people and for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from collector.analysis.compare_models import Target
from collector.analysis.compare_scores import Screened, Wanted
from collector.catalogue.benchmark_scores import score_of
from collector.cli.table import Column


class Scores(NamedTuple):
    """What was wanted of models in a benchmark, and what became of them."""

    wanted: Wanted
    screened: Screened

    def of(self, target: Target) -> dict[str, Any] | None:
        """None: not known."""
        found = score_of(self.wanted.benchmark, target.model)
        return None if found is None else asdict(found)


def score_columns(scores: Scores | None, models: Sequence[Target]) -> list[Column]:
    if scores is None:
        return []
    found = [scores.of(model) for model in models]
    cells = ["unknown" if score is None else f"{score['score']:g}%" for score in found]
    return [Column(scores.wanted.benchmark, cells, ("",), 2)]


def score_notes(scores: Scores | None) -> list[str]:
    """How many models were left out, and where the figures are from."""
    if scores is None:
        return []
    wanted, below, unknown = scores.wanted, scores.screened.below, scores.screened.unknown
    notes = [f"{wanted.benchmark}: as providers say of their own models; settings, dates and sources: --json"]
    if wanted.least is not None:
        told = f"{len(below):,} score less than {wanted.least:g}%, of {len(unknown):,} no score is known"
        notes.append(f"models left out: {told}")
    return notes


def json_scores(scores: Scores | None) -> dict[str, Any] | None:
    """The documented shape (docs/compare.md)."""
    if scores is None:
        return None
    below, unknown = scores.screened.below, scores.screened.unknown
    left_out = [{**target._asdict(), "score": scores.of(target)} for target in (*below, *unknown)]
    return {
        "name": scores.wanted.benchmark,
        "min_score": scores.wanted.least,
        "below_models": len(below),
        "unknown_models": len(unknown),
        "left_out": left_out,
    }
