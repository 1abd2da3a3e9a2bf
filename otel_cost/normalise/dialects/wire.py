"""Our own instrumentation: its own spans, and spans of others on which it wrote what the HTTP exchange said.

What came over the wire is exact, so both dialects come first, and whatever else another instrumentation counted on an
enriched span is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from otel_cost import attributes as k
from otel_cost.normalise.dialects.generic import GENERIC, OWN_COUNTS, OWN_SECONDS, SERVICE_TIER, USAGE
from otel_cost.normalise.rules import Accounting, Input, Source, Sources, aggregate, has, ignore, is_in, leaf, texts
from otel_cost.normalise.vocabulary import IGNORED_OPERATIONS

WIRE_SCOPE = "otel_cost.instrument"

_INPUT_PARTS, _CACHE_PARTS = ("", "_tool"), ("_read", "_write", "_write_1h", "_write_12h", "_write_5m")
_OUTPUT_PARTS, _MODALITIES = ("", "_reasoning", "_citation"), ("", "_text", "_audio", "_image", "_video")
_SECONDS = (*OWN_SECONDS, "duration_seconds")
_OTHER = (
    *(unit for unit in OWN_COUNTS if not unit.endswith("_tokens")),
    *("input_document_pages", "router_input_tokens", "router_fee"),
)
OWN_UNITS = (
    *(f"input{modality}{part}_tokens" for modality in _MODALITIES for part in _INPUT_PARTS),
    *(f"cache{modality}{part}_tokens" for modality in _MODALITIES for part in _CACHE_PARTS),
    *(f"output{modality}{part}_tokens" for modality in _MODALITIES for part in _OUTPUT_PARTS),
    *(*_OTHER, *_SECONDS),
)
"""All units of `otel_cost.pricing.units`, which is not imported here."""

OWN: Mapping[str, Sources] = {
    unit: (Source(k.OTEL_COST_USAGE_PREFIX + unit, "micros" if unit in _SECONDS else "count"),) for unit in OWN_UNITS
}
"""Every unit under its own name. An estimate is only written where nothing was reported, or less than was delivered."""

ESTIMATES: Mapping[str, Sources] = {
    "input_tokens": (Source(k.OTEL_COST_ESTIMATED_INPUT, "estimate"),),
    "output_tokens": (Source(k.OTEL_COST_ESTIMATED_OUTPUT, "estimate"),),
}
INCLUSIVE = (Accounting(Input.INCLUSIVE),)


def _usage(*tables: Mapping[str, Sources]) -> Mapping[str, Sources]:
    units = dict.fromkeys(unit for table in tables for unit in table)
    return {unit: tuple(source for table in tables for source in table.get(unit, ())) for unit in units}


WIRE = replace(
    GENERIC,
    name="otel_cost",
    rank=0,
    scopes=(WIRE_SCOPE,),
    markers=(),
    rules=(
        ignore(is_in(k.GEN_AI_OPERATION_NAME, *IGNORED_OPERATIONS)),
        aggregate(is_in(k.GEN_AI_OPERATION_NAME, "batch")),
        aggregate(has(k.OTEL_COST_PARTS)),
        leaf(),
    ),
    usage=_usage(ESTIMATES, OWN, {unit: sources for unit, sources in USAGE.items() if unit in OWN}),
    service_tier=SERVICE_TIER[:1],
    host=(),
    cost=(Source(k.OTEL_COST_REPORTED_COST_USD, "usd"), *GENERIC.cost),
    cost_by_provider=True,
    accounting=INCLUSIVE,
)

WIRE_ENRICHED = replace(
    WIRE,
    name="otel_cost_enriched",
    scopes=(),
    markers=(k.OTEL_COST_WIRE,),
    rules=(aggregate(has(k.OTEL_COST_PARTS)), leaf()),
    usage=_usage(ESTIMATES, OWN),
    operation=texts(k.OTEL_COST_OPERATION, transform="operation"),
    provider=texts(k.OTEL_COST_PROVIDER, transform="provider"),
    request_model=texts(k.OTEL_COST_REQUEST_MODEL, transform="model"),
    response_model=texts(k.OTEL_COST_RESPONSE_MODEL, transform="model"),
    response_id=texts(k.OTEL_COST_RESPONSE_ID),
    cost=(Source(k.OTEL_COST_REPORTED_COST_USD, "usd"),),
)
