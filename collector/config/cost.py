"""`processors.cost`: what the user's own contracts say of prices, and how the rate card is kept current."""

from __future__ import annotations

from collector.catalogue.config import (
    DEFAULT_INTERVAL_SECONDS,
    GENAI_PRICES_URL,
    LEAST_INTERVAL_SECONDS,
    LITELLM_URL,
    MOST_INTERVAL_SECONDS,
    RefreshConfig,
)
from collector.config import values
from collector.config.problems import BadValue
from collector.config.reader import Section
from otel_cost.pricing import RateCard, default_card
from otel_cost.pricing.overrides import Overrides, read_overrides
from otel_cost.pricing.overrides.reader import KEYS

MAX_LISTED_WORDS = 20
"""Words of which a message lists all; of more only the nearest is offered."""


def read_cost(section: Section, card: RateCard | None = None) -> tuple[Overrides, RefreshConfig | None]:
    """Overrides and the refresh of the card, None without one. Names are checked against `card`, the shipped one."""
    part = section.section("refresh")
    refresh = _refresh(part) if "refresh" in section else None
    raw = {key: section.raw(key) for key in KEYS}
    section.close()
    if not any(value is not None for value in raw.values()):
        return Overrides(), refresh
    overrides, problems = read_overrides(raw, card or default_card())
    for problem in problems:
        error = BadValue(problem.what, allowed=problem.allowed, words=problem.words)
        if not problem.allowed and len(problem.words) > MAX_LISTED_WORDS:
            error.allowed = ""
        section.problem(error, problem.got, problem.path)
    return overrides, refresh


def _refresh(section: Section) -> RefreshConfig:
    interval = values.seconds(LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS)
    genai_prices: str | None = GENAI_PRICES_URL
    litellm: str | None = LITELLM_URL
    config = RefreshConfig(
        interval_seconds=section.take("interval", interval, DEFAULT_INTERVAL_SECONDS),
        genai_prices=section.take("genai_prices", _source, genai_prices),
        litellm=section.take("litellm", _source, litellm),
    )
    if config.genai_prices is None and config.litellm is None:
        section.problem(BadValue("needs a catalogue to refresh: leave refresh out, or give one of the two"))
    section.close()
    return config


def _source(value: object) -> str | None:
    """A URL, the path of a file, or false."""
    if value is False:
        return None
    written = values.text(value)
    return values.http_url(written) if written.startswith(("http://", "https://")) else str(values.path(written))
