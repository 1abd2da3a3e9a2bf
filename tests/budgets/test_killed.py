"""`kill -9` of callers and of the collector while a budget is spent: it is whole again in time, and told of once."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from collector.budgets.thresholds import needed
from tests.budgets.budgeted import BUDGET, counters, hard_budget, recounted, settled_counters, verified
from tests.budgets.calls import Plan
from tests.budgets.fleet import Fleet
from tests.budgets.judging import outcome_of
from tests.support.collector_process import CollectorProcess
from tests.support.http_receiver import HttpReceiver

CUSTOMER = "acme"
NOTICED_SECONDS = 5.0
"""Beyond the end of a lease: the collector looks each second, and machines are slow."""
CHANNELS = 'channels: {{webhook: {{url: "{}", secret: "not-so-very-secret"}}}}'
WARN_PPM = (100_000, 900_000)


@pytest.mark.parametrize(
    ("lease_seconds", "grace_seconds"),
    [(3.0, 3.0), pytest.param(30.0, 60.0, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
def test_what_killed_processes_held_is_free_again_within_lease_time_and_grace(
    tmp_path: Path, lease_seconds: float, grace_seconds: float
) -> None:
    """Half of the processes are killed mid-call; afterwards the budget less what was spent can be had by others."""
    program = ("-m", "tests.budgets.short_leases", str(lease_seconds), str(grace_seconds))
    config = hard_budget("100", more="when_unreachable: closed")
    with CollectorProcess(tmp_path, program=program, processors=config, has_api=True) as collector:
        plan = Plan(
            collector.api_url,
            collector.http_url,
            str(tmp_path / "app"),
            (CUSTOMER,),
            8,
            4,
            10,
            1,
            most_call_seconds=0.3,
        )
        with Fleet(plan) as fleet:
            fleet.go()
            for number in range(0, plan.processes, 2):
                fleet.kill_within_a_call(number)
            killed_at = time.monotonic()
            assert counters(collector)[CUSTOMER].leased > 0, "nothing was held: the test proves nothing"
            fleet.wait()
        begun = {note["call"] for note in fleet.notes() if note["kind"] == "begun"}
        ended = {note["call"] for note in fleet.notes() if note["kind"] == "ended"}
        assert begun - ended, "nobody was killed within a call"
        while counters(collector)[CUSTOMER].leased:
            waited = time.monotonic() - killed_at
            assert waited < lease_seconds + grace_seconds + NOTICED_SECONDS, "leases of the dead are held for longer"
            time.sleep(0.1)
        counter = counters(collector)[CUSTOMER]
        assert 0 < counter.spent <= counter.limit
        verified(collector)


@pytest.mark.parametrize(
    ("kills", "calls", "seed"),
    [(3, 120, 1), pytest.param(50, 600, 2, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_a_collector_that_is_killed_at_random_holds_budgets_and_tells_of_each_threshold_once(
    tmp_path: Path, kills: int, calls: int, seed: int
) -> None:
    """Exact estimates and a budget that is closed while nobody answers: leases that the killed collector granted are
    honoured, so nothing is overspent. Each threshold that a counter has passed has one idempotency key."""
    chance, customers = Random(seed), tuple(f"customer-{number}" for number in range(kills + 3))
    more = "when_unreachable: closed, warn_at: [10%, 90%], on_warn: [webhook]"
    with HttpReceiver() as receiver:
        config = hard_budget("1", more, CHANNELS.format(receiver.url))
        with CollectorProcess(tmp_path, processors=config, has_api=True) as collector:
            plan = Plan(
                collector.api_url, collector.http_url, str(tmp_path / "app"), customers, 4, 3, calls, seed,
                pause_seconds=0.2,
            )  # fmt: skip
            with Fleet(plan) as fleet:
                fleet.go()
                for _ in range(kills):
                    time.sleep(chance.uniform(0.3, 1.5))
                    collector.kill()
                    collector.spawn()
                    collector.wait_until_ready()
                fleet.wait()
            notes = fleet.notes()
            found = {customer: outcome_of(notes, customer) for customer in customers}
            spent = {customer: each.cost for customer, each in found.items() if each.made}
            held = settled_counters(collector, spent, is_given_back=False)
            assert [note for note in notes if note["kind"] == "failed"] == []
            assert {customer: held[customer].spent for customer in spent} == spent
            for customer, counter in held.items():
                let_through = found[customer].unasked_cost
                assert counter.spent - let_through <= counter.limit, customer
                assert found[customer].wrongly_refused == []
            due = {
                (customer, ppm)
                for customer, counter in held.items()
                for ppm in WARN_PPM
                if counter.spent >= needed(ppm, counter.limit)
            }
            assert due, "no threshold was passed: the test proves nothing"
            receiver.wait_for(len(due))
            verified(collector)
        keys: dict[tuple[str, int], set[str]] = {}
        for message in receiver.received:
            body = message.body
            assert body["rule"] == BUDGET
            if body["kind"] == "warn":
                threshold = body["scope_value"], int(body["threshold_percent"] * 10_000)
                keys.setdefault(threshold, set()).add(message.headers["idempotency-key"])
        assert keys.keys() == due, "an alert is lost"
        assert [threshold for threshold, each in keys.items() if len(each) > 1] == [], "told of twice"
        assert recounted(collector.database) == spent
