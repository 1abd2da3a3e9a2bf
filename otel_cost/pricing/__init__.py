"""Exact prices: a compiled rate card, model-name resolution and integer arithmetic. Pure; pricing never raises."""

from otel_cost.pricing.card import RateCard, default_card, load_card
from otel_cost.pricing.cost import price, price_call, receipt_lines
from otel_cost.pricing.result import Cost, Line, Receipt, Status, parse_receipt, receipt_text

__all__ = [
    "Cost",
    "Line",
    "RateCard",
    "Receipt",
    "Status",
    "default_card",
    "load_card",
    "parse_receipt",
    "price",
    "price_call",
    "receipt_lines",
    "receipt_text",
]
