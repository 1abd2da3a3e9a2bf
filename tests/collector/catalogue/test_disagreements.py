"""Where the catalogues disagree is written down at every build, and the list gets no longer."""

from __future__ import annotations

import json
from pathlib import Path

from collector.catalogue.build import disagreements
from collector.catalogue.build.compile import compile_card
from tests.otel_cost.pricing.cards import always, make_card, model

KNOWN = 143
"""Names on which genai-prices (with its corrections) and LiteLLM disagree; lower it when the list gets shorter."""


def test_the_list_is_what_the_build_finds_and_gets_no_longer() -> None:
    written = disagreements.PATH.read_text(encoding="utf-8")
    assert compile_card().disagreements == written
    assert len(written.splitlines()) <= KNOWN


def test_every_entry_says_who_is_billed_and_both_prices() -> None:
    for line in disagreements.PATH.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        assert entry["name"]
        assert "/" in entry["billed"]
        for billed, theirs in entry["rates"].values():
            assert billed != theirs
            assert theirs > 0


def test_a_price_that_changed_in_one_catalogue_is_found_and_noise_is_not(tmp_path: Path) -> None:
    rows = {name: always(input_tokens=2_000_000, output_tokens=6_000_000) for name in ("same", "noise", "changed")}
    card = make_card(tmp_path, {"openai": [model(name, row) for name, row in rows.items()]})
    entries = {
        name: {
            "litellm_provider": "openai",
            "mode": "chat",
            "input_cost_per_token": usd,
            "output_cost_per_token": "0.000006",
        }
        for name, usd in {"same": "0.000002", "noise": "0.0000020001", "changed": "0.000003", "unknown": "1"}.items()
    }
    found = disagreements.disagreements(card, entries, 0)
    assert [(each["name"], each["rates"]) for each in found] == [("changed", {"input_tokens": [2_000_000, 3_000_000]})]
