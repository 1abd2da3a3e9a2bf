"""A price and its receipt: the values that pricing yields, and a receipt as one line of text."""

from enum import StrEnum
from typing import NamedTuple

from otel_cost.call import Flag
from otel_cost.errors import ReceiptError
from otel_cost.pricing.money import PPM, divide_half_even


class Status(StrEnum):
    """How far a cost can be trusted (meaning of each: docs/pricing.md)."""

    PRICED = "priced"  # every used class had a rate
    FREE = "free"  # costs nothing, and we know it
    REPORTED = "reported"  # the provider said what it billed
    ESTIMATED = "estimated"  # the emitter estimated the tokens
    PARTIAL = "partial"  # a used class has no rate, or a count was unreadable: the total is a lower bound
    UNPRICED = "unpriced"  # unknown: no total, never 0


class Line(NamedTuple):
    """One class of a receipt: `cost = half_even(quantity x rate x multiplier_ppm, per x 1,000,000)`.

    `quantity` is in the unit's quantum; the rate is pico-USD per `per` of them.
    """

    unit: str
    quantity: int
    rate_pico_usd: int
    per: int
    cost_pico_usd: int
    multiplier_ppm: int = PPM


class Cost(NamedTuple):
    """A call's price and its receipt. `total_pico_usd` is the sum of the lines, None when unpriced."""

    status: Status
    total_pico_usd: int | None
    model: str | None
    card: str
    rate_row: str | None
    lines: tuple[Line, ...]
    reason: str | None
    flags: Flag


REASON_UNREADABLE = "a count was no usable number"
REASON_NO_USAGE = "no usage reported"
REASON_TOO_HIGH = "the total is above 999,999 USD"
REASON_CACHE_HIT = "answered from a cache"
REASON_FAILED = "failed without usage"

RECEIPT_VERSION = "1"


class Receipt(NamedTuple):
    """What a receipt text holds; the total is the sum of the lines."""

    card: str
    rate_row: str
    lines: tuple[Line, ...]


def receipt_text(cost: Cost) -> str | None:
    """A receipt as compact text, for a span attribute; None for a cost without lines.

    `1;CARD;RATE_ROW;input_tokens=400*1250000*1100000ppm;audio_seconds=12500000*360000000000/3600000000`: quantity times
    rate times multiplier, per 1 and times 1 unless it says otherwise. Amounts are not repeated: see `Line`.
    """
    if cost.rate_row is None or not cost.lines:
        return None
    parts = [RECEIPT_VERSION, cost.card, cost.rate_row]
    for unit, quantity, rate, per, _, multiplier_ppm in cost.lines:
        parts.append(f"{unit}={quantity}*{rate}{end_of_line(per, multiplier_ppm)}")
    return ";".join(parts)


def end_of_line(per: int, multiplier_ppm: int) -> str:
    """What follows the rate in a receipt's line."""
    divided = f"/{per}" if per != 1 else ""
    return f"{divided}*{multiplier_ppm}ppm" if multiplier_ppm != PPM else divided


def parse_receipt(text: str) -> Receipt:
    """Read `receipt_text` back.

    Raises:
        ReceiptError: the text is no receipt of this version.
    """
    version, _, rest = text.partition(";")
    if version != RECEIPT_VERSION:
        raise ReceiptError(f"not a receipt of version {RECEIPT_VERSION}: {text[:80]!r}")
    try:
        card, row, *parts = rest.split(";")
        return Receipt(card, row, tuple(_line(part) for part in parts))
    except ValueError as error:
        raise ReceiptError(f"not a receipt: {text[:80]!r}") from error


def _line(part: str) -> Line:
    unit, _, product = part.partition("=")
    quantity_text, price, *more = product.split("*")
    rate_text, _, per_text = price.partition("/")
    quantity, rate, per = int(quantity_text), int(rate_text), int(per_text or "1")
    multiplier_ppm = int(more[0].removesuffix("ppm")) if more else PPM
    if per < 1 or len(more) > 1:
        raise ValueError(part)
    amount = divide_half_even(quantity * rate * multiplier_ppm, per * PPM)
    return Line(unit, quantity, rate, per, amount, multiplier_ppm)
