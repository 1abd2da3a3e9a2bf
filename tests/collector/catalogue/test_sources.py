"""The catalogues that a card is built of: their copies, and what is read of their published files."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from importlib.metadata import version

import pytest

from collector.catalogue.build import from_genai_prices, from_litellm
from collector.catalogue.build.genai_clauses import matches, patterns
from collector.catalogue.build.model import Rounding
from collector.catalogue.build.published import read_genai_prices, read_litellm
from collector.catalogue.build.renew import genai_prices_copy


def test_the_kept_copy_is_what_the_installed_package_carries() -> None:
    """Byte for byte; `python -m collector.catalogue.build.renew` makes it so after an upgrade."""
    kept = from_genai_prices.snapshot()
    assert kept["version"] == version("genai-prices")
    assert from_genai_prices.SNAPSHOT.read_bytes() == genai_prices_copy(kept["dated"])


def test_prices_are_read_as_the_decimals_that_were_published() -> None:
    """No float on the way: 0.0375 per million is 37,500 pico-USD a token, not one more or less."""
    published = """[{"id": "p", "name": "P", "api_pattern": "x", "extractors": [], "models": [
        {"id": "m", "name": "M", "match": {"equals": "M"}, "context_window": 8,
         "prices": {"input_mtok": 0.0375, "output_mtok": {"base": 1e-1, "tiers": [{"start": 9, "price": 2}]}}}]}]"""
    read = read_genai_prices(published.encode())
    (model,) = from_genai_prices.providers(read, Rounding())[0].models
    assert set(read[0]["models"][0]) == {"id", "match", "prices"}
    assert model.names == ["m"]
    assert [row.tiers for row in model.rows] == [
        [
            (-1, {"input_tokens": 37_500, "output_tokens": 100_000}),
            (9, {"input_tokens": 37_500, "output_tokens": 2_000_000}),
        ]
    ]  # fmt: skip


def test_a_time_of_day_is_that_of_utc_whatever_its_offset() -> None:
    published = """[{"id": "p", "models": [{"id": "m", "match": {"equals": "m"}, "prices": [
        {"prices": {"input_mtok": 2}},
        {"constraint": {"start_time": "00:30:00+08:00", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 1}}]}]}]"""
    (model,) = from_genai_prices.providers(read_genai_prices(published.encode()), Rounding())[0].models
    assert [row.window for row in model.rows] == [(16 * 3600 + 1800, 16 * 3600 + 1800), None]


def test_an_unknown_price_key_or_clause_prices_nothing() -> None:
    """A newer catalogue may know more than this program: what it does not understand, it leaves out."""
    published = """[{"id": "p", "models": [{"id": "m", "match": {"sounds_like": "em"},
        "prices": {"input_mtok": 2, "smell_kcount": 3, "input_furlongs": 1}}]}]"""
    (model,) = from_genai_prices.providers(read_genai_prices(published.encode()), Rounding())[0].models
    assert model.names == ["m"]
    assert model.patterns == []
    assert model.rows[0].tiers == [(-1, {"input_tokens": 2_000_000})]


def test_litellms_file_is_read_to_what_the_copy_keeps() -> None:
    """The whole published form of two entries, down to the keys that matter."""
    published = {
        "sample_spec": {"litellm_provider": "openai", "input_cost_per_token": 0},
        "openai/gpt-x": {
            "litellm_provider": "openai", "mode": "chat", "max_tokens": 9, "input_cost_per_token": 3.75e-8,
            "output_cost_per_token": 1e-6, "supports_vision": True,
        },
        "somebody/else": {"litellm_provider": "ollama", "input_cost_per_token": 1},
    }  # fmt: skip
    read = read_litellm(json.dumps(published).encode())
    assert read == {
        "openai/gpt-x": {
            "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "0.0000000375",
            "output_cost_per_token": "0.000001",
        }
    }  # fmt: skip
    assert Decimal(read["openai/gpt-x"]["input_cost_per_token"]) == Decimal("3.75e-8")
    kept = json.loads(gzip.decompress(from_litellm.SNAPSHOT.read_bytes()))["models"]
    assert read_litellm(json.dumps(kept).encode()) == kept


@pytest.mark.parametrize("raw", [b"", b"{", b'{"providers": 1}', b"[1]", b'[{"id": "p"}]', b"[[]]"])
def test_what_is_no_catalogue_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        from_genai_prices.providers(read_genai_prices(raw), Rounding())


def test_clauses_hold_as_their_names_say() -> None:
    both = {"and": [{"starts_with": "Ab"}, {"or": [{"ends_with": "yz"}, {"contains": "-M-"}, {"regex": r"\d{3}$"}]}]}
    assert [matches(both, name) for name in ("ab-yz", "ab-m-x", "ab123", "ab12", "b-yz")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert list(patterns(both)) == [("prefix", "ab")]
