"""The scalar reader: one span's attributes through its dialect's plan. What it decides, the column reader repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otel_cost import attributes as k
from otel_cost.call import CallKind
from otel_cost.normalise.plan import Conditions, Plan, PlannedRule, TextSources, remember
from otel_cost.normalise.rules import KIND_NAMES, SPAN_KIND, SPAN_NAME, Input, Test
from otel_cost.normalise.transforms import text
from otel_cost.normalise.vocabulary import CLAUDE_PROVIDERS, HOST_DECIDES, OUTPUT_EXCLUDES_REASONING

STATUS_ERROR = 2
IGNORE, AGGREGATE, UNKNOWN = CallKind.IGNORE, CallKind.AGGREGATE, Input.UNKNOWN
WRAPPER = PlannedRule(AGGREGATE, None, (), ())
IN, STARTS = Test.IN, Test.STARTS
NO_COST: tuple[int | None, str | None, int, bool] = (None, None, 0, False)


@dataclass(slots=True)
class Reading:
    """What one span says, before its counts are settled; `*_key` say where a value was found."""

    kind: CallKind
    operation: str | None
    agent: tuple[str, ...]
    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    service_tier: str | None
    usage: dict[str, int]
    usage_keys: list[str]
    cost_pico_usd: int | None
    cost_key: str | None
    cost_by_provider: bool
    counting: Input
    failed: bool
    cache_hit: bool
    splits_cache_writes: bool
    reasoning_beside_output: bool
    output_is_total_minus_input: bool
    flags: int


def read(plan: Plan, span_name: str, span_kind: int, status_code: int, attributes: Mapping[str, object]) -> Reading:
    """All fields of a span. `attributes` has exactly the keys that the plan was made for."""
    dialect = plan.dialect
    rule = _rule(plan, span_name, span_kind, attributes)
    kind = rule.kind
    provider = _first(plan.provider, attributes) or dialect.default_provider
    if plan.host and provider in HOST_DECIDES:
        provider = _first(plan.host, attributes) or provider
    request_model = _first(plan.request_model, attributes)
    response_model = _first(plan.response_model, attributes)
    usage: dict[str, int] = {}
    usage_keys: list[str] = []
    flags = 0
    if kind is not IGNORE:
        for unit, sources in plan.usage:
            for key, number_reader in sources:
                number, flag = number_reader(attributes[key])
                flags |= flag
                if number is not None:
                    usage[unit] = number
                    usage_keys.append(key)
                    break
    cost, cost_key, cost_flags, by_provider = NO_COST
    if plan.cost and kind is not IGNORE:
        cost, cost_key, cost_flags, by_provider = _cost(plan, attributes)
    return Reading(
        kind,
        rule.operation or _first(plan.operation, attributes),
        rule.agent,
        provider,
        request_model,
        response_model,
        _first(plan.response_id, attributes),
        _first(plan.service_tier, attributes),
        usage,
        usage_keys,
        cost,
        cost_key,
        by_provider,
        _counting(plan, provider, span_name, span_kind, attributes) if plan.accounting else UNKNOWN,
        status_code == STATUS_ERROR or (plan.error and text(attributes[k.ERROR_TYPE]) is not None),
        bool(plan.cache_hit) and _first(plan.cache_hit, attributes) is not None,
        "cache_write_tokens" in usage and splits_cache_writes(provider, response_model or request_model or ""),
        provider in OUTPUT_EXCLUDES_REASONING,
        dialect.output_is_total_minus_input,
        flags | cost_flags,
    )


def _rule(plan: Plan, span_name: str, span_kind: int, attributes: Mapping[str, object]) -> PlannedRule:
    if plan.switch is not None:
        subject, words = plan.switch
        said = attributes[subject]
        found = words.get(said) if type(said) is str else None
        if found is not None:
            return found
        word = text(said)
        if word is not None and (found := words.get(word.strip().lower())) is not None:
            return found
    for rule in plan.rules:
        if not rule.when or _all_hold(rule.when, span_name, span_kind, attributes):
            return rule
    return WRAPPER


def own_agent(reading: Reading, span_name: str, attributes: Mapping[str, object]) -> str | None:
    """An agent span's own name, from where its dialect keeps it."""
    for key in reading.agent:
        found = text(span_name if key == SPAN_NAME else attributes.get(key))
        if found is not None:
            return found
    return None


def _first(sources: TextSources, attributes: Mapping[str, object]) -> str | None:
    for key, reader, seen in sources:
        value = attributes[key]
        if type(value) is str and reader is not text:
            if value in seen:
                found = seen[value]
            else:
                found = reader(value)
                remember(seen, value, found)
        else:
            found = reader(value)
        if found is not None:
            return found
    return None


def _all_hold(when: Conditions, span_name: str, span_kind: int, attributes: Mapping[str, object]) -> bool:
    for condition in when:
        subject = condition.subject
        if subject == SPAN_KIND:
            found: str | None = KIND_NAMES[span_kind] if 0 <= span_kind < len(KIND_NAMES) else None
        else:
            found = text(span_name if subject == SPAN_NAME else attributes[subject])
        if found is None:
            return False
        if condition.test is IN:
            if found not in condition.values and found.strip().lower() not in condition.values:
                return False
        elif condition.test is STARTS:
            if not found.startswith(condition.values):
                return False
        elif not found.endswith(condition.values):
            return False
    return True


def _counting(
    plan: Plan, provider: str | None, span_name: str, span_kind: int, attributes: Mapping[str, object]
) -> Input:
    for counting, providers, when in plan.accounting:
        if (not providers or provider in providers) and _all_hold(when, span_name, span_kind, attributes):
            return counting
    return Input.UNKNOWN


def _cost(plan: Plan, attributes: Mapping[str, object]) -> tuple[int | None, str | None, int, bool]:
    """The reported cost, where it was found, its flags, and whether the provider (or its gateway) reported it."""
    flags = 0
    for key, reader in plan.cost:
        draft = key == k.GEN_AI_USAGE_COST_AMOUNT
        if draft and (text(attributes.get(k.GEN_AI_USAGE_COST_CURRENCY)) or "USD").strip().upper() != "USD":
            continue
        number, flag = reader(attributes[key])
        flags |= flag
        if number is not None:
            said = text(attributes.get(k.GEN_AI_USAGE_COST_SOURCE)) if draft else None
            ours = draft or key == k.OTEL_COST_COST_USD
            return number, key, flags, said == "provider" or (plan.dialect.cost_by_provider and not ours)
    return None, None, flags, False


def splits_cache_writes(provider: str | None, model: str) -> bool:
    """Whether the provider bills cache writes by their time to live."""
    return provider == "anthropic" or ("claude" in model and (provider is None or provider in CLAUDE_PROVIDERS))
