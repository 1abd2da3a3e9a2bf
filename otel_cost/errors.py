"""The exceptions of the app half, as a tree.

OtelCostError
  RateCardError     a rate card that cannot be read or built
"""


class OtelCostError(Exception):
    """Base of everything that otel-cost raises on purpose."""


class RateCardError(OtelCostError):
    """A rate card that cannot be read or built; the message names the file and the row."""
