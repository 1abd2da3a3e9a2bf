"""What a user's own contract says of prices, laid over a rate card. Nothing of this is imported without overrides."""

from otel_cost.pricing.overrides.cards import Cards
from otel_cost.pricing.overrides.overlay import overlay
from otel_cost.pricing.overrides.reader import overrides_from, read_overrides
from otel_cost.pricing.overrides.values import Overrides

__all__ = ["Cards", "Overrides", "overlay", "overrides_from", "read_overrides"]
