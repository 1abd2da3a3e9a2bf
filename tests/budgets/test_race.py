"""Many processes spend one budget at once: no more is spent than it has, and nobody is refused while it has room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budgets.budgeted import hard_budget, settled_counters, verified
from tests.budgets.calls import Plan
from tests.budgets.fleet import Fleet
from tests.budgets.judging import failures, outcome_of, unanswered
from tests.support.collector_process import CollectorProcess

MEAN_CALL_USD = 0.035
"""Of `calls.Caller`; budgets have room for two fifths of the calls."""
STARVED_SECONDS = 60.0
"""So long the guard waits for an answer, instead of 2 s: the collector is one of 65 processes that want to run, perhaps
on one core, and has to be asked for there to be a race at all."""


@pytest.mark.parametrize("has_exact_estimates", [True, False], ids=["exact", "rough"])
@pytest.mark.parametrize(
    ("processes", "calls", "seeds"),
    [
        (8, 10, range(1, 2)),
        pytest.param(64, 20, range(1, 101), marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
    ids=["short", "full"],
)
def test_a_budget_that_many_processes_spend_at_once_holds(
    tmp_path: Path, processes: int, calls: int, seeds: range, has_exact_estimates: bool
) -> None:
    """Overspend is at most what calls in flight cost beyond their estimates: nothing, with exact ones. Each refusal's
    own figures say that there was no room.

    The rule is closed when the collector cannot be reached, so that the same bound holds for calls that got no answer.
    (What is open then, as rules are by default, may be overspent by all calls that got none.) A process that has heard
    nothing yet knows no rule: calls that it lets through are told apart, and count on top.
    """
    with CollectorProcess(tmp_path, processors=race_budget(processes * calls), has_api=True) as collector:
        for seed in seeds:
            race(collector, tmp_path / f"seed-{seed}", processes, calls, seed, has_exact_estimates)
        verified(collector)


def race_budget(calls: int) -> str:
    """`processors` of a config with room for two fifths of the calls of one customer."""
    return hard_budget(f"{0.4 * MEAN_CALL_USD * calls:.2f}", more="when_unreachable: closed")


def race(
    collector: CollectorProcess, folder: Path, processes: int, calls: int, seed: int, has_exact_estimates: bool
) -> None:
    """One race for the budget of one customer, who is nobody else's. Each process makes so many calls."""
    customer, threads = f"customer-{seed}", (1, 5, calls)[seed % 3]
    plan = Plan(
        collector.api_url, collector.http_url, str(folder), (customer,), processes, threads, calls // threads, seed,
        has_exact_estimates, answer_seconds=STARVED_SECONDS,
    )  # fmt: skip
    with Fleet(plan) as fleet:
        fleet.go()
        fleet.wait()
    notes = fleet.notes()
    found = outcome_of(notes, customer)
    counter = settled_counters(collector, {customer: found.cost})[customer]
    overspent = max(0, counter.spent - counter.limit)
    print(
        f"seed {seed}: {found.made} calls made, {found.blocked} blocked, {found.refusals} refusals, spent "
        f"{counter.spent / counter.limit:.4f} of the limit, overspent {overspent / 1e12} of at most "
        f"{found.underestimated_in_flight / 1e12} USD, {len(unanswered(notes))} requests without an answer"
    )
    assert failures(notes) == []
    assert found.unasked == 0 or unanswered(notes), "calls passed that nobody was asked about"
    assert found.blocked > 0
    assert found.wrongly_refused == []
    assert counter.spent == found.cost, "the counter is what the calls cost"
    assert counter.leased == 0 or unanswered(notes), "all is given back"
    assert overspent <= found.underestimated_in_flight + found.unasked_cost
    assert found.underestimated_in_flight == 0 or not has_exact_estimates
