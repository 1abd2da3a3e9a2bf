"""A rule that is written down and read again is the same rule."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.model import PPM, SCOPES, Action, Rule, Unit, Unpriced, Window, WindowKind
from collector.budgets.windows import DAY_NS, HOUR_NS
from collector.config.problems import ConfigError
from collector.config.written_rule import as_json, from_json, written

_LENGTHS = st.one_of(
    st.integers(1, 400).map(lambda days: days * DAY_NS), st.integers(1, 9_600).map(lambda hours: hours * HOUR_NS)
)
_CLOCKS = st.tuples(st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]), st.integers(1, 31), st.integers(0, 6))
_KINDS = st.sampled_from([kind for kind in WindowKind if kind is not WindowKind.ROLLING])
_WINDOWS = st.one_of(
    st.builds(lambda length, clock: Window(WindowKind.ROLLING, length, *clock), _LENGTHS, _CLOCKS),
    st.builds(lambda kind, clock: Window(kind, 0, *clock), _KINDS, _CLOCKS),
)
_VALUES = st.one_of(st.none(), st.text("abü'\"#:{}[],", min_size=1).filter(str.strip))
_SCOPES = st.dictionaries(
    st.sampled_from([each for each in (*SCOPES, "attribute.a.b") if each != "run"]), _VALUES, min_size=1, max_size=3
)
_ACTIONS = st.lists(st.sampled_from(list(Action)), unique=True, max_size=3).map(tuple)
_MODELS = st.fixed_dictionaries({"gpt-4o": st.just("gpt-4o-mini"), "a": st.sampled_from(["b", "c"])})


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    unit = draw(st.sampled_from(list(Unit)))
    return Rule(
        name=draw(st.sampled_from(["r", "Per-customer_1.x"])),
        scope=tuple(draw(_SCOPES).items()),
        limit=draw(st.integers(0, 10**18)),
        unit=unit,
        window=draw(_WINDOWS),
        warn_at_ppm=tuple(sorted(draw(st.sets(st.integers(1, PPM), max_size=3)))),
        on_warn=draw(_ACTIONS),
        on_exceed=draw(_ACTIONS),
        unpriced=draw(st.sampled_from(list(Unpriced))),
        from_ns=draw(st.integers(0, 2**31)) * 10**9,
        is_closed_when_unreachable=draw(st.booleans()),
        cheaper=MappingProxyType(draw(_MODELS)),
        throttle_seconds=draw(st.integers(1_000, 3_600_000_000)) / 10**6,
        organization=draw(st.sampled_from([None, "acme"])),
        ask_again_ns=draw(st.one_of(st.none(), st.integers(1, 9600).map(lambda hours: hours * 3600 * 10**9))),
        max_raise=draw(st.one_of(st.none(), st.integers(0, 10**18))),
    )


@given(rules())
def test_a_rule_that_is_written_and_read_is_the_same(rule: Rule) -> None:
    assert from_json(as_json(rule)) == rule


def test_what_is_the_default_is_not_written() -> None:
    rule = Rule("r", (("customer", None),), 5 * 10**12, Unit.USD, Window(WindowKind.DAY))
    assert written(rule) == {
        "name": "r",
        "scope": "customer",
        "limit": "5 USD/day",
        "warn_at": ["80%"],
        "on_warn": ["notify"],
        "on_exceed": ["notify"],
    }


def test_a_rule_that_this_version_does_not_understand_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"rule\.limit"):
        from_json('{"name": "r", "scope": "customer", "limit": "5 EUR/day"}')
