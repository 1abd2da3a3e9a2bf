"""What holders ask by HTTP, and what they are answered: JSON in, JSON out (docs/budgets-protocol.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from collector.budgets.held import Amounts, CallUnderWay, SettledCall
from collector.budgets.leases import LeaseBook
from collector.budgets.model import Claim, Decision, Lease, Refusal, Unit
from collector.budgets.requests import BadRequest, Fields
from otel_cost.call import ATTRIBUTE, DIMENSIONS
from otel_cost.pricing.money import format_usd

Json = dict[str, Any]
CountedModel = Callable[[str | None, str | None], str | None]
"""Provider and model of a request -> the name by which the ledger counts it (`claimed_models.counted_model`)."""

MAX_HOLDER_CHARS = 200
MAX_VALUE_CHARS = 1024
"""Of a model, provider or owner; the ledger's own bound (`collector.limits.MAX_NAME_BYTES`)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What claims are read with."""

    org: str
    """Whose a claim is that names none."""
    counted_model: CountedModel = lambda _, model: model


def check_answer(book: LeaseBook, request: object, now_ns: int, around: Surroundings, org: str | None = None) -> Json:
    """`POST /api/v1/budgets/check`. Raises BadRequest, as all of these. `org`: the only one that may be asked about."""
    fields = Fields(request)
    claim = _claim(fields, around, org)
    fields.close()
    with book.lock:
        refusal = book.check(claim, now_ns)
        found = _about(book, claim, now_ns)
    if refusal is None:
        return {"decision": Decision.ALLOW.value, **found}
    return {"decision": refusal.decision.value, "refusal": refusal_json(refusal), **found}


def lease_answer(book: LeaseBook, request: object, now_ns: int, around: Surroundings, org: str | None = None) -> Json:
    """`POST /api/v1/budgets/lease`."""
    fields = Fields(request)
    claim = _claim(fields, around, org)
    holder = fields.text("holder", MAX_HOLDER_CHARS)
    calls = fields.count("calls", None, least=1)
    has_waited = fields.flag("has_waited")
    settlements = [_settlement(each) for each in fields.items("settle")]
    released = [_released(each) for each in fields.items("release", or_text="lease")]
    fields.close()
    with book.lock:  # in one step: what a holder gives back never refuses its next call
        for settlement in settlements:
            _settle(book, settlement, now_ns, org)
        for lease_id, under_way in released:
            _release(book, lease_id, under_way, org)
        found = book.lease(claim, holder, now_ns, calls, has_waited=has_waited)
        about = _about(book, claim, now_ns)
    if isinstance(found, Refusal):
        return {"decision": found.decision.value, "refusal": refusal_json(found), **about}
    return {"decision": Decision.ALLOW.value, "lease": _leased(found, about), **about}


def settle_answer(book: LeaseBook, request: object, now_ns: int, org: str | None = None) -> Json:
    """`POST /api/v1/budgets/settle`."""
    settlement = _settlement(Fields(request))
    use_ns = _settle(book, settlement, now_ns, org)
    return {
        "lease": settlement.lease_id,
        "known": use_ns is not None,
        "expires_in_seconds": (use_ns or 0) / 1e9,
        "rules_revision": book.revision,
    }


def release_answer(book: LeaseBook, request: object, org: str | None = None) -> Json:
    """`POST /api/v1/budgets/release`."""
    fields = Fields(request)
    job = fields.optional_text("job", MAX_VALUE_CHARS)
    if job is not None:
        fields.close()
        return {"job": job, "known": book.read(job, org), "rules_revision": book.revision}
    lease_id, under_way = _released(fields)
    return {"lease": lease_id, "known": _release(book, lease_id, under_way, org), "rules_revision": book.revision}


class _Settlement(NamedTuple):
    lease_id: str
    calls: Sequence[SettledCall]
    job: str | None  # that the lease is held for from now on
    hold_ns: int


def _settle(book: LeaseBook, settlement: _Settlement, now_ns: int, org: str | None) -> int | None:
    """As `LeaseBook.settle`; leases of other organisations are unknown."""
    with book.lock:
        if book.is_foreign(settlement.lease_id, org):
            return None
        use_ns = book.settle(settlement.lease_id, settlement.calls, now_ns)
        if use_ns is not None and settlement.job is not None:
            return use_ns if book.hold(settlement.lease_id, settlement.job, settlement.hold_ns) else None
        return use_ns


def _release(book: LeaseBook, lease_id: str, under_way: Sequence[CallUnderWay], org: str | None) -> bool:
    with book.lock:
        return not book.is_foreign(lease_id, org) and book.release(lease_id, under_way)


