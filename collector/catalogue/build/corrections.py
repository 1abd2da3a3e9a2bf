"""`corrections.json`: rows of the catalogue that are wrong or missing, each with its source."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build import from_litellm
from collector.catalogue.build.model import Model, Provider, Rates, Rounding, Row, rate_pico_usd

PATH = Path(__file__).parent / "corrections.json"
SOURCE = "correction"
STANDARD = "standard"
WORKING_DAYS = 0b0011111
_WEEKDAY_MASKS = {"Mon-Fri": WORKING_DAYS}


def load() -> list[dict[str, Any]]:
    """All corrections, in order."""
    loaded: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


def apply(providers: list[Provider], rounding: Rounding) -> None:
    """Apply every correction in place.

    Raises:
        LookupError: a correction names a model that the catalogue no longer has: it must be looked at again.
    """
    by_id = {provider.id: provider for provider in providers}
    for correction in load():
        _apply_one(by_id[correction["provider"]], correction, rounding)


def _apply_one(provider: Provider, correction: dict[str, Any], rounding: Rounding) -> None:
    found = [model for model in provider.models if model.id == correction["model"]]
    if not found:
        raise LookupError(f"{provider.id} has no model {correction['model']!r} to correct")
    model = found[0]
    if "split_names" in correction:
        model = _split(provider, model, correction)
    model.source = f"{model.source}+{SOURCE}"
    model.names += [name for name in correction.get("names", ()) if name not in model.names]
    where = f"{provider.id}/{model.id}"
    if before := correction.get("before"):
        _replace_before(model, _ns(before["until"]), _rates(where, before, rounding))
    for period in [*filter(None, [correction.get("from")]), *correction.get("periods", ())]:
        _replace_since(model, _ns(period["since"]), _rates(where, period, rounding))
    if "set_usd_per_million" in correction:
        _set(model, _rates(where, {"usd_per_million": correction["set_usd_per_million"]}, rounding))
    for row in model.rows:
        if row.window and "weekdays" in correction:
            row.window = (*row.window[:2], _WEEKDAY_MASKS[correction["weekdays"]])
        if row.window and "window_until" in correction:
            row.end_ns = _ns(correction["window_until"])
    if "take_from_litellm" in correction:
        entry = from_litellm.snapshot()["models"][correction["take_from_litellm"]]
        other = from_litellm.to_model(provider.id, model.id, entry, rounding)
        if other is None:
            raise LookupError(f"LiteLLM has no price for {correction['take_from_litellm']}")
        model.rows, model.source = other.rows, f"{from_litellm.SOURCE}+{SOURCE}"


def _split(provider: Provider, model: Model, correction: dict[str, Any]) -> Model:
    """Some names of a model become a model of their own: they moved between models."""
    names = correction["split_names"]
    own = Model(f"{model.id} (moved)", model.source, names=list(names), rows=copy.deepcopy(model.rows))
    own.canonical = model.id
    model.names = [name for name in model.names if name not in names]
    provider.models.insert(provider.models.index(model), own)
    return own


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _rates(where: str, period: dict[str, Any], rounding: Rounding) -> Rates:
    prices = period["usd_per_million"].items()
    return {unit: rate_pico_usd(where, unit, Decimal(usd), 1_000_000, rounding) for unit, usd in prices}


def _replace_before(model: Model, until_ns: int, rates: Rates) -> None:
    """Everything before a moment costs `rates`; per-use fees stay as the earliest row has them."""
    earliest = [row for row in model.rows if row.variant == STANDARD and row.window is None][-1]
    fees = {unit: rate for unit, rate in earliest.tiers[0][1].items() if not unit.endswith("_tokens")}
    for row in model.rows:
        if row.start_ns is None or row.start_ns < until_ns:
            row.start_ns = until_ns
    model.rows = [row for row in model.rows if row.end_ns is None or row.end_ns > until_ns]
    at = max(i for i, row in enumerate(model.rows) if row.variant == STANDARD) + 1
    model.rows.insert(at, Row(STANDARD, None, until_ns, [(-1, rates | fees)]))


def _replace_since(model: Model, since_ns: int, rates: Rates) -> None:
    """From a moment on the standard price is `rates`."""
    for row in model.rows:
        if row.variant == STANDARD and row.window is None and (row.end_ns is None or row.end_ns > since_ns):
            row.end_ns = since_ns
    model.rows.insert(0, Row(STANDARD, since_ns, None, [(-1, rates)]))


def _set(model: Model, rates: Rates) -> None:
    """Add rates to every row of the model; a model without a row gets one."""
    if not model.rows:
        model.rows.append(Row(STANDARD, None, None, [(-1, {})]))
    for row in model.rows:
        for _, own in row.tiers:
            own.update(rates)
