"""Leases on the real counters: what moves with spans, in windows that end, from many threads."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier, Thread

import pytest

from collector.budgets.claimed_models import counted_model, other_cost, unknown_models, with_counted_models
from collector.budgets.counters import Counters, LeasedCall, Raise
from collector.budgets.held import Amounts, CallUnderWay, SettledCall
from collector.budgets.leases import LeaseBook
from collector.budgets.model import Action, CounterKey, Lease, Refusal, Rule, Unit, Window, WindowKind
from collector.budgets.slices import MOST_CALLS, Pace
from collector.budgets.windows import DAY_NS, HOUR_NS
from otel_cost.pricing.card import default_card
from tests.collector.budgets.leasing import SECOND_NS, Clocks, claim_of, rule_of
from tests.collector.budgets.moved_calls import NOON_NS, call, moved


def books(*rules: Rule, clocks: Clocks | None = None) -> tuple[Counters, LeaseBook]:
    counters = Counters(rules)
    book = LeaseBook(counters, steady_ns=(clocks or Clocks()).steady)
    book.set_rules(rules, "1")
    counters.on_applied(book.applied, leases=True)
    return counters, book


def stored(counters: Counters, cost: int, lease: str, at_ns: int = NOON_NS, *, is_counted: bool = True) -> None:
    """The span of a leased call is committed."""
    rows = [call(org_id="o", cost_pico_usd=cost, start_time_ns=at_ns)] if is_counted else []
    counters.apply(counters.moves(moved(rows), at_ns, [LeasedCall(lease, cost, 15, is_counted)]))


def granted(book: LeaseBook, cost: int, at_ns: int = NOON_NS, holder: str = "h") -> Lease:
    found = book.lease(claim_of(cost, customer="acme"), holder, at_ns)
    assert isinstance(found, Lease)
    return found


def test_a_span_moves_its_call_from_the_lease_to_the_counter() -> None:
    counters, book = books(rule_of("r", 100))
    lease = granted(book, 60)
    key = lease.grants[0].key
    stored(counters, 60, f"{lease.lease_id}/0")
    assert (counters.amount(key, NOON_NS), book.leased(key)) == (60, 0)
    stored(counters, 30, "unknown/0")
    stored(counters, 0, "a/b/c")
    assert granted(book, 10).grants[0].amount == 10
    assert isinstance(book.lease(claim_of(1), "h", NOON_NS), Refusal)


def test_a_span_that_does_not_count_frees_its_settled_call() -> None:
    counters, book = books(rule_of("r", 100))
    lease = granted(book, 60)
    key = lease.grants[0].key
    book.settle(lease.lease_id, [SettledCall(0, Amounts(60, 10, 1), Amounts(60, 10, 1))], NOON_NS)
    book.release(lease.lease_id)
    assert book.leased(key) == 60
    stored(counters, 60, f"{lease.lease_id}/0", is_counted=False)
    assert (counters.amount(key, NOON_NS), book.leased(key)) == (0, 0)
    assert len(book) == 0


def test_a_settled_call_waits_a_minute_for_its_span() -> None:
    clocks = Clocks()
    counters, book = books(rule_of("r", 100), clocks=clocks)
    lease = granted(book, 60)
    key = lease.grants[0].key
    book.settle(lease.lease_id, [SettledCall(0, Amounts(60, 10, 1), Amounts(50, 10, 1))], NOON_NS)
    book.release(lease.lease_id)
    clocks.advance(59)
    assert book.leased(key) == 50
    clocks.advance(1)
    assert book.leased(key) == 0
    stored(counters, 50, f"{lease.lease_id}/0")
    assert (counters.amount(key, NOON_NS), book.leased(key)) == (50, 0)


def test_calls_under_way_of_a_lease_given_back_are_kept_while_their_holder_is_heard_of() -> None:
    clocks = Clocks()
    _, book = books(rule_of("r", 100), clocks=clocks)
    lease = granted(book, 60)
    key = lease.grants[0].key
    book.release(lease.lease_id, [CallUnderWay(0, Amounts(60, 10, 1))])
    for _ in range(5):
        clocks.advance(20)
        book.release(granted(book, 1).lease_id)
        assert book.leased(key) == 60
    clocks.advance(29)
    assert book.leased(key) == 60
    clocks.advance(1)
    assert book.leased(key) == 0


def test_what_others_spend_ends_leases_when_their_holders_are_heard_of() -> None:
    counters, book = books(rule_of("r", 100))
    lease = granted(book, 5)
    assert lease.expires_in_ns == 30 * SECOND_NS
    stored(counters, 85, "")
    assert book.settle(lease.lease_id, [], NOON_NS) == SECOND_NS, "little is left"
    stored(counters, 20, "")
    assert book.settle(lease.lease_id, [], NOON_NS) == 0, "nothing is left"


def test_what_others_hold_counts_as_what_they_have_spent() -> None:
    """Nothing is in the ledger yet: of what is left, leases are taken."""
    _, book = books(rule_of("r", 100))
    early = granted(book, 5, holder="early")
    granted(book, 80, holder="large")
    late = granted(book, 1, holder="late")
    assert (early.expires_in_ns, late.expires_in_ns) == (30 * SECOND_NS, SECOND_NS), "little is left"
    assert book.settle(early.lease_id, [], NOON_NS) == SECOND_NS
    book.settle(late.lease_id, [SettledCall(0, Amounts(1, 10, 1), Amounts(16, 10, 1))], NOON_NS)
    assert book.settle(early.lease_id, [], NOON_NS) == 0, "a call of another cost more than there was"


def test_no_lease_is_used_beyond_its_window() -> None:
    """What begins in the next window counts there, and needs a lease of that."""
    midnight_ns = NOON_NS - NOON_NS % DAY_NS + DAY_NS
    _, book = books(rule_of("day", 100), rule_of("all", 100, kind=WindowKind.TOTAL))
    lease = granted(book, 5, midnight_ns - 3 * SECOND_NS)
    assert lease.expires_in_ns == 3 * SECOND_NS
    assert book.settle(lease.lease_id, [], midnight_ns) == 0
    after = granted(book, 5, midnight_ns)
    day, total = (grant.key for grant in after.grants)
    assert day.window_start_ns == midnight_ns
    assert (book.leased(day), book.leased(total)) == (5, 10)


@pytest.mark.parametrize("kind", [WindowKind.DAY, WindowKind.ROLLING])
def test_no_lease_is_used_beyond_a_raise_of_the_limit(kind: WindowKind) -> None:
    """What was granted while the limit was higher is not begun afterwards, though nobody has spent it."""
    rule = replace(rule_of("r", 10), window=Window(kind, 24 * HOUR_NS if kind is WindowKind.ROLLING else 0))
    start_ns = NOON_NS - NOON_NS % DAY_NS if kind is WindowKind.DAY else 0
    ends_ns = NOON_NS + 5 * SECOND_NS
    counters, book = books(rule)
    counters.raises = lambda: {CounterKey("o", "r", "o", start_ns): Raise(90, ends_ns)}
    lease = granted(book, 20)
    assert lease.expires_in_ns == 5 * SECOND_NS
    assert book.settle(lease.lease_id, [], ends_ns - 1) == 1
    assert book.settle(lease.lease_id, [], ends_ns) == 0
    assert isinstance(book.lease(claim_of(1), "h", ends_ns), Refusal)
    book.release(lease.lease_id)
    assert granted(book, 5, ends_ns).expires_in_ns == 30 * SECOND_NS


def test_a_rolling_window_is_leased_as_a_whole_and_says_when_there_is_room() -> None:
    rule = Rule(
        "r",
        (("organization", None),),
        100,
        Unit.USD,
        Window(WindowKind.ROLLING, 3 * HOUR_NS),
        on_exceed=(Action.BLOCK,),
    )
    counters, book = books(rule)
    stored(counters, 70, "", NOON_NS - HOUR_NS)
    granted(book, 20, NOON_NS)
    later_ns = NOON_NS + HOUR_NS
    assert book.leased(CounterKey("o", "r", "o", later_ns)) == 20
    found = book.lease(claim_of(40), "h", later_ns)
    assert isinstance(found, Refusal)
    assert (found.spent, found.leased) == (70, 20)
    assert found.resets_at_ns is not None
    assert NOON_NS + 2 * HOUR_NS <= found.resets_at_ns <= NOON_NS + 2 * HOUR_NS + 300 * SECOND_NS


def test_leases_grow_while_they_are_used_up_and_shrink_towards_the_limit() -> None:
    clocks = Clocks()
    _, book = books(rule_of("r", 1000), clocks=clocks)
    amounts: list[int] = []
    while isinstance(found := book.lease(claim_of(1), "h", NOON_NS), Lease):
        amounts.append(found.grants[0].amount)
        clocks.advance(0.1)
    assert amounts[:6] == [1, 2, 4, 8, 16, 32]
    assert amounts[-1] == 1
    assert sum(amounts) == 1000
    assert all(a <= 1000 // 4 for a in amounts)


def test_the_next_lease_is_larger_after_a_quick_one_and_smaller_after_one_that_was_not_used_up() -> None:
    pace = Pace(calls=8, granted_ns=0, use_ns=30)
    assert [pace.next_calls(age) for age in (14, 15, 30, 31)] == [16, 8, 8, 4]
    assert Pace(1, 0, 30).next_calls(31) == 1
    assert Pace(MOST_CALLS, 0, 30).next_calls(1) == MOST_CALLS


def test_many_threads_never_lease_more_than_there_is_nor_are_refused_less() -> None:
    """Each thread leases, settles and has its spans stored, all at once; costs are exact."""
    counters, book = books(rule_of("r", 2600), rule_of("n", 370, Unit.CALLS))
    start = Barrier(8)
    made: list[int] = []
    wrong: list[Refusal] = []

    def work(name: str) -> None:
        start.wait()
        for number in range(60):
            cost = 1 + (number * 7) % 13
            found = book.lease(claim_of(cost, customer="acme"), name, NOON_NS, 1)
            if isinstance(found, Refusal):
                if found.spent + found.leased + (cost if found.unit is Unit.USD else 1) <= found.limit:
                    wrong.append(found)
                continue
            amounts = Amounts(cost, 10, 1)
            book.settle(found.lease_id, [SettledCall(0, amounts, amounts)], NOON_NS)
            book.release(found.lease_id)
            with counters.lock:
                stored(counters, cost, f"{found.lease_id}/0")
            made.append(cost)

    threads = [Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [CounterKey("o", name, "o", NOON_NS - NOON_NS % DAY_NS) for name in ("r", "n")]
    spent = [counters.amount(key, NOON_NS) for key in keys]
    assert spent == [sum(made), len(made)]
    assert 2600 - 13 < spent[0] <= 2600 or spent[1] == 370
    assert spent[1] <= 370
    assert not wrong
    assert [book.leased(key) for key in keys] == [0, 0]
    assert len(book) == 0


def test_models_are_claimed_by_their_counted_names_and_others_cost_what_their_rates_say() -> None:
    card = default_card()
    assert counted_model(card, "openai", "gpt-4o-2024-08-06") == counted_model(card, "openai", "gpt-4o") == "gpt-4o"
    assert counted_model(card, "nobody", "nothing") == "nothing"
    assert counted_model(card, None, None) is None
    claim = claim_of(1_000_000)
    cheaper = other_cost(card, claim, "gpt-4o-mini")
    assert cheaper is not None
    assert 0 < cheaper < 200_000
    assert other_cost(card, claim, "nothing") is None
    assert other_cost(card, claim._replace(cost_pico_usd=None), "gpt-4o-mini") is None


@pytest.mark.parametrize("written", ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o"])
def test_a_replacement_may_be_written_by_any_name_of_its_model(written: str) -> None:
    """Claims have the name that the ledger counts by."""
    rule = with_counted_models(rule_of("r", 1, cheaper={written: "gpt-4o-mini"}), default_card())
    assert rule.cheaper["gpt-4o"] == "gpt-4o-mini"


def test_a_chain_of_replacements_goes_on_though_its_models_are_written_by_other_names() -> None:
    written = {"gpt-4o": "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini": "gpt-4.1-nano"}
    rule = with_counted_models(rule_of("r", 1, cheaper=written), default_card())
    assert list(rule.replacements("gpt-4o")) == ["gpt-4o-mini-2024-07-18", "gpt-4.1-nano"]


def test_a_misspelt_model_of_a_replacement_is_found_and_an_own_one_has_none_like_it() -> None:
    rule = rule_of("r", 1, cheaper={"gpt4o": "gpt-4o-mini", "our-lama-7": "gpt-4o-mini"})
    assert unknown_models(rule, default_card()) == {"gpt4o": "gpt-4o", "our-lama-7": None}
