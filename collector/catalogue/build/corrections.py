"""`corrections.json`: rows of the catalogue that are wrong or missing, each with its source.

One correction is an object with `provider`, `why`, `source` and either `model` (an id; with `new` it may not exist yet)
or `models` (a pattern of ids), and what to do, in this order:

* `split_names`: these names become a model of their own, because they moved between models; the rest is done to it
* `names`, `uplifts`, `fees`, `minimums`: added to those of the model
* `timeline`: the standard price as a list of periods, instead of the catalogue's; `variants`: the same by variant
* `before`, `from`, `periods`: a price until or since a moment; everything else stays
* `hours`: other prices at hours of the day
* `half_price`: a variant that the catalogue lacks, as a factor of the standard price
* `set_usd_per_million`, `set_usd`: rates put into every row; `remove`: rates taken out
* `take_from_litellm`: the rows of that entry
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.catalogue.build import from_litellm
from collector.catalogue.build.corrected_rows import STANDARD, at_hours, moment_ns, rates, scaled, timeline
from collector.catalogue.build.model import Model, Provider, Rates, Rounding, Row

PATH = Path(__file__).parent / "corrections.json"
SOURCE = "correction"

Correction = dict[str, Any]


def load() -> list[Correction]:
    """All corrections, in order."""
    loaded: list[Correction] = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


def apply(providers: list[Provider], rounding: Rounding, *, filled: bool = False, strict: bool = True) -> None:
    """Apply in place, before or after LiteLLM's data has been filled in (those with `after_filling`).

    Raises:
        LookupError: a correction names a model that the catalogue no longer has: it must be looked at again. Unless
            `strict`, it is left out: a catalogue that is newer than this program may have dropped the model.
    """
    by_id = {provider.id: provider for provider in providers}
    for correction in load():
        if bool(correction.get("after_filling")) != filled:
            continue
        try:
            for model in _models(by_id[correction["provider"]], correction):
                _apply_one(by_id[correction["provider"]], model, correction, rounding)
        except LookupError:
            if strict:
                raise


def _models(provider: Provider, correction: Correction) -> list[Model]:
    if wanted := correction.get("models"):
        needed = set(correction.get("with", ()))
        found = [m for m in provider.models if re.search(wanted, m.id) and needed <= _units(m)]
        found = [m for m in found if not re.search(correction.get("except", "^$"), m.id)]
    else:
        found = [model for model in provider.models if model.id == correction["model"]]
        if not found and correction.get("new"):
            found = [Model(correction["model"], "correction", names=[correction["model"].lower()])]
            provider.models.append(found[0])
    if not found:
        raise LookupError(f"{provider.id} has no model {correction.get('model') or wanted!r} to correct")
    return found


def _units(model: Model) -> set[str]:
    return {unit for row in model.rows if row.variant == STANDARD for unit in row.tiers[0][1]}


def _apply_one(provider: Provider, model: Model, correction: Correction, rounding: Rounding) -> None:
    if "split_names" in correction:
        model = _split(provider, model, correction["split_names"])
    if SOURCE not in model.source:
        model.source = f"{model.source}+{SOURCE}"
    _add_names(provider, model, correction.get("names", ()))
    model.uplifts |= correction.get("uplifts", {})
    model.fees |= correction.get("fees", {})
    model.minimums |= correction.get("minimums", {})
    where = f"{provider.id}/{model.id}"
    for variant, periods in _timelines(correction):
        model.rows = [row for row in model.rows if row.variant != variant]
        model.rows += timeline(where, variant, periods, rounding)
    if before := correction.get("before"):
        _replace_before(model, moment_ns(before["until"]), rates(where, before, rounding))
    for period in [*filter(None, [correction.get("from")]), *correction.get("periods", ())]:
        _replace_since(model, moment_ns(period["since"]), rates(where, period, rounding))
    for hours in correction.get("hours", ()):
        model.rows = at_hours(where, model.rows, hours, rounding) + model.rows
    if half := correction.get("half_price"):
        _add_variant(model, half)
    _set(model, rates(where, _all_set(correction), rounding))
    for row in model.rows:
        for _, own in row.tiers:
            for unit in correction.get("remove", ()):
                own.pop(unit, None)
    if taken := correction.get("take_from_litellm"):
        model.rows = _from_litellm(provider.id, model.id, taken, rounding)
        model.source = f"{from_litellm.SOURCE}+{SOURCE}"


def _timelines(correction: Correction) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if "timeline" in correction:
        yield STANDARD, correction["timeline"]
    yield from correction.get("variants", {}).items()


def _split(provider: Provider, model: Model, names: list[str]) -> Model:
    taken = {other.id for other in provider.models}
    own_id = f"{model.id} (moved)" if f"{model.id} (moved)" not in taken else f"{model.id} ({names[0]})"
    own = Model(own_id, model.source, names=list(names), rows=copy.deepcopy(model.rows))
    own.canonical = model.id
    own.uplifts = dict(model.uplifts)
    model.names = [name for name in model.names if name not in names]
    provider.models.insert(provider.models.index(model), own)
    return own


def _add_names(provider: Provider, model: Model, names: list[str]) -> None:
    """Names that this model answers to from now on, whoever did before."""
    kept = model.names
    provider.take_names(names)
    model.names = [*kept, *(name for name in names if name not in kept)]


def _from_litellm(provider_id: str, model_id: str, entry: str, rounding: Rounding) -> list[Row]:
    other = from_litellm.to_model(provider_id, model_id, from_litellm.snapshot()["models"][entry], rounding)
    if other is None:
        raise LookupError(f"LiteLLM has no price for {entry}")
    return other.rows


def _replace_before(model: Model, until_ns: int, own: Rates) -> None:
    """Everything before a moment costs `own`; per-use fees stay as the earliest row has them."""
    earliest = [row for row in model.rows if row.variant == STANDARD and row.window is None][-1]
    fees = {unit: rate for unit, rate in earliest.tiers[0][1].items() if not unit.endswith("_tokens")}
    for row in model.rows:
        if row.start_ns is None or row.start_ns < until_ns:
            row.start_ns = until_ns
    model.rows = [row for row in model.rows if row.end_ns is None or row.end_ns > until_ns]
    at = max(i for i, row in enumerate(model.rows) if row.variant == STANDARD) + 1
    model.rows.insert(at, Row(STANDARD, None, until_ns, [(-1, own | fees)]))


def _replace_since(model: Model, since_ns: int, own: Rates) -> None:
    """From a moment on the standard price is `own`."""
    for row in model.rows:
        if row.variant == STANDARD and row.window is None and (row.end_ns is None or row.end_ns > since_ns):
            row.end_ns = since_ns
    model.rows.insert(0, Row(STANDARD, since_ns, None, [(-1, own)]))


def _add_variant(model: Model, wanted: dict[str, Any]) -> None:
    """A variant as a factor of each standard price; what is in `keep`, and fees, cost what they always do."""
    variant, since = wanted["variant"], wanted.get("since")
    since_ns = None if since is None else moment_ns(since)
    if any(row.variant == variant for row in model.rows):
        return
    for row in [row for row in model.rows if row.variant == STANDARD]:
        if since_ns is not None and row.end_ns is not None and row.end_ns <= since_ns:
            continue
        start_ns = since_ns if row.start_ns is None or (since_ns or row.start_ns) > row.start_ns else row.start_ns
        tiers = scaled(row.tiers, Decimal(wanted["factor"]), frozenset(wanted.get("keep", ())))
        model.rows.append(Row(variant, start_ns, row.end_ns, tiers, row.window))


def _all_set(correction: Correction) -> dict[str, Any]:
    return {"usd_per_million": correction.get("set_usd_per_million", {}), "usd": correction.get("set_usd", {})}


def _set(model: Model, own: Rates) -> None:
    """Add rates to every row of the model; a model without a row gets one."""
    if not model.rows and own:
        model.rows.append(Row(STANDARD, None, None, [(-1, {})]))
    for row in model.rows:
        for _, tier in row.tiers:
            tier.update(own)
