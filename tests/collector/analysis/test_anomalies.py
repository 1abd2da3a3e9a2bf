"""Odd days: those that were put in are found with their cause, and quiet spending is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from benchmarks.seasonal import HELD_OUT, TUNED, series
from collector.analysis.anomalies import Cause, Found, Slice, find
from collector.analysis.causes import explain
from collector.analysis.decompose import Used

USD = 10**12
DAYS = 70
AGENTS = {"writer": 500, "critic": 200, "planner": 60}  # calls a day
WEEK = (1.1, 1.1, 1.1, 1.0, 0.9, 0.4, 0.3)
ODD_ON_PURPOSE = ("bursts", "steps", "holidays", "month ends", "customers come and go")
SMALL, LARGE = ("small", 2_000_000), ("large", 8_000_000)  # pico-USD a token

Change = Callable[[int, str], dict[str, float | str]]


def world(seed: int, change: Change = lambda day, agent: {}, *, noise: float = 0.08) -> list[Slice]:
    """Agents and models day by day. `change` says what is other on a day of an agent: calls, tokens, model, price."""
    random = Random(seed)
    days: list[list[tuple[str, Used]]] = []
    for day in range(DAYS):
        shared = random.lognormvariate(0, noise / 2)
        today = []
        for agent, usual in AGENTS.items():
            said = change(day, agent)
            calls = round(
                usual * WEEK[day % 7] * shared * random.lognormvariate(0, noise) * float(said.get("calls", 1))
            )
            tokens = sum(round(random.lognormvariate(7, 0.4) * float(said.get("tokens", 1))) for _ in range(calls))
            name, rate = LARGE if said.get("model") == "large" else SMALL
            times = float(said.get("price", 1))
            rate_row = f"{name} {times}" if agent == "planner" or "price" in said else name
            today.append((agent, Used(name, rate_row, calls, tokens, round(tokens * rate * times))))
        days.append(today)
    slices = [Slice(None, None, [[used for _, used in day] for day in days])]
    slices += [Slice("agent", agent, [[used for who, used in day if who == agent] for day in days]) for agent in AGENTS]
    models = ("small", "large")
    return slices + [
        Slice("model", model, [[used for _, used in day if used.model == model] for day in days]) for model in models
    ]


def test_a_quiet_time_has_nothing_to_tell() -> None:
    """Less than one false alarm in thirty days, over all slices."""
    told = [each for seed in range(12) for each in find(world(seed, noise=0.15), 22)]
    assert len(told) / (12 * (DAYS - 22) / 30) < 0.3


@pytest.mark.parametrize("name", [name for name in (*TUNED, *HELD_OUT) if name not in ODD_ON_PURPOSE])
def test_seasons_growth_and_noise_are_no_alarm(name: str) -> None:
    """One slice of each kind of spending whose days are not odd themselves."""
    kind = {**TUNED, **HELD_OUT}[name]
    told, days = 0, 0
    for seed in range(6):
        amounts = series(kind, seed, days=120).days
        cells = [[Used("m", "r", 1 + amount // USD, amount // 10**6, amount)] if amount else [] for amount in amounts]
        told += len(find([Slice(None, None, cells)], 22))
        days += 98
    assert told / days * 30 < 1


def _only(found: Sequence[Found], day: int) -> Found:
    assert [each.day for each in found] == [day], [explain(each) for each in found]
    return found[0]


@pytest.mark.parametrize("seed", range(4))
def test_more_calls_are_volume_of_the_agent_that_made_them(seed: int) -> None:
    found = find(world(seed, lambda day, agent: {"calls": 3} if (day, agent) == (50, "critic") else {}), 30)
    spike = _only(found, 50)
    assert (spike.slice.dimension, spike.slice.value, spike.cause) == ("agent", "critic", Cause.VOLUME)
    assert spike.parts.total == spike.more
    assert "calls instead of about" in explain(spike)


@pytest.mark.parametrize("seed", range(4))
def test_longer_calls_are_tokens(seed: int) -> None:
    found = find(world(seed, lambda day, agent: {"tokens": 2.5} if (day, agent) == (51, "writer") else {}), 30)
    spike = _only(found, 51)
    assert (spike.slice.value, spike.cause) == ("writer", Cause.TOKENS)
    assert "tokens a call instead of about" in explain(spike)


@pytest.mark.parametrize("seed", range(4))
def test_a_dearer_model_is_told_once(seed: int) -> None:
    found = find(world(seed, lambda day, agent: {"model": "large"} if day >= 48 and agent == "critic" else {}), 30)
    spike = _only(found, 48)
    assert (spike.slice.value, spike.cause) == ("critic", Cause.MODEL)
    assert "large in the place of small" in explain(spike)


@pytest.mark.parametrize("seed", range(4))
def test_another_price_is_told_once_with_how_much_it_is(seed: int) -> None:
    found = find(world(seed, lambda day, agent: {"price": 1.4 if day >= 45 else 1.0}), 30)
    spike = _only(found, 45)
    assert (spike.slice.dimension, spike.slice.value, spike.cause) == ("model", "small", Cause.PRICE)
    assert "1.4" in explain(spike)
    assert 0.9 < spike.parts.price / (spike.cost * 0.4 / 1.4) < 1.1


def test_a_cheaper_price_is_news_too() -> None:
    found = find(world(1, lambda day, agent: {"price": 0.5 if day >= 45 else 1.0}), 30)
    spike = _only(found, 45)
    assert spike.more < 0
    assert "less than" in explain(spike)


def test_a_burst_that_goes_on_is_told_once() -> None:
    found = find(world(2, lambda day, agent: {"calls": 3} if day in (50, 51, 52) and agent == "writer" else {}), 30)
    _only(found, 50)


def test_a_small_agent_is_no_news() -> None:
    """A planner with far more calls than ever moves the whole by less than a tenth."""
    assert not find(world(3, lambda day, agent: {"calls": 1.7} if (day, agent) == (50, "planner") else {}), 30)


def test_a_first_fortnight_has_nothing_to_compare_with() -> None:
    slices = [Slice(each.dimension, each.value, each.days[:14]) for each in world(4)]
    assert find(slices, 0) == []


def test_a_morning_is_compared_with_mornings() -> None:
    """Half of a day is no odd day, and what is spent by noon may be one."""
    slices = world(5)
    half = [Slice(s.dimension, s.value, [*s.days[:-1], [_times(u, 0.5) for u in s.days[-1]]]) for s in slices]
    assert not find(half, DAYS - 1, 0.5)
    much = [Slice(s.dimension, s.value, [*s.days[:-1], [_times(u, 1.5) for u in s.days[-1]]]) for s in slices]
    assert [each.day for each in find(much, DAYS - 1, 0.5)] == [DAYS - 1]


def _times(used: Used, factor: float) -> Used:
    return used._replace(
        calls=round(used.calls * factor),
        tokens=round(used.tokens * factor),
        cost_pico_usd=round(used.cost_pico_usd * factor),
    )
