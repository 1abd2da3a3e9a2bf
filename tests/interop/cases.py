"""What each unchanged app must cost, written as an invoice: tokens times the provider's published price."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, order=True)
class Expected:
    """One model call as the ledger must show it; `cost_usd` None means unpriced."""

    provider: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal | None = None
    is_estimate: bool = False  # and says so


def usd(*lines: tuple[int, str]) -> Decimal:
    """An invoice: (tokens, dollars per million tokens) per line."""
    return sum((tokens * Decimal(price) / 1_000_000 for tokens, price in lines), Decimal(0))


GPT_4O = Expected(
    "openai", "gpt-4o-2024-08-06", 1220, 100, 1152, cost_usd=usd((68, "2.5"), (1152, "1.25"), (100, "10"))
)
GPT_4O_MINI_STREAM = Expected("openai", "gpt-4o-mini-2024-07-18", 75, 51, cost_usd=usd((75, "0.15"), (51, "0.60")))
EMBEDDINGS = Expected("openai", "text-embedding-3-small", 79, None, cost_usd=usd((79, "0.02")))
RESPONSES = Expected(
    "openai", "gpt-4o-2024-08-06", 1515, 8, 1390, cost_usd=usd((125, "2.5"), (1390, "1.25"), (8, "10"))
)
NO_USAGE = Expected("openai", "gpt-5-nano-2025-08-07", 9, 46, cost_usd=usd((9, "0.05"), (46, "0.40")), is_estimate=True)
"""A stream that ends without usage, whatever instrumentation is there: counted from the text that went by."""
OPENAI = (GPT_4O, GPT_4O_MINI_STREAM, EMBEDDINGS, RESPONSES, NO_USAGE)
ESTIMATED = Expected("openai", "gpt-5-nano-2025-08-07", 6, 105, cost_usd=usd((6, "0.05"), (105, "0.40")))
"""The stream without usage as OpenLIT reports it: it counts words itself, and nothing on the span tells."""

ANTHROPIC = (
    Expected(
        "anthropic",
        "claude-haiku-4-5-20251001",
        7361,
        4,
        0,
        7351,
        usd((10, "1"), (7351, "1.25"), (4, "5")),
    ),
    Expected("anthropic", "claude-haiku-4-5-20251001", 7361, 4, 7351, 0, usd((10, "1"), (7351, "0.1"), (4, "5"))),
    Expected(
        "anthropic",
        "claude-sonnet-4-20250514",
        2073,
        100,
        0,
        2056,
        usd((17, "3"), (2056, "6"), (100, "15")),  # written for an hour: twice the input price
    ),
    Expected("anthropic", "claude-sonnet-4-6", 721, 113, cost_usd=usd((721, "3"), (113, "15"))),
)

GOOGLE = (
    Expected("gcp.gemini", "gemini-2.5-flash", 93, 1166, cost_usd=usd((93, "0.30"), (1166, "2.50"))),
    Expected("gcp.gemini", "gemini-2.5-flash", 18, 115, cost_usd=usd((18, "0.30"), (115, "2.50"))),
)


@dataclass(frozen=True, slots=True)
class Case:
    """An app, what it is installed with (`cases/NAME/requirements.txt`), and the calls it makes."""

    name: str
    app: str
    expected: tuple[Expected, ...]
    by_environment: bool = True  # started by opentelemetry-instrument; else the app sets OTEL up itself
    protocols: tuple[str, ...] = ("grpc", "http/protobuf")

    @property
    def requirements(self) -> Path:
        return HERE / "cases" / self.name / "requirements.txt"


CASES = (
    Case("openai_official", "openai_app.py", OPENAI),
    Case("anthropic_native", "anthropic_app.py", ANTHROPIC),
    Case("anthropic_official", "anthropic_app.py", ANTHROPIC),
    Case("anthropic_openinference", "anthropic_app.py", ANTHROPIC),
    Case("anthropic_openllmetry", "anthropic_app.py", ANTHROPIC),
    Case("google_genai", "google_app.py", GOOGLE),
    Case("openinference", "openai_app.py", OPENAI),
    Case("openllmetry", "openai_app.py", OPENAI),
    Case("openlit", "openlit_app.py", (*OPENAI[:-1], ESTIMATED), by_environment=False),
    Case("pydantic_ai", "pydantic_ai_app.py", (GPT_4O,)),
    Case(
        "logfire",
        "logfire_app.py",
        (GPT_4O, GPT_4O_MINI_STREAM),
        by_environment=False,
        protocols=("http/protobuf",),  # logfire has no gRPC exporter of its own
    ),
    Case("langchain", "langchain_app.py", (GPT_4O, GPT_4O_MINI_STREAM)),
)
