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

PLACE_KEYS: tuple[str, ...] = ("data_residency", "inference_geo", "location", "region")
"""Context keys that say where a call was processed; the first that says something counts."""

ANYWHERE = frozenset({"", "global", "none", "default", "not_available"})
"""Values of `PLACE_KEYS` that name no place."""

GEOGRAPHIES: tuple[tuple[str, str], ...] = (
    ("us-gov-", "us-gov"),
    ("usgov", "us-gov"),
    ("ap-", "apac"),
    ("asia-", "apac"),
    ("europe-", "eu"),
    ("northamerica-", "ca"),
)
"""How a cloud's region begins -> the geography that price lists name, where the first word does not say it."""


def region_of(context: Mapping[str, str]) -> str | None:
    """Where a call was processed, lower case; None if that is nowhere in particular."""
    for key in PLACE_KEYS:
        value = context.get(key, "").strip().lower()
        if value not in ANYWHERE:
            return value
    return None


def region_names(region: str) -> tuple[str, ...]:
    """The names under which rates of a region may be listed, nearest first: `eu-central-1`, then `eu`."""
    for start, geography in GEOGRAPHIES:
        if region.startswith(start):
            return (region, geography)
    geography, dash, _ = region.partition("-")
    return (region, geography) if dash else (region,)


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
