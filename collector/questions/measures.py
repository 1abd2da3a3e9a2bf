"""The figures of a group of counted calls, the same in every view."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Measures:
    """Sums over calls. Money leaves out unpriced calls, whose number stands beside it. Tokens None: no call says.

    `executions`: distinct runs (a call outside any run: its trace); None where it was not asked for, or not additive.
    `useful_output_tokens`: output of calls that succeeded and had no later attempt.
    """

    calls: int
    cost_usd: Decimal
    unpriced_calls: int
    partial_calls: int
    estimated_calls: int
    estimated_cost_usd: Decimal
    reported_calls: int
    failed_calls: int
    retries: int
    retry_cost_usd: Decimal
    wasted_cost_usd: Decimal
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    useful_output_tokens: int
    executions: int | None
