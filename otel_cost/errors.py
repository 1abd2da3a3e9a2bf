"""The exceptions of the app half, as a tree.

OtelCostError
  RateCardError     a rate card that cannot be read or built
  MoneyError        an amount that is no exact decimal number (also a ValueError)
  OverridesError    overrides of prices that cannot be used (also a ValueError)
  ReceiptError      a receipt text that cannot be read back (also a ValueError)
"""


class OtelCostError(Exception):
    """Base of everything that otel-cost raises on purpose."""


class RateCardError(OtelCostError):
    """A rate card that cannot be read or built; the message names the file and the row."""


class MoneyError(OtelCostError, ValueError):
    """An amount that is no exact decimal number: a float, no number, not finite."""


class OverridesError(OtelCostError, ValueError):
    """Overrides that cannot be used; the message is every problem, one per line, with its place."""


class ReceiptError(OtelCostError, ValueError):
    """A receipt text that cannot be read back."""
