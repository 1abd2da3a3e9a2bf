"""What providers say that their models score in benchmarks: shipped beside this module, with setting, date and source.

Only figures of the provider itself, as those of others are of other settings, and only from sources whose licence lets
them be passed on. `python -m collector.catalogue.build.scores` writes the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "benchmark_scores.json"
_VERSION = re.compile(r"-(latest|\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|00\d|0)\Z", re.ASCII)
"""How names of models end that are of one version of them."""


@dataclass(frozen=True, slots=True)
class Score:
    """Per cent, how it was measured (empty: not said), as of which day, and who says so."""

    score: float
    setting: str
    date: str
    source: str


def benchmarks() -> tuple[str, ...]:
    """The names of all of them."""
    return tuple(sorted({name for scores in _shipped().values() for name in scores}))


def score_of(benchmark: str, model: str) -> Score | None:
    """The lowest that is known of a model, whoever sells it; None: not known.

    A model of no version has the scores of all of its versions, a version those of the model. Else a name is that
    model's or it is another model: sizes and editions are never taken for one another, nor is the latest version for
    one that was measured.
    """
    names = _names(model.rpartition("/")[2].lower())
    found = [score for name in names for score in _shipped()[name].get(benchmark, ())]
    return min(found, key=lambda score: (score.score, score.date, score.setting), default=None)


def _names(name: str) -> Sequence[str]:
    plain = _plain(name)
    exact = next((each for each in (name, plain) if each in _shipped()), None)
    if exact is not None:
        return (exact,)
    return _versions().get(plain, ()) if name == plain else ()


def _plain(name: str) -> str:
    return _VERSION.sub("", name)


@cache
def _versions() -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name in _shipped():
        found.setdefault(_plain(name), []).append(name)
    return found


@cache
def _shipped() -> Mapping[str, Mapping[str, Sequence[Score]]]:
    """Model -> benchmark -> scores."""
    file: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    sources = [f"{each['repository']} @{each['commit']} ({each['licence']})" for each in file["sources"]]
    return {
        model: {
            benchmark: [
                Score(score, setting, date, sources[source] + (f", citing {cited}" if cited else ""))
                for score, setting, date, source, cited in rows
            ]
            for benchmark, rows in scores.items()
        }
        for model, scores in file["models"].items()
    }
