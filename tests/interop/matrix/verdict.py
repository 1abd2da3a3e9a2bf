"""Whether a cell of the matrix is right, and if not, what is wrong with it, in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.interop.matrix.invoice import Billed, Bounds, Scenario
from tests.interop.matrix.run import Outcome, Seen

RIGHT = "right"


def with_otel_cost(scenario: Scenario, outcome: Outcome) -> list[str]:
    """What differs between the ledger and the invoice; empty: nothing."""
    problems = []
    counted = outcome.counted
    if outcome.requests != scenario.requests:
        problems.append(f"the app sent {outcome.requests} requests, not {scenario.requests}")
    if len(counted) != scenario.calls:
        problems.append(f"{len(counted)} calls are counted, not {scenario.calls}")
    flagged = [each for each in counted if each.is_estimated or each.is_abandoned]
    reported = [each.billed for each in counted if each not in flagged]
    if Counter(reported) != Counter(scenario.billed):
        problems.append(f"billed as reported: {reported}")
    if len(flagged) != len(scenario.partly_known):
        problems.append(f"{len(flagged)} calls are flagged, not {len(scenario.partly_known)}")
    for call, bounds in zip(flagged, scenario.partly_known, strict=False):
        problems += _beside(call, bounds)
    if len(outcome.failed_attempts) != scenario.failed:
        problems.append(f"{len(outcome.failed_attempts)} failed attempts, not {scenario.failed}")
    in_ledger = sum(each.billed.cost_pico_usd for each in counted if each.billed)
    if outcome.exported_pico_usd != in_ledger:
        problems.append(f"exported spans cost {outcome.exported_pico_usd} pUSD, the ledger has {in_ledger}")
    return problems


def _beside(call: Seen, bounds: Bounds) -> list[str]:
    """What is wrong with a call of which not everything was reported."""
    problems = []
    if call.billed is None or not _within(call.billed, bounds):
        problems.append(f"{call.billed} is not within {bounds}")
    if call.is_estimated == bounds.is_reported:
        problems.append(f"estimated: {call.is_estimated}")
    if call.is_abandoned != bounds.is_abandoned:
        problems.append(f"abandoned: {call.is_abandoned}")
    return problems


def _within(call: Billed, bounds: Bounds) -> bool:
    (least_in, most_in), (least_out, most_out) = bounds.input_tokens, bounds.output_tokens
    return (
        least_in <= call.input_tokens <= most_in
        and least_out <= call.output_tokens <= most_out
        and call.cost_pico_usd == bounds.prices.pico_usd(call.input_tokens, call.output_tokens)
    )


def without_otel_cost(scenario: Scenario, outcome: Outcome) -> str:
    """What adding up the spans of the instrumentation gives, each priced by what it says."""
    calls = [each for each in outcome.seen if each.is_leaf and not (each.has_failed and each.billed is None)]
    if scenario.failed:
        return RIGHT if _failures(outcome.seen) == scenario.failed and not calls else _failure_words(outcome)
    if not calls:
        return "missed"
    priced = [
        each.billed for each in calls if each.billed and not each.is_estimated
    ]  # not what our collector estimates
    if not priced:
        return "no usage"
    return _in_words(scenario, len(calls), priced)


def _in_words(scenario: Scenario, calls: int, priced: Sequence[Billed]) -> str:
    if scenario.partly_known:
        is_near = all(_within(call, bounds) for call, bounds in zip(priced, scenario.partly_known, strict=False))
        return "not flagged" if is_near and calls == scenario.calls else _share(scenario, calls, None)
    billed, cost = sum(each.cost_pico_usd for each in scenario.billed), sum(each.cost_pico_usd for each in priced)
    if calls == scenario.calls and cost == billed:
        return RIGHT
    return _share(scenario, calls, 100 * cost / billed)


def _share(scenario: Scenario, calls: int, percent: float | None) -> str:
    words = [] if calls == scenario.calls else [f"{calls} calls for {scenario.calls}"]
    words.append("wrong tokens" if percent is None else f"{percent:.0f} % of the cost")
    return ", ".join(words)


def _failures(seen: Sequence[Seen]) -> int:
    return sum(each.is_leaf and each.has_failed for each in seen)


def _failure_words(outcome: Outcome) -> str:
    failures = _failures(outcome.seen)
    return "missed" if not outcome.seen else f"{failures} failures for 1"
