"""The shipped card: what it was built from, that it is whole, and that reading it is cheap."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from collector.catalogue.build.compile import compile_card
from collector.catalogue.build.model import plain_unit
from otel_cost.errors import RateCardError
from otel_cost.pricing import default_card, load_card
from otel_cost.pricing.card import DATA_DIRECTORY
from otel_cost.pricing.match import resolve
from otel_cost.pricing.rates import Window
from otel_cost.pricing.units import FALLBACKS, LEAVES, UNITS
from tests.otel_cost.pricing.cards import always, make_card, model


def test_the_shipped_card_is_what_the_build_makes_of_its_sources() -> None:
    """Rebuilt from the installed genai-prices and the kept price file, every file is the same, byte for byte."""
    built = compile_card()
    shipped = {path.name: path.read_text(encoding="utf-8") for path in DATA_DIRECTORY.glob("*.json")}
    assert json.loads(built.files["index.json"])["digest"][:12] == default_card().digest
    assert built.files == shipped
    assert built.provenance == (DATA_DIRECTORY / "PROVENANCE.md").read_text(encoding="utf-8")


def test_provenance_names_sources_licences_and_every_rounded_rate() -> None:
    page = (DATA_DIRECTORY / "PROVENANCE.md").read_text(encoding="utf-8")
    for wanted in ("genai-prices 0.2.3", "LiteLLM 1.109.1", "Permission is hereby granted", default_card().digest):
        assert wanted in page


def test_every_row_is_found_again_by_its_key_and_no_two_share_one() -> None:
    card = default_card()
    keys = [row.key for row in card.rows()]
    assert len(keys) == len(set(keys)) > 4_000
    assert all(card.row(key).key == key for key in keys[::50])
    assert [key for key in keys if key.count("|") not in (4, 5) or ";" in key] == []


def test_rates_are_whole_not_negative_and_of_known_units() -> None:
    for row in default_card().rows():
        assert all(
            type(rate) is int and rate >= 0 and plain_unit(unit) in UNITS for unit, rate in row.explicit.items()
        ), row.key


def test_rows_of_a_variant_cover_no_moment_and_size_twice() -> None:
    """At most one row without hours of the day applies at any edge of any period and tier."""
    rows = [row for row in default_card().rows() if row.window is None]
    for key, group in groupby(rows, lambda row: row.key.split("|")[:3]):
        tiers = list(group)
        for moment in {row.valid_from_ns for row in tiers}:
            active = [r for r in tiers if r.valid_from_ns <= moment < r.valid_to_ns]
            above = [r.input_tokens_above for r in active]
            assert len(above) == len(set(above)), key


def test_standard_rows_price_every_moment() -> None:
    """A model with a price has a standard row for any time: before the first known price, the first one."""
    for row in default_card().rows():
        if row.variant == "standard" and row.explicit:
            provider, entry, *_ = row.key.split("|")
            rows = default_card().model(provider, entry).variants["standard"]
            assert rows[-1].valid_from_ns == -(2**63), row.key


def test_every_leaf_falls_back_to_its_plain_whole() -> None:
    assert FALLBACKS["cache_audio_read_tokens"] == (
        "cache_audio_read_tokens", "cache_read_tokens", "input_audio_tokens", "input_tokens",
    )  # fmt: skip
    assert FALLBACKS["cache_write_1h_tokens"] == ("cache_write_1h_tokens", "cache_write_tokens", "input_tokens")
    assert set(LEAVES) <= set(FALLBACKS)


def test_a_window_may_cross_midnight_and_skip_days() -> None:
    night = Window(22 * 3600, 2 * 3600)
    hour = 3_600_000_000_000
    assert [night.contains(h * hour) for h in (21, 22, 23, 25, 26)] == [False, True, True, True, False]
    monday = 4 * 24 * hour
    working = Window(0, 86_400, 0b0011111)
    assert [working.contains(monday + day * 24 * hour) for day in range(7)] == [True] * 5 + [False] * 2


def test_a_card_that_cannot_be_read_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(RateCardError, match=r"index\.json"):
        load_card(tmp_path)
    card = make_card(tmp_path, {"openai": [model("m", always(input_tokens=1))]})
    (tmp_path / "openai.json").write_text("{")
    with pytest.raises(RateCardError, match=r"openai\.json"):
        card.provider("openai")
    found = resolve(card, "openai", "m", None)
    assert found.model is None
    assert "openai.json" in found.reason


def test_pricing_needs_no_catalogue_at_run_time() -> None:
    """A first price loads neither genai-prices nor pydantic, litellm, numpy or OpenTelemetry."""
    program = """
import sys
from otel_cost.pricing import default_card, price
usage = {"input_tokens": 10}
found = price(provider="openai", request_model="gpt-4o", response_model=None, at_ns=0, usage=usage, context={},
              card=default_card())
assert found.total_pico_usd
heavy = {"genai_prices", "pydantic", "litellm", "numpy", "opentelemetry", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