def amount_json(unit: Unit, amount: int) -> str | int:
    """Money as an exact decimal string of dollars, other units as numbers."""
    return format_usd(amount) if unit is Unit.USD else amount


def time_json(at_ns: int | None) -> str | None:
    """UTC, to the microsecond."""
    if at_ns is None:
        return None
    return (_EPOCH + timedelta(microseconds=at_ns // 1000)).isoformat().replace("+00:00", "Z")


def refusal_json(refusal: Refusal) -> Json:
    """A refusal as all answers show it."""
    unit = refusal.unit
    return {
        "decision": refusal.decision.value,
        "rule": refusal.rule,
        "scope_value": refusal.scope_value,
        "unit": unit.value,
        "limit": amount_json(unit, refusal.limit),
        "spent": amount_json(unit, refusal.spent),
        "leased": amount_json(unit, refusal.leased),
        "resets_at": time_json(refusal.resets_at_ns),
        "ticket": refusal.ticket,
        "model": refusal.model,
        "retry_after_seconds": refusal.retry_after_seconds,
    }


def _about(book: LeaseBook, claim: Claim, now_ns: int) -> Json:
    about: Json = {
        "rules_revision": book.revision,
        "match_on": list(book.match_on(claim.org_id)),
        "unreachable": "closed" if book.is_closed_when_unreachable(claim, now_ns) else "open",
    }
    closed = book.closed_when_unreachable(claim.org_id, now_ns)
    told = [{"rule": rule.name, "unit": rule.unit.value, "calls": calls} for rule, calls in closed]
    return {**about, "closed": told} if told else about


def _leased(lease: Lease, about: Mapping[str, Any]) -> Json:
    grants = [
        {
            "rule": grant.key.rule,
            "scope_value": grant.key.scope_value,
            "unit": grant.unit.value,
            "amount": amount_json(grant.unit, grant.amount),
            "each": amount_json(grant.unit, each),
        }
        for grant, each in zip(lease.grants, lease.each, strict=True)
    ]
    return {
        "id": lease.lease_id,
        "expires_in_seconds": lease.expires_in_ns / 1e9,
        "match_on": about["match_on"],
        "unreachable": about["unreachable"],
        "grants": grants,
    }


def _claim(fields: Fields, around: Surroundings, org: str | None) -> Claim:
    said = fields.optional_text("org", MAX_VALUE_CHARS)
    if org is not None and said not in (None, org):
        raise BadRequest("org", "is not the caller's", org)
    owners = fields.section("owners", optional=True)
    named = {name: owners.optional_text(name, MAX_VALUE_CHARS) for name in DIMENSIONS}
    owners.close()
    for key, value in fields.texts("attributes", MAX_VALUE_CHARS).items():
        named[ATTRIBUTE + key] = value
    estimate = fields.section("estimate")
    cost = estimate.usd("usd")
    worst = estimate.usd("worst_case_usd", optional=True)
    tokens, calls = estimate.count("tokens"), estimate.count("calls", 1)
    estimate.close()
    provider = fields.optional_text("provider", MAX_VALUE_CHARS)
    return Claim(
        said or org or around.org,
        {name: value for name, value in named.items() if value is not None},
        provider,
        around.counted_model(provider, fields.optional_text("model", MAX_VALUE_CHARS)),
        cost,
        tokens or 0,
        1 if calls is None else calls,
        worst,
    )


def _settlement(fields: Fields) -> _Settlement:
    lease_id = fields.text("lease", MAX_HOLDER_CHARS)
    calls = [_settled_call(each) for each in fields.items("calls")]
    job = fields.optional_text("job", MAX_VALUE_CHARS)
    hold_seconds = None if job is None else fields.count("hold_seconds", least=1)
    fields.close()
    return _Settlement(lease_id, calls, job, (hold_seconds or 0) * 10**9)


def _settled_call(fields: Fields) -> SettledCall:
    number = fields.count("call")
    real = _amounts(fields)
    reserved = _reserved(fields)
    fields.close()
    return SettledCall(number or 0, reserved, real)


def _released(fields: Fields) -> tuple[str, Sequence[CallUnderWay]]:
    lease_id = fields.text("lease", MAX_HOLDER_CHARS)
    under_way: list[CallUnderWay] = []
    for each in fields.items("in_flight"):
        under_way.append(CallUnderWay(each.count("call") or 0, _reserved(each)))
        each.close()
    fields.close()
    return lease_id, under_way


def _reserved(fields: Fields) -> Amounts:
    reserved = fields.section("reserved")
    found = _amounts(reserved)
    reserved.close()
    return found


def _amounts(fields: Fields) -> Amounts:
    calls = fields.count("calls", 1)
    return Amounts(fields.usd("usd"), fields.count("tokens") or 0, 1 if calls is None else calls)
