"""The matrix as a table of docs/instrumentation.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.interop.matrix import verdict
from tests.interop.matrix.columns import COLUMNS, SDKS, App, Column
from tests.interop.matrix.invoice import SCENARIOS, Scenario
from tests.interop.matrix.run import CLIENTS, Cell, Outcome

DOCS = Path(__file__).parent.parent.parent.parent / "docs" / "instrumentation.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def table(outcomes: Mapping[Cell, Outcome]) -> str:
    """A table per SDK: `without → with` in each cell, each of the two once where both clients agree."""
    return "\n\n".join(f"**{sdk}**\n\n" + "\n".join(_lines(sdk, outcomes)) for sdk in SDKS)


def columns_of(sdk: str) -> list[Column]:
    """The instrumentations that there are for an SDK."""
    return [column for column in COLUMNS if sdk in column.sdks]


def _lines(sdk: str, outcomes: Mapping[Cell, Outcome]) -> list[str]:
    columns = columns_of(sdk)
    head = ["", *(column.title for column in columns)]
    rows = [
        [scenario.name.replace("_", " "), *(_cell(column, sdk, scenario, outcomes) for column in columns)]
        for scenario in SCENARIOS[sdk]
    ]
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(column: Column, sdk: str, scenario: Scenario, outcomes: Mapping[Cell, Outcome]) -> str:
    words = []
    for client in CLIENTS:
        without = verdict.without_otel_cost(scenario, outcomes[App(column.name, sdk, False), scenario.name, client])
        problems = verdict.with_otel_cost(scenario, outcomes[App(column.name, sdk, True), scenario.name, client])
        words.append((without, "**wrong**" if problems else verdict.RIGHT))
    without, with_us = (_both(said) for said in zip(*words, strict=True))
    return f"{without} → {with_us}"


def _both(words: Sequence[str]) -> str:
    first, *others = words
    if all(other == first for other in others):
        return first
    return "; ".join(f"{client}: {word}" for client, word in zip(CLIENTS, words, strict=True))


def documented() -> str:
    """The table as the docs have it."""
    return DOCS.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()


def write(outcomes: Mapping[Cell, Outcome]) -> None:
    """Put the table between the markers of the docs."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCS.write_text(f"{before}{BEGIN}\n\n{table(outcomes)}\n\n{END}{after}", encoding="utf-8")
