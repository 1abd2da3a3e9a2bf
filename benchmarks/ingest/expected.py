"""What the spans that were sent must cost: priced one by one and in sums, without the collector."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ingest.payload import MINUTE_NS, Usage
from benchmarks.ingest.spans import MODELS
from otel_cost.pricing import default_card, price

PROBE_TOKENS = 1_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars per token of a model at a time."""

    fresh: int
    cached: int
    output: int

    def cost_pico_usd(self, read: int, written: int, cached: int) -> int:
        """Of `read` input tokens, of which `cached` came from a cache, and `written` output tokens."""
        return (read - cached) * self.fresh + cached * self.cached + written * self.output


def scalar_pico_usd(model: int, at_ns: int, read: int, written: int, cached: int) -> int:
    """One call at the public price function. Raises ValueError when it has no price."""
    provider, request_model, response_model = MODELS[model]
    cost = price(
        provider=provider,
        request_model=request_model,
        response_model=response_model,
        at_ns=at_ns,
        usage={"input_tokens": read, "output_tokens": written, "cache_read_tokens": cached},
        context={},
        card=default_card(),
    )
    if cost.total_pico_usd is None:
        raise ValueError(f"{response_model} has no price: {cost.reason}")
    return cost.total_pico_usd


def rates(model: int, at_ns: int) -> Rates:
    """What a token more costs. Raises ValueError when prices are not whole pico-dollars per token."""
    base = scalar_pico_usd(model, at_ns, PROBE_TOKENS, PROBE_TOKENS, 0)
    steps = [
        scalar_pico_usd(model, at_ns, 2 * PROBE_TOKENS, PROBE_TOKENS, 0) - base,
        scalar_pico_usd(model, at_ns, 2 * PROBE_TOKENS, PROBE_TOKENS, PROBE_TOKENS) - base,
        scalar_pico_usd(model, at_ns, PROBE_TOKENS, 2 * PROBE_TOKENS, 0) - base,
    ]
    if any(step % PROBE_TOKENS for step in steps):
        raise ValueError(f"{MODELS[model]} is not priced per token")
    return Rates(*(step // PROBE_TOKENS for step in steps))


def cost_pico_usd(usage: Usage) -> int:
    """Of all calls together. Raises ValueError when a call of the sample is priced otherwise than the sums are."""
    for model, start_ns, read, written, cached in usage.samples:
        alone = scalar_pico_usd(model, start_ns, read, written, cached)
        if rates(model, start_ns).cost_pico_usd(read, written, cached) != alone:
            raise ValueError(f"{MODELS[model]}: a call of the sample is not priced in proportion to its tokens")
    return sum(
        rates(model, minute * MINUTE_NS).cost_pico_usd(read, written, cached)
        for (model, minute), (_, read, written, cached) in usage.sums.items()
    )


def calls(usage: Usage) -> int:
    """How many model calls there are."""
    return sum(count for count, *_ in usage.sums.values())
