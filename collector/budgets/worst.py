"""The dearest price of a token that a rate card has: what budgets may count calls at whose price is not known."""

from __future__ import annotations

from collector.budgets.counting import WorstRates
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.rates import RateRow

_PPM = 1_000_000
IMPLAUSIBLE_PICO_USD = 10**9
"""Per token: $1,000 a million. No provider asks so much; catalogues that say so are a thousand times off."""


def dearest(card: RateCard) -> WorstRates:
    """Over all models, variants and sizes of input, but what cannot be; rounded up. Goes through the whole card."""
    worst_in = worst_out = 0
    for row in card.reopened().rows():
        worst_in = max(worst_in, _rate(row, "input_tokens"))
        worst_out = max(worst_out, _rate(row, "output_tokens"))
    return WorstRates(worst_in, worst_out)


def _rate(row: RateRow, unit: str) -> int:
    """Pico-USD of one."""
    rate = row.rate(unit)
    pico_usd = 0 if rate is None else -(-rate.pico_usd * rate.multiplier_ppm // (rate.per * _PPM))
    return pico_usd if pico_usd <= IMPLAUSIBLE_PICO_USD else 0
