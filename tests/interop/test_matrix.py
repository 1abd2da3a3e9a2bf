"""Whatever is installed together, each model call costs in the ledger what the invoice says, once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.interop.matrix.columns import COLUMNS, App, apps
from tests.interop.matrix.invoice import SCENARIOS, Scenario
from tests.interop.matrix.run import CLIENTS, Cell, Outcome, run
from tests.interop.matrix.verdict import with_otel_cost

APPS = apps(with_otel_cost=True)
INSTALLED_HERE = tuple(app for app in apps(True, COLUMNS[:2]) if app.sdk != "google-genai")
"""No instrumentation, and Anthropic's own: what they need is installed where the tests run."""
CELLS = [
    pytest.param((app, scenario.name, client), scenario, id=f"{app.column}-{app.sdk}-{scenario.name}-{client}")
    for app in APPS
    for scenario in SCENARIOS[app.sdk]
    for client in CLIENTS
]


@pytest.mark.timeout(300)
def test_calls_are_priced_once_beside_what_is_installed_here(tmp_path: Path) -> None:
    """The short form: seven ways to call, two clients, three set-ups, one collector."""
    assert _problems(run(INSTALLED_HERE, tmp_path)) == {}


def _problems(outcomes: Mapping[Cell, Outcome]) -> dict[str, list[str]]:
    found = {}
    for (app, name, client), outcome in outcomes.items():
        if problems := with_otel_cost(_scenario(app, name), outcome):
            found[f"{app.service} {name} {client}"] = problems
    return found


def _scenario(app: App, name: str) -> Scenario:
    return next(each for each in SCENARIOS[app.sdk] if each.name == name)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, Outcome]:
    """The whole matrix, run once."""
    return run(APPS, tmp_path_factory.mktemp("matrix"))


@pytest.mark.interop
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("cell", "scenario"), CELLS)
def test_a_cell_is_right(cell: Cell, scenario: Scenario, outcomes: dict[Cell, Outcome]) -> None:
    """Calls, tokens and pico-dollars are those of the invoice, in the ledger and on the spans as they left the app."""
    assert with_otel_cost(scenario, outcomes[cell]) == []
