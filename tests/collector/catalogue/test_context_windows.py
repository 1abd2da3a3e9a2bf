"""The shipped context windows are those of genai-prices, under the names of the rate card."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from collector.catalogue.build.renew import context_windows
from collector.catalogue.context_windows import FILE, context_window
from otel_cost.pricing import default_card
from otel_cost.pricing.match import resolve


def test_the_file_is_what_its_builder_writes() -> None:
    shipped = FILE.read_bytes()
    if json.loads(shipped)["version"] != version("genai-prices"):
        pytest.skip("another version of genai-prices is installed")
    assert shipped == context_windows()


def test_windows_are_found_by_the_names_of_the_card_and_an_unknown_one_is_none() -> None:
    found = resolve(default_card(), "anthropic", "claude-haiku-4-5-20251001", None).model
    assert found is not None
    assert context_window(found.provider, found.model) == 200_000
    assert context_window("openai", "house-model-9") is context_window("nobody", "gpt-4o") is None
