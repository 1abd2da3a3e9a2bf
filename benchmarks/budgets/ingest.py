"""What 10,000 counters of a template add to a span in ingest: two collectors, one without rules, under the same load.

Requests of 512 spans over gRPC as fast as they are acknowledged, half of the spans calls, each of one of 10,000
customers. Loads alternate between the two, in turn which one is first; CPU time is that of the collector, without the
process that answers questions, from a load's first request until all of it can be queried and the collector is at rest.
The first loads make the counters and are not looked at. Of the differences the median counts: now and then one of the
two merges files for a load, and others use the machine too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles

import duckdb

from benchmarks.ingest import processes
from benchmarks.ingest.plan import Plan
from benchmarks.ingest.system import free_ports
from benchmarks.ingest.systems import OtelCost
from benchmarks.ingest.trials import Trial

CUSTOMERS = 10_000
SPANS_PER_REQUEST, REQUESTS = 512, 512
PAIRS = 9
TARGET_US = 1.0
_RULE = """
processors:
  budget:
    rules: [{name: each, scope: customer, limit: 5000 USD/day}]
"""


class Plain(OtelCost):
    """With an API that nobody else finds: answering questions is no part of ingest."""

    rules = ""

    def command(self) -> list[str]:
        """See System."""
        command = super().command()
        config = Path(command[-1])
        (port,) = free_ports(1)
        config.write_text(f'{config.read_text()}  api: {{endpoint: "127.0.0.1:{port}"}}\n{self.rules}')
        return command


class Budgeted(Plain):
    """With a budget for each customer."""

    rules = _RULE


def holds() -> bool:
    """Print what a span costs with and without counters; whether the median of the differences is within the target."""
    processes.clean_up_when_told_to_end()
    plan = Plan(
        "grpc", 0, SPANS_PER_REQUEST, "half", CUSTOMERS, connections=2, in_flight=8, requests=REQUESTS
    )  # fmt: skip
    with ExitStack() as stack:
        trials = [stack.enter_context(Trial(make)) for make in (Plain, Budgeted)]
        taken: list[tuple[float, float]] = []
        for number in range(PAIRS + 1):
            order = (0, 1) if number % 2 else (1, 0)
            costs = {at: _cpu_us_per_span(trials[at], plan) for at in order}
            taken.append((costs[0], costs[1]))
        for trial in trials:  # nobody else may open its ledger before
            trial.system.stop()
        published = [trial.system.folder / "otel-cost.duckdb" for trial in trials]
        commits = [_commits(path) for path in published]
        counters = _counters(published[1])
    return _shown(taken[1:], commits, counters)


def _cpu_us_per_span(trial: Trial, plan: Plan) -> float:
    before = _cpu_seconds(trial)
    cost = trial.load(plan)
    assert cost.missing_spans == 0
    return (_cpu_seconds(trial) - before) / cost.load.acked_spans * 1e6


def _cpu_seconds(trial: Trial) -> float:
    pid = trial.system.pid
    return next(stat.cpu_seconds for stat in processes.tree(pid) if stat.pid == pid)


def _shown(taken: Sequence[tuple[float, float]], commits: Sequence[Sequence[int]], counters: int) -> bool:
    without, with_rule = zip(*taken, strict=True)
    added = [b - a for a, b in taken]
    low, _, high = quantiles(added, n=4)
    print(
        f"{counters:,} counters in ingest, {len(taken)} pairs of {SPANS_PER_REQUEST * REQUESTS:,} spans in requests of "
        f"{SPANS_PER_REQUEST}: {median(without):.2f} us CPU a span without, {median(with_rule):.2f} with, added "
        f"{median(added):.2f} (half of the pairs {low:.2f} to {high:.2f}; target {TARGET_US:.0f})"
    )
    for name, spans in zip(("without", "with"), commits, strict=True):
        print(
            f"  commits {name}: {len(spans)}, {median(spans):,.0f} spans on median; half of the spans came in commits "
            f"of {_middle(spans):,} or more"
        )
    return median(added) <= TARGET_US


def _middle(spans: Sequence[int]) -> int:
    """The size of the commit that the middle one of all spans is in."""
    ordered = sorted(spans)
    half = sum(ordered) / 2
    return next(size for size, total in zip(ordered, accumulate(ordered), strict=True) if total >= half)


def _commits(published: Path) -> list[int]:
    """Spans of each commit that held a whole request."""
    with duckdb.connect(f"{published}.live/ledger.duckdb", read_only=True) as ledger:
        rows = ledger.execute("SELECT spans FROM _ledger.batch WHERE spans >= ?", [SPANS_PER_REQUEST]).fetchall()
    return [int(spans) for (spans,) in rows]


def _counters(published: Path) -> int:
    with duckdb.connect(str(published), read_only=True) as found:
        (rows,) = found.execute("SELECT count(*) FROM budgets").fetchall()
    return int(rows[0])
