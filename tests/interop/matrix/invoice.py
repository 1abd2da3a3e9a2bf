"""What the provider bills for each scenario of the apps: tokens of its answers times its published prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

PICO = 10**12


@dataclass(frozen=True, slots=True)
class Prices:
    """Published prices in dollars per million tokens. `write` is that of the kind of cache that the call writes."""

    input: str
    output: str
    read: str = "0"
    write: str = "0"

    def pico_usd(self, input_tokens: int, output_tokens: int, read: int = 0, write: int = 0) -> int:
        """The price of a call; `input_tokens` includes what was read from the cache and written to it."""
        lines = (
            (input_tokens - read - write, self.input),
            (read, self.read),
            (write, self.write),
            (output_tokens, self.output),
        )
        total = sum((tokens * Decimal(price) / 1_000_000 for tokens, price in lines), Decimal(0))
        return int(total * PICO)


@dataclass(frozen=True, slots=True, order=True)
class Billed:
    """A call as the invoice has it: `input_tokens` includes the cache, `output_tokens` includes reasoning."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_pico_usd: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """A call whose tokens nobody was told in full: what was sent and delivered, counted by hand, give or take."""

    input_tokens: tuple[int, int]
    output_tokens: tuple[int, int]
    prices: Prices
    is_abandoned: bool = True  # False: it was read to the end, and the provider told nobody
    is_reported: bool = False  # True: the provider told what was used so far


@dataclass(frozen=True, slots=True)
class Scenario:
    """A way to call a model, as `requests` HTTP requests that become the calls of `billed`."""

    name: str
    requests: int
    billed: tuple[Billed, ...] = ()
    partly_known: tuple[Bounds, ...] = ()  # each must say so
    failed: int = 0  # calls of the user that failed; none is billed

    @property
    def calls(self) -> int:
        """Calls that are paid for."""
        return len(self.billed) + len(self.partly_known)


def _billed(prices: Prices, input_tokens: int, output_tokens: int, *, read: int = 0, write: int = 0) -> Billed:
    cost = prices.pico_usd(input_tokens, output_tokens, read, write)
    return Billed(input_tokens, output_tokens, read, write, cost)


GPT_4O = Prices("2.5", "10", read="1.25")
GPT_4O_MINI = Prices("0.15", "0.60", read="0.075")
GPT_41 = Prices("2", "8", read="0.5")
GPT_35_TURBO = Prices("0.5", "1.5")
GPT_5_NANO = Prices("0.05", "0.40", read="0.005")
O3_MINI = Prices("1.10", "4.40", read="0.55")

OPENAI = (
    Scenario("chat", 2, (_billed(GPT_4O, 1220, 100, read=1152), _billed(GPT_41, 75, 23))),
    Scenario("stream", 2, (_billed(GPT_4O_MINI, 75, 51), _billed(GPT_4O, 1515, 8, read=1390))),
    Scenario("stream_without_usage", 1, partly_known=(Bounds((5, 20), (15, 40), GPT_35_TURBO, is_abandoned=False),)),
    Scenario(
        "tool_loop",
        4,
        (
            _billed(GPT_4O_MINI, 75, 51),
            _billed(O3_MINI, 12, 30),
            _billed(O3_MINI, 12, 30),
            _billed(GPT_4O_MINI, 99, 25),
        ),
    ),
    Scenario("error", 1, failed=1),
    Scenario("retry", 3, (_billed(GPT_5_NANO, 8, 377),)),
    Scenario("abandoned", 1, partly_known=(Bounds((2, 20), (4, 16), GPT_5_NANO),)),
)

SONNET = Prices("3", "15", read="0.30", write="3.75")
SONNET_FOR_AN_HOUR = Prices("3", "15", read="0.30", write="6")
HAIKU_45 = Prices("1", "5", read="0.10", write="1.25")
OPUS_3 = Prices("15", "75")

ANTHROPIC = (
    Scenario("chat", 1, (_billed(SONNET_FOR_AN_HOUR, 2073, 100, write=2056),)),
    Scenario("stream", 2, (_billed(SONNET, 721, 113), _billed(SONNET, 1042, 100, read=1031))),
    Scenario(
        "tool_loop",
        4,
        (
            _billed(SONNET, 721, 112),
            _billed(HAIKU_45, 7361, 4, read=7351),
            _billed(HAIKU_45, 7361, 4, read=7351),
            _billed(OPUS_3, 768, 29),
        ),
    ),
    Scenario("error", 1, failed=1),
    Scenario("retry", 3, (_billed(SONNET, 1532, 33, read=1111, write=418),)),
    Scenario("abandoned", 1, partly_known=(Bounds((43, 43), (20, 60), SONNET),)),
)

GEMINI_20_FLASH = Prices("0.10", "0.40")
GEMINI_20_FLASH_LITE = Prices("0.075", "0.30")
GEMINI_25_FLASH = Prices("0.30", "2.50")
GEMINI_25_FLASH_LITE = Prices("0.10", "0.40")
GEMINI_25_PRO = Prices("1.25", "10")

GOOGLE = (
    Scenario("chat", 1, (_billed(GEMINI_25_FLASH, 93, 1166),)),
    Scenario("stream", 1, (_billed(GEMINI_25_FLASH, 18, 115),)),
    Scenario(
        "tool_loop",
        4,
        (
            _billed(GEMINI_20_FLASH, 29, 10),
            _billed(GEMINI_25_FLASH_LITE, 45, 23),
            _billed(GEMINI_25_FLASH_LITE, 45, 23),
            _billed(GEMINI_20_FLASH, 45, 23),
        ),
    ),
    Scenario("error", 1, failed=1),
    Scenario("retry", 3, (_billed(GEMINI_20_FLASH_LITE, 45, 23),)),
    Scenario("abandoned", 1, partly_known=(Bounds((18, 18), (66, 66), GEMINI_25_PRO, is_reported=True),)),
)

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {"openai": OPENAI, "anthropic": ANTHROPIC, "google-genai": GOOGLE}
"""SDK -> its scenarios, in the order in which its app runs them."""
