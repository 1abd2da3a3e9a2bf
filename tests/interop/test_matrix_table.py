"""The published matrix has every cell, and its verdicts see what is wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.interop.matrix import table
from tests.interop.matrix.columns import SDKS
from tests.interop.matrix.invoice import SCENARIOS, Billed, Scenario
from tests.interop.matrix.run import Outcome, Seen
from tests.interop.matrix.verdict import RIGHT, with_otel_cost, without_otel_cost

CALL = Billed(10, 5, 0, 0, 1000)
CHAT = Scenario("chat", 1, (CALL,))
ERROR = Scenario("error", 1, failed=1)


def _seen(billed: Billed | None = CALL, *, counted: bool = True, reason: str | None = None) -> Seen:
    row: Mapping[str, object] = {"not_counted_reason": reason}
    return Seen(
        billed,
        is_counted=counted,
        is_leaf=True,
        has_failed=reason == "failed",
        is_estimated=False,
        is_abandoned=False,
        row=row,
    )


def _outcome(*seen: Seen, exported_pico_usd: int = 1000) -> Outcome:
    return Outcome(1, seen, exported_pico_usd, ())


FAILED = _seen(None, counted=False, reason="failed")


@pytest.mark.parametrize("sdk", SDKS)
def test_the_docs_list_exactly_the_cells_of_the_matrix(sdk: str) -> None:
    """A column per instrumentation and a row per scenario; with us, every cell is right."""
    head, _, *rows = _table_of(sdk)
    assert head == ["", *(column.title for column in table.columns_of(sdk))]
    assert [row[0] for row in rows] == [scenario.name.replace("_", " ") for scenario in SCENARIOS[sdk]]
    assert {len(row) for row in rows} == {len(head)}
    assert {cell.partition(" → ")[2] for row in rows for cell in row[1:]} == {RIGHT}


def _table_of(sdk: str) -> list[list[str]]:
    lines = table.documented().partition(f"**{sdk}**\n\n")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_a_call_that_is_as_billed_is_right() -> None:
    """One call, its tokens, its cost, also on the span."""
    assert with_otel_cost(CHAT, _outcome(_seen())) == []


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(_outcome(exported_pico_usd=0), id="missed"),
        pytest.param(_outcome(_seen(), _seen(), exported_pico_usd=2000), id="twice"),
        pytest.param(_outcome(_seen(Billed(10, 4, 0, 0, 1000))), id="tokens"),
        pytest.param(_outcome(_seen(Billed(10, 5, 0, 0, 1001)), exported_pico_usd=1001), id="cost"),
        pytest.param(_outcome(_seen(), exported_pico_usd=2000), id="exported-twice"),
        pytest.param(_outcome(_seen(), FAILED), id="failed-too"),
    ],
)
def test_what_is_not_as_billed_is_wrong(outcome: Outcome) -> None:
    """One call more or less, one token, one pico-dollar, in the ledger or on the spans."""
    assert with_otel_cost(CHAT, outcome) != []


def test_an_error_is_one_failed_attempt() -> None:
    """It costs nothing, and the user failed once, however many instrumentations saw it."""
    assert with_otel_cost(ERROR, _outcome(FAILED, exported_pico_usd=0)) == []
    assert with_otel_cost(ERROR, _outcome(FAILED, FAILED, exported_pico_usd=0)) != []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ((_seen(),), RIGHT),
        ((), "missed"),
        ((_seen(None),), "no usage"),
        ((_seen(), _seen()), "2 calls for 1, 200 % of the cost"),
        ((_seen(Billed(10, 4, 0, 0, 800)),), "80 % of the cost"),
    ],
)
def test_without_us_spans_are_added_up_as_they_are(seen: tuple[Seen, ...], words: str) -> None:
    """What somebody sees who adds up all spans of model calls."""
    assert without_otel_cost(CHAT, _outcome(*seen)) == words
