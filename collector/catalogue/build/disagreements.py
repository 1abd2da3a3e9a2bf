"""Where the catalogues disagree: what the card bills against what LiteLLM's file says of the same name today.

The list is written at every build, beside the card's sources, and may only get shorter: a name that joins it is a price
that changed in one catalogue and not in the other, or a name that is taken for another model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collector.catalogue.build import from_litellm
from collector.catalogue.build.model import Rounding
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.match import resolve_name
from otel_cost.pricing.units import UNITS

PATH = Path(__file__).parent / "disagreements.jsonl"
STANDARD = from_litellm.STANDARD
NOISE = 1_000
"""Prices that differ by less than one part in so many differ by how they were rounded."""


def disagreements(card: RateCard, entries: dict[str, dict[str, Any]], at_ns: int) -> list[dict[str, Any]]:
    """One object per entry that differs at a moment: its name, whose price is billed, unit -> [billed, LiteLLM's]."""
    found = []
    for key, entry in entries.items():
        named = from_litellm.provider_and_name(key, entry)
        if named is not None and (difference := _difference(card, *named, entry, at_ns)):
            found.append({"name": key, **difference})
    return found


def _difference(card: RateCard, provider_id: str, name: str, entry: dict[str, Any], at_ns: int) -> dict[str, Any]:
    model = resolve_name(card, provider_id, name).model
    rows = model.variants.get(STANDARD, ()) if model else ()
    current = [row for row in rows if row.window is None and row.applies(at_ns, 0)]
    if model is None or not current or model.source == from_litellm.SOURCE:
        return {}
    theirs = from_litellm.rates_of(name, from_litellm.prices(provider_id, entry).get(STANDARD, {}), Rounding())
    rates = {}
    for unit, rate in theirs[0][1].items() if theirs else ():
        ours = current[0].rate(unit) if unit in UNITS else None
        if rate and (ours is None or abs(ours.pico_usd - rate) * NOISE > rate):
            rates[unit] = [ours.pico_usd if ours else None, rate]
    return {"billed": f"{model.provider}/{model.model}", "source": model.source, "rates": rates} if rates else {}


def report_text(found: list[dict[str, Any]]) -> str:
    """The list as lines of JSON."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found)
