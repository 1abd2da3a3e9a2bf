"""Spans of any dialect as calls: the scalar reader that runs in the app.

`normalise` reads one span; `own_dimensions` and `resource_owners` read who pays from any span or resource. All three
are pure and never raise, whatever the attribute values are: anomalies become flags.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_cost import attributes as k
from otel_cost.call import Call, flag_of
from otel_cost.normalise.owners import ALL_OWNER_KEYS, OWNER_KEYS, RESOURCE_KEYS
from otel_cost.normalise.plan import GATE, NAME_GATE, Plan, blobs_of, dialect_of, plan_for
from otel_cost.normalise.reader import own_agent, read
from otel_cost.normalise.rules import INSIDE
from otel_cost.normalise.settle import settle
from otel_cost.normalise.transforms import at_path, text

__all__ = ["normalise", "own_dimensions", "resource_owners"]

MAX_PLANS = 4_096
"""Shapes of spans kept. An app has tens; an emitter that invents keys per span must not grow it for ever."""

_plans: dict[tuple[str | None, str | None, tuple[str, ...]], Plan] = {}


def normalise(
    *,
    scope_name: str | None,
    span_name: str,
    span_kind: int,
    status_code: int,
    attributes: Mapping[str, object],
) -> Call | None:
    """The call that a span is, or None when it is no GenAI span.

    `span_kind` and `status_code` are OTLP numbers (client is 3, error is 2). Fastest with a plain dict.
    """
    if type(attributes) is not dict:
        attributes = dict(attributes)
    named = span_name.startswith(NAME_GATE)
    if not named and attributes.keys().isdisjoint(GATE):
        return None
    sdk = attributes.get(k.TELEMETRY_SDK_NAME)
    shape = (scope_name, span_name if named else sdk if type(sdk) is str else None, tuple(attributes))
    plan = _plans.get(shape)
    if plan is None:
        plan = _plan(shape, scope_name or "", span_name, attributes)
    if plan.dialect.blobs:
        plan, attributes = with_blobs(plan, attributes)
    reading = read(plan, span_name, span_kind, status_code, attributes)
    usage, flags = settle(reading)
    owners = _owners(plan, attributes)
    if reading.agent and "agent" not in owners:
        agent = own_agent(reading, span_name, attributes)
        if agent is not None:
            owners["agent"] = agent
    return Call(
        reading.kind,
        plan.dialect.name,
        reading.operation,
        reading.provider,
        reading.request_model,
        reading.response_model,
        reading.response_id,
        reading.service_tier,
        usage,
        reading.cost_pico_usd,
        reading.cost_by_provider,
        reading.failed,
        owners,
        flag_of(flags),
    )


def with_blobs(plan: Plan, attributes: Mapping[str, object]) -> tuple[Plan, Mapping[str, object]]:
    """Attributes with the numbers inside JSON attributes as keys of their own, and the plan for them."""
    found = {
        f"{key}{INSIDE}{path}": value
        for key, parse, paths in blobs_of(plan.dialect, attributes)
        if (parsed := parse(attributes[key]))
        for path in paths
        if (value := at_path(parsed, path)) is not None
    }
    if not found:
        return plan, attributes
    merged = {**attributes, **found}
    shape = (plan.dialect.name, INSIDE, tuple(merged))
    return _plans.get(shape) or _keep(shape, plan_for(plan.dialect, frozenset(merged))), merged


def _plan(
    shape: tuple[str | None, str | None, tuple[str, ...]],
    scope_name: str,
    span_name: str,
    attributes: Mapping[str, object],
) -> Plan:
    dialect = dialect_of(scope_name, span_name, attributes)
    return _keep(shape, plan_for(dialect, frozenset(attributes)))


def _keep(shape: tuple[str | None, str | None, tuple[str, ...]], plan: Plan) -> Plan:
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    _plans[shape] = plan
    return plan


def _owners(plan: Plan, attributes: Mapping[str, object]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for dimension, keys in plan.owners:
        for key in keys:
            found = text(attributes[key])
            if found is not None:
                owners[dimension] = found
                break
    return owners


def own_dimensions(attributes: Mapping[str, object]) -> dict[str, str]:
    """Who pays as any span, GenAI or not, says it: owner dimension -> value. Its descendants inherit them."""
    return _dimensions(attributes, OWNER_KEYS)


def resource_owners(attributes: Mapping[str, object]) -> dict[str, str]:
    """Who pays as a resource says it; counts only where neither the span nor an ancestor has a value."""
    return _dimensions(attributes, RESOURCE_KEYS)


def _dimensions(attributes: Mapping[str, object], table: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    if attributes.keys().isdisjoint(ALL_OWNER_KEYS):
        return {}
    owners: dict[str, str] = {}
    for dimension, keys in table.items():
        for key in keys:
            found = text(attributes[key]) if key in attributes else None
            if found is not None:
                owners[dimension] = found
                break
    return owners
