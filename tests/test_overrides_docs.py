"""`docs/overrides.md` is true: its example is valid, and every key of the grammar is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.config import read
from otel_cost.pricing.overrides.fields import CONDITIONS
from otel_cost.pricing.overrides.reader import KEYS, SHARES, TIER_KEYS, TIMES, VARIANTS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "overrides.md").read_text()
EXAMPLE = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)[0]
CODE = EXAMPLE + " ".join(re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
WORDS = {*KEYS, *(key for keys in KEYS.values() for key in keys), *TIER_KEYS, *VARIANTS, *TIMES, *SHARES, *CONDITIONS}


def test_the_example_has_an_entry_of_every_kind_and_is_valid() -> None:
    """As a collector would read it."""
    overrides = read(EXAMPLE, "example.yaml", {}).overrides
    kinds = [kind for kind in KEYS if kind != "providers"]
    assert all(getattr(overrides, kind) for kind in kinds)
    assert len(overrides.entries) == 9


def test_the_annotated_config_shows_overrides_that_are_valid() -> None:
    """The commented lines of `otel-collector-config.yaml`, without their comment signs."""
    text = (ROOT / "otel-collector-config.yaml").read_text()
    block = re.search(r"  # cost:\n((?:  #   .*\n)+)", text)
    assert block is not None
    lines = re.sub(r"^  # ", "  ", block[1], flags=re.MULTILINE)
    config = read(f"processors:\n  cost:\n{lines}", "shown.yaml", {})
    assert len(config.overrides.entries) == 7
    assert config.refresh is not None


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_key_and_word_is_documented(word: str) -> None:
    """In the example or in the text, as code."""
    assert re.search(rf"\b{word}\b", CODE)
