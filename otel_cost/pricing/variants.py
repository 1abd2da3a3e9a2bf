"""Which variant of a price a call was served in: standard, batch, flex, priority or fast."""

from __future__ import annotations

from collections.abc import Mapping

from otel_cost.pricing.card import STANDARD

TIER_ALIASES: dict[str, str] = {
    "": STANDARD,
    "default": STANDARD,
    "standard": STANDARD,
    "auto": STANDARD,
    "on_demand": STANDARD,
    "none": STANDARD,
    "batch": "batch",
    "flex": "flex",
    "on_demand_flex": "flex",
    "priority": "priority",
    "on_demand_priority": "priority",
    "fast": "fast",
}
"""Service tier as served, lower case -> variant. A tier that is not here is a variant of its own, without a price.

Sources: OpenAI `service_tier`, Anthropic `usage.service_tier`, Vertex AI `trafficType`, Groq and Bedrock tiers.
"""

REGION_KEYS: dict[str, frozenset[str]] = {
    "data_residency": frozenset({"", "global", "none", "default"}),
    "inference_geo": frozenset({"", "global", "none", "default", "not_available"}),
}
"""Context keys that can make a call dearer by region -> values that do not."""


def variant_of_tier(service_tier: str | None) -> str:
    """The variant that a service tier names."""
    if service_tier is None:
        return STANDARD
    tier = service_tier.strip().lower()
    return TIER_ALIASES.get(tier, tier)


def variant_of(context: Mapping[str, str]) -> str:
    """The variant that a call's context names. Batch is sure where it is said; then speed; then the tier served."""
    for key in ("processing", "speed"):
        variant = variant_of_tier(context.get(key))
        if variant != STANDARD:
            return variant
    return variant_of_tier(context.get("service_tier"))
