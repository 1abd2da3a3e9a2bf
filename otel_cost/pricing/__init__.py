"""Exact prices: a compiled rate card, model-name resolution and integer arithmetic. Pure; pricing never raises."""

from otel_cost.pricing.card import RateCard, default_card, load_card
from otel_cost.pricing.cost import Cost, Line, Status, price, price_call, receipt_lines

__all__ = [
    "Cost",
    "Line",
    "RateCard",
    "Status",
    "default_card",
    "load_card",
    "price",
    "price_call",
    "receipt_lines",
]
