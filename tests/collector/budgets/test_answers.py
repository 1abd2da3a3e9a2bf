"""The budget protocol: what is asked and answered, and what is not understood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from collector.budgets.answers import Surroundings, check_answer, lease_answer, release_answer, settle_answer
from collector.budgets.leases import LeaseBook
from collector.budgets.model import Action, Rule, Unit, Unpriced, WindowKind
from collector.budgets.requests import BadRequest
from tests.collector.budgets.leasing import NOON_NS, Clocks, Spending, rule_of

AROUND = Surroundings("o")
USD = 10**12
DAY = rule_of("day", 5 * USD, scope=(("customer", None),))
ASKED = {
    "owners": {"customer": "acme", "agent": None, "team": ""},
    "provider": "openai",
    "model": "gpt-4o",
    "estimate": {"usd": "0.0123", "tokens": 2100},
}


def book_of(*rules: Rule, **more: Any) -> LeaseBook:
    book = LeaseBook(Spending(rules), steady_ns=Clocks().steady, **more)
    book.set_rules(rules, "r1")
    return book


def lease(book: LeaseBook, **more: Any) -> dict[str, Any]:
    answer = lease_answer(book, {**ASKED, "holder": "h", **more}, NOON_NS, AROUND)
    assert json.loads(json.dumps(answer)) == answer
    return answer


def test_a_budget_by_an_attribute_counts_calls_that_say_it() -> None:
    rule = rule_of("eu", 0, scope=(("attribute.deployment.region", "eu"),))
    book = book_of(rule)
    assert lease(book, attributes={"deployment.region": "eu", "other": None})["decision"] == "block"
    assert lease(book, attributes={"deployment.region": "us"})["decision"] == "allow"
    assert lease(book)["match_on"] == ["attribute.deployment.region"]
    with pytest.raises(BadRequest):
        lease(book, attributes={"deployment.region": 1})


def test_a_lease_says_what_it_holds_and_for_which_calls() -> None:
    answer = lease(book_of(DAY), calls=1)
    lease_id = answer["lease"].pop("id")
    assert "/" not in lease_id
    assert answer == {
        "decision": "allow",
        "rules_revision": "r1",
        "match_on": ["customer"],
        "unreachable": "open",
        "lease": {
            "expires_in_seconds": 30.0,
            "match_on": ["customer"],
            "unreachable": "open",
            "grants": [
                {"rule": "day", "scope_value": "acme", "unit": "USD", "amount": "0.0123", "each": "0.0123"},
            ],
        },
    }


def test_a_lease_of_no_hard_budget_has_no_grants() -> None:
    answer = lease(book_of(DAY), owners={})
    assert answer["decision"] == "allow"
    assert answer["lease"]["grants"] == []


def test_a_refusal_says_why() -> None:
    rule = rule_of("tokens", 2000, Unit.TOKENS, is_closed_when_unreachable=True)
    answer = lease(book_of(rule))
    assert answer == {
        "decision": "block",
        "rules_revision": "r1",
        "match_on": ["organization"],
        "unreachable": "closed",
        "closed": [{"rule": "tokens", "unit": "tokens", "calls": {}}],
        "refusal": {
            "decision": "block",
            "rule": "tokens",
            "scope_value": "o",
            "unit": "tokens",
            "limit": 2000,
            "spent": 0,
            "leased": 0,
            "resets_at": None,
            "ticket": None,
            "model": None,
            "retry_after_seconds": None,
        },
    }
    assert check_answer(book_of(rule), ASKED, NOON_NS, AROUND) == answer


def test_rules_that_are_closed_are_told_with_every_answer() -> None:
    """For calls that nobody has asked for when the collector cannot be reached."""
    templates = (("customer", None), ("organization", None))
    closed = [
        rule_of("run", 9, scope=(("agent", "a"),), kind=WindowKind.RUN, is_closed_when_unreachable=True),
        rule_of("each", 9, scope=templates, is_closed_when_unreachable=True),
        rule_of("later", 9, from_ns=NOON_NS + 1, is_closed_when_unreachable=True),
        rule_of("theirs", 9, organization="p", is_closed_when_unreachable=True),
        rule_of("also", 9, scope=(("organization", "p"),), is_closed_when_unreachable=True),
    ]
    answer = lease(book_of(rule_of("open", 10**15), *closed), owners={})
    assert answer["unreachable"] == "open"
    assert answer["closed"] == [
        {"rule": "each", "unit": "USD", "calls": {"customer": None}},
        {"rule": "run", "unit": "USD", "calls": {"agent": "a", "run": None}},
    ]
    assert "closed" not in lease(book_of(rule_of("open", 10**15)))


def test_a_reset_is_told_in_utc_and_idle_leases_in_the_way_by_when_to_ask_again() -> None:
    book = book_of(rule_of("day", USD // 50))
    assert lease(book)["decision"] == "allow"
    refusal = lease(book, holder="other")["refusal"]
    assert refusal["resets_at"] == "2026-09-22T00:00:00Z"
    assert refusal["leased"] == "0.0123"
    assert refusal["retry_after_seconds"] == 1.0


def test_an_approval_has_the_ticket_of_those_who_were_asked_and_a_check_asks_nobody() -> None:
    """Whom they denied it is blocked, by that ticket; a check says so too once somebody has asked."""
    asked: list[object] = []

    def ask(*about: object) -> tuple[str | None, bool]:
        if about[4] is not None:
            asked.append(about)
        return "T1" if asked else None, len(asked) > 1

    def said(answer: dict[str, Any]) -> tuple[object, object, object]:
        return answer["decision"], answer["refusal"]["decision"], answer["refusal"]["ticket"]

    def check() -> dict[str, Any]:
        return check_answer(book, ASKED, NOON_NS, AROUND)

    book = book_of(rule_of("r", 0, on_exceed=(Action.APPROVAL,)), ask=ask)
    assert said(check()) == ("approval", "approval", None)
    assert said(lease(book)) == said(check()) == ("approval", "approval", "T1")
    assert said(lease(book)) == said(check()) == ("block", "block", "T1")
    assert [about[4] for about in asked] == ["h", "h"]  # type: ignore[index]


def test_what_is_given_back_with_a_request_is_free_for_it() -> None:
    """A budget for one call at a time: the next lease has room because the last one is given back in the same step."""
    book = book_of(rule_of("day", 13 * USD // 1000))
    first = lease(book)["lease"]["id"]
    assert lease(book)["decision"] == "block"
    call = {"call": 0, "usd": "0", "tokens": 0, "calls": 0, "reserved": {"usd": "0.0123", "tokens": 2100, "calls": 1}}
    answer = lease(book, settle=[{"lease": first, "calls": [call]}], release=[first])
    assert answer["decision"] == "allow"


def test_settle_and_release_know_their_lease() -> None:
    book = book_of(DAY)
    lease_id = lease(book)["lease"]["id"]
    call = {"call": 0, "usd": None, "tokens": 1, "reserved": {"usd": "0.0123", "tokens": 2100}}
    settled = settle_answer(book, {"lease": lease_id, "calls": [call]}, NOON_NS)
    assert settled == {"lease": lease_id, "known": True, "expires_in_seconds": 30.0, "rules_revision": "r1"}
    body = {"lease": lease_id, "in_flight": [{"call": 1, "reserved": {"usd": "1", "tokens": 1}}]}
    assert release_answer(book, body)["known"] is True
    assert settle_answer(book, {"lease": "gone", "calls": []}, NOON_NS)["known"] is False
    assert release_answer(book, {"lease": "gone"})["known"] is False


def test_a_call_without_a_price_takes_what_each_rule_counts_it_as() -> None:
    worst = rule_of("worst", USD, unpriced=Unpriced.WORST_CASE)
    allow = rule_of("allow", USD)
    estimate = {"usd": None, "worst_case_usd": "0.5", "tokens": 10}
    grants = lease(book_of(worst, allow), estimate=estimate)["lease"]["grants"]
    assert [grant["each"] for grant in grants] == ["0.5", "0"]


def test_the_model_of_a_claim_is_counted_by_the_name_that_the_ledger_has() -> None:
    rule = rule_of("r", 0, scope=(("model", "gpt-4o"),))
    around = Surroundings("o", lambda provider, model: f"{model}".removesuffix("-2024-08-06"))
    asked = {**ASKED, "model": "gpt-4o-2024-08-06"}
    assert check_answer(book_of(rule), asked, NOON_NS, around)["decision"] == "block"
    assert check_answer(book_of(rule), asked, NOON_NS, AROUND)["decision"] == "allow"


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"owners": {"custommer": "acme"}}, "owners.custommer", 'unknown field; did you mean "customer"?'),
        ({"owners": {"customer": 7}}, "owners.customer", "must be text (got 7)"),
        ({"estimate": {"usd": 0.1, "tokens": 1}}, "estimate.usd", "must be a decimal string"),
        ({"estimate": {"usd": "1e3", "tokens": 1}}, "estimate.usd", 'got "1e3"'),
        ({"estimate": {"usd": "-1", "tokens": 1}}, "estimate.usd", 'got "-1"'),
        ({"estimate": {"usd": "9999999", "tokens": 1}}, "estimate.usd", "more than one call can cost"),
        ({"estimate": {"tokens": 1}}, "estimate.usd", "is required"),
        ({"estimate": {"usd": "1", "tokens": True}}, "estimate.tokens", "must be a whole number (got true)"),
        ({"estimate": {"usd": "1", "tokens": -1}}, "estimate.tokens", "must be a whole number (got -1)"),
        ({"estimate": {"usd": "1", "token": 1}}, "estimate.token", 'did you mean "tokens"?'),
        ({"estimate": 3}, "estimate", "must be a JSON object (got 3)"),
        ({"holder": ""}, "holder", "must be text"),
        ({"holder": "x" * 201}, "holder", "is too long"),
        ({"calls": 0}, "calls", "must be a whole number"),
        ({"settle": [{"lease": "x", "calls": [{"usd": "1"}]}]}, "settle[0].calls[0].call", "is required"),
        ({"release": [7]}, "release[0]", "must be a JSON object (got 7)"),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(change: Mapping[str, Any], where: str, message: str) -> None:
    with pytest.raises(BadRequest) as error:
        lease(book_of(DAY), **change)
    assert error.value.where == where
    assert message in str(error.value)


@pytest.mark.parametrize("request_json", [None, [], "x", 1])
def test_a_request_that_is_no_object_is_refused(request_json: object) -> None:
    with pytest.raises(BadRequest):
        settle_answer(book_of(DAY), request_json, NOON_NS)


def test_an_organisation_hears_nothing_of_what_rules_of_others_are_about() -> None:
    theirs = rule_of("theirs", USD, scope=(("user", None),), organization="p")
    named = rule_of("named", USD, scope=(("organization", "p"), ("team", None)))
    book = book_of(DAY, theirs, named)
    assert lease(book)["match_on"] == ["customer"]
    assert lease(book, org="p")["match_on"] == ["customer", "organization", "team", "user"]


def test_who_has_waited_is_slowed_down_no_more_and_stays_within_the_limit() -> None:
    slow = rule_of(
        "slow", USD, on_exceed=(Action.BLOCK,), on_warn=(Action.THROTTLE,), warn_at_ppm=(0,), throttle_seconds=60.0
    )
    book = book_of(slow)
    half = {"estimate": {"usd": "0.5", "tokens": 10}}
    decisions = [lease(book, **half)["decision"], lease(book, **half)["decision"]]
    assert decisions == ["allow", "throttle"]
    assert lease(book, **half, has_waited=True)["lease"]["grants"][0]["amount"] == "0.5"
    assert lease(book, **half, has_waited=True)["decision"] == "block"
    with pytest.raises(BadRequest, match="true or false"):
        lease(book, has_waited="yes")


def test_a_lease_that_is_held_for_a_job_outlasts_its_holder_until_the_job_is_read() -> None:
    """No second batch fits meanwhile; the results free it after a minute, whose spans have come by then."""
    clocks = Clocks()
    book = LeaseBook(Spending((DAY,)), steady_ns=clocks.steady)
    book.set_rules([DAY], "r1")
    batch = {"estimate": {"usd": "3", "tokens": 1000, "calls": 50}, "calls": 1}
    lease_id = lease(book, **batch)["lease"]["id"]
    held = settle_answer(book, {"lease": lease_id, "job": "batch-1", "hold_seconds": 86_400}, NOON_NS)
    assert held["known"]
    clocks.advance(3 * 3600)
    assert lease(book, **batch)["decision"] == "block"
    assert lease(book)["decision"] == "allow"
    assert release_answer(book, {"job": "batch-1"}, org="another")["known"] is False
    assert release_answer(book, {"job": "batch-1"}) == {"job": "batch-1", "known": True, "rules_revision": "r1"}
    clocks.advance(59)
    assert lease(book, **batch)["decision"] == "block"
    clocks.advance(2)
    assert lease(book, **batch)["decision"] == "allow"


@pytest.mark.parametrize(("said_seconds", "held_seconds"), [(100, 100), (10**9, 48 * 3600)])
def test_nobody_reads_a_job_and_it_is_held_no_longer_than_was_said_nor_than_two_days(
    said_seconds: int, held_seconds: int
) -> None:
    clocks = Clocks()
    book = LeaseBook(Spending((DAY,)), steady_ns=clocks.steady)
    book.set_rules([DAY], "r1")
    lease_id = lease(book)["lease"]["id"]
    settle_answer(book, {"lease": lease_id, "job": "b", "hold_seconds": said_seconds}, NOON_NS)
    (key,) = book.keys("day")
    clocks.advance(10)
    settle_answer(book, {"lease": lease_id}, NOON_NS)  # does not make it a lease like others again
    clocks.advance(held_seconds - 11)
    assert book.leased(key)
    clocks.advance(2)
    assert not book.leased(key)


def test_a_job_has_a_time() -> None:
    with pytest.raises(BadRequest, match="required"):
        settle_answer(book_of(DAY), {"lease": "x", "job": "b"}, NOON_NS)
