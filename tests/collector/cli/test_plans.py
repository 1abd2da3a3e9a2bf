"""Fees of flat plans, shared out: exact parts, parts of months, and what the command says of mistakes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.attribute import attribute
from collector.cli.plans import allocated, months, shared_out
from collector.store import Store, StoreConfig
from otel_cost.pricing.overrides.values import REQUESTS, TOKENS, Plan, Target
from otel_cost.pricing.rates import BEGINNING_NS, END_NS
from tests.collector.cli.scenario import run, run_json
from tests.collector.store.ledger_rows import batch, call

CONFIG = "processors: {cost: {plans: [{name: flat, provider: minimax, fee: 10 USD/month}]}}\n"


def _plan(fee_usd: str = "10", share_by: str = TOKENS, start: str = "", end: str = "") -> Plan:
    valid_from_ns, valid_to_ns = (
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 10**9 if day else otherwise
        for day, otherwise in ((start, BEGINNING_NS), (end, END_NS))
    )
    target = Target("flat", "minimax", "*", (), valid_from_ns, valid_to_ns)
    return Plan(target, int(Decimal(fee_usd) * 10**12), share_by)


def _line(value: str | None, calls: int, tokens: int, month: str = "2026-11") -> dict[str, Any]:
    return {"plan": "flat", "month": month, "value": value, "calls": calls, "tokens": tokens}


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_parts_add_up_to_the_whole_exactly_and_none_is_off_by_more_than_one(total: int, weights: list[int]) -> None:
    """To the pico-dollar, whatever is shared out among whomever."""
    parts = allocated(total, weights)
    if not sum(weights):
        assert not any(parts)
        return
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


def test_what_rounding_leaves_goes_to_the_largest_rest() -> None:
    """Three thirds of 10 are 4, 3, 3; two sevenths and five sevenths of 10 are 3 and 7."""
    assert allocated(10, [1, 1, 1]) == [4, 3, 3]
    assert allocated(10, [2, 5]) == [3, 7]


def test_a_fee_is_shared_by_tokens_or_by_requests() -> None:
    """Acme made one call of 3,000 tokens, others three of 1,000 together."""
    lines = [_line("acme", 1, 3000), _line(None, 3, 1000)]
    for share_by, parts in ((TOKENS, ["7.5", "2.5"]), (REQUESTS, ["2.5", "7.5"])):
        (month,) = shared_out([_plan(share_by=share_by)], months("2026-11", "2026-11"), lines)
        assert [share.fee_usd for share in month.shares] == [Decimal(part) for part in parts]
        assert month.unallocated_usd == 0


def test_calls_that_say_no_tokens_share_by_requests() -> None:
    """A plan whose calls report nothing has nothing else to go by."""
    (month,) = shared_out([_plan()], months("2026-11", "2026-11"), [_line("a", 1, 0), _line("b", 3, 0)])
    assert [share.fee_usd for share in month.shares] == [Decimal("2.5"), Decimal("7.5")]


def test_a_plan_has_the_part_of_the_fee_for_which_it_holds() -> None:
    """From the 16th of November on half a month, all of December, and ten days of January; newest first."""
    plan = _plan("31", start="2026-11-16", end="2027-01-11")
    found = shared_out([plan], months("2026-10", "2027-02"), [])
    assert [(month.month, month.fee_usd) for month in found] == [
        ("2027-01", Decimal(10)),
        ("2026-12", Decimal(31)),
        ("2026-11", Decimal("15.5")),
    ]
    assert all(month.unallocated_usd == month.fee_usd for month in found)


def test_months_are_those_of_the_calendar_in_utc() -> None:
    """February of a leap year has 29 days."""
    (february,) = months("2028-02", "2028-02")
    assert february.end_ns - february.start_ns == 29 * 86_400 * 10**9
    assert [month.name for month in months("2026-11", "2027-02")] == ["2026-11", "2026-12", "2027-01", "2027-02"]


def test_calls_belong_to_a_plan_by_the_name_in_their_rate_row(tmp_path: Path) -> None:
    """Also with an alias, a region or a fee beside it; not those of a plan whose name begins alike."""
    rows = ("flat", "flat + alias", "flat|region=eu", "flat + fee|size=hd", "flat-2", "other + flat")
    path, config = tmp_path / "otel-cost.duckdb", tmp_path / "c.yaml"
    config.write_text(CONFIG)
    store = Store(StoreConfig(path))
    store.start()
    calls = [
        call(
            1,
            number,
            customer=row,
            cost_pico_usd=0,
            cost_status="free",
            rate_row=f"minimax|m|standard|||override: {row}",
        )
        for number, row in enumerate(rows, start=1)
    ]
    store.append(batch(calls), attribute)
    store.stop()
    month = ["--since", "2025-10", "--until", "2025-10"]
    (plan,) = run_json("plans", "--config", str(config), "--db", str(path), *month)["plans"]
    assert {share["value"]: share["fee_usd"] for share in plan["shares"]} == dict.fromkeys(rows[:4], "2.50")


def test_a_plan_that_nobody_used_says_so(ledger: str, tmp_path: Path) -> None:
    """Its fee is paid all the same."""
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG)
    result = run("plans", "--config", str(config), "--db", ledger)
    assert result.exit_code == 0, result.output
    assert "flat" in result.output
    assert "nobody has used it" in result.output


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (CONFIG, ["--since", "2026-13"], "'2026-13' is not a month such as 2026-11"),
        (CONFIG, ["--since", "2026-11", "--until", "2026-10"], "2026-11 is after --until 2026-10"),
        (CONFIG, ["--by", "weather"], "'weather' is not one of"),
        ("", [], "has no processors.cost.plans"),
        ("processors: {cost: {plans: [{provider: minimax}]}}", [], "processors.cost.plans[0].fee: is required"),
    ],
)
def test_mistakes_are_told_and_end_with_code_2(
    text: str, arguments: list[str], said: str, ledger: str, tmp_path: Path
) -> None:
    """Of the options and of the config."""
    config = tmp_path / "c.yaml"
    config.write_text(text)
    result = run("plans", "--config", str(config), "--db", ledger, *arguments)
    assert result.exit_code == 2
    assert said in result.output
