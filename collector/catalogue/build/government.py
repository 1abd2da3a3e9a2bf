"""GovCloud prices of Amazon Bedrock: a fifth more than the price elsewhere, where no catalogue lists one.

Source of the rule: https://aws.amazon.com/bedrock/pricing/, where every GovCloud (US) price is 1.2 times the commercial
one of the same model; LiteLLM's file lists it for the models that it has there.
"""

from __future__ import annotations

from decimal import Decimal

from collector.catalogue.build.corrected_rows import scaled
from collector.catalogue.build.model import Model, Provider, Row

PREFIX = "us-gov."
SURCHARGE = Decimal("1.2")
GLOBAL, REGIONAL = "global.", "regional."
MAKERS = ("anthropic.", "amazon.nova", "meta.", "openai.", "nvidia.", "mistral.", "xai.", "google.")
"""How the ids begin of what is sold there under one price list."""
REGION = "region=us-gov"


def add(providers: list[Provider]) -> None:
    """Add `us-gov.` models, and rows for calls in GovCloud, to the models of Bedrock that have none."""
    for provider in providers:
        if provider.id == "aws":
            _add(provider)


def _add(provider: Provider) -> None:
    taken = {name for model in provider.models if model.id.startswith(PREFIX) for name in model.names}
    by_id = {model.id: model for model in provider.models}
    for model in list(provider.models):
        plain = model.id.removeprefix(REGIONAL)
        if not plain.startswith(MAKERS) or "/" in plain:
            continue
        cheapest = by_id.get(GLOBAL + plain, model)
        rows = [Row(r.variant, r.start_ns, r.end_ns, scaled(r.tiers, SURCHARGE), r.window) for r in _sold(cheapest)]
        names = [name for name in _names(model, plain) if name not in taken]
        if names and rows:
            provider.take_names(names)
            provider.models.append(Model(PREFIX + plain, model.source, names=names, rows=rows, region="us-gov"))
        if not any(row.variant.endswith(REGION) or "us-gov" in row.variant for row in model.rows):
            model.rows += [_placed(row) for row in rows]


def _sold(model: Model) -> list[Row]:
    return [row for row in model.rows if "region=" not in row.variant and row.variant in ("standard", "batch")]


def _placed(row: Row) -> Row:
    name = REGION if row.variant == "standard" else f"{row.variant},{REGION}"
    return Row(name, row.start_ns, row.end_ns, row.tiers, row.window)


def _names(model: Model, plain: str) -> list[str]:
    own = [name for name in model.names if name.startswith(plain.split("-v")[0])]
    return [PREFIX + name for name in dict.fromkeys([plain, plain.removesuffix(":0"), plain.split("-v")[0], *own])]
