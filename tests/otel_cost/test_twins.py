"""In the app: what another instrumentation records of a call that we read on the wire costs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import pytest

from otel_cost import attributes as keys
from otel_cost import enrich
from otel_cost.enrich import AttributeValue, Enricher, expect_wire_spans
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from otel_cost.twins import exchange_begins, exchange_ends

MODEL, SECOND = "gpt-4o-2024-08-06", 1_000_000_000
START_NS = 1_790_000_000 * SECOND
_ids = count(1)


@pytest.fixture(autouse=True)
def _wire_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrich, "_wire_is_on", False)
    monkeypatch.setattr(enrich, "_is_carrying", None)
    expect_wire_spans()


def _end(
    enricher: Enricher,
    scope: str,
    tokens: tuple[int, int] = (100, 50),
    *,
    period: tuple[float, float] = (0, 1),
    span_id: int | None = None,
    trace_id: int | None = None,
    more: Mapping[str, object] | None = None,
) -> str:
    """End a root span of a trace of its own, and return its cost status."""
    added = _added(enricher, scope, tokens, period=period, span_id=span_id, trace_id=trace_id, more=more)
    return str(added[keys.OTEL_COST_COST_STATUS])


def _added(
    enricher: Enricher,
    scope: str,
    tokens: tuple[int, int] = (100, 50),
    *,
    period: tuple[float, float] = (0, 1),
    span_id: int | None = None,
    trace_id: int | None = None,
    more: Mapping[str, object] | None = None,
) -> dict[str, AttributeValue]:
    """What such a span gets."""
    attributes: dict[str, object] = {
        keys.GEN_AI_OPERATION_NAME: "chat",
        keys.GEN_AI_PROVIDER_NAME: "openai",
        keys.GEN_AI_REQUEST_MODEL: "gpt-4o",
        keys.GEN_AI_RESPONSE_MODEL: MODEL,
        keys.GEN_AI_USAGE_INPUT_TOKENS: tokens[0],
        keys.GEN_AI_USAGE_OUTPUT_TOKENS: tokens[1],
        **(more or {}),
    }
    start_ns, end_ns = (START_NS + int(at * SECOND) for at in period)
    return enricher.enrich(
        attributes, trace_id or next(_ids), span_id or next(_ids), None, scope, f"chat {MODEL}", 3, 0, start_ns, end_ns
    )


def test_a_root_beside_ours_is_a_duplicate_whichever_ends_first() -> None:
    """Same model, tokens and time; two traces."""
    enricher = Enricher()
    assert [_end(enricher, WIRE_SCOPE), _end(enricher, "other")] == ["priced", "duplicate"]
    enricher = Enricher()
    assert [_end(enricher, "other"), _end(enricher, WIRE_SCOPE)] == ["priced", "duplicate"]


def test_each_instrumentation_records_a_call_once() -> None:
    """Two others beside one of ours are duplicates; a second span of one of them is another call."""
    enricher = Enricher()
    assert _end(enricher, WIRE_SCOPE) == "priced"
    assert [_end(enricher, scope) for scope in ("one", "two", "one")] == ["duplicate", "duplicate", "priced"]


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("counted", [(WIRE_SCOPE, "other"), ("other", WIRE_SCOPE)])
def test_what_a_duplicate_gets_is_its_own(counted: tuple[str, str], is_known: bool) -> None:
    """An owner may be written into it, and reaches no other span. Known: spans of its shape were priced before."""
    enricher = Enricher()
    if is_known:
        for late, scope in enumerate(counted):
            assert _end(enricher, scope, period=(10 + 10 * late, 11 + 10 * late)) == "priced"
    first, second = counted
    for number in range(2):
        assert _end(enricher, first, (200 + 100 * number, 50)) == "priced"
    ended = [_added(enricher, second, (200 + 100 * number, 50)) for number in range(2)]
    assert ended == [{keys.OTEL_COST_COST_STATUS: "duplicate"}] * 2
    ended[0][keys.OTEL_COST_AGENT] = "writer"
    assert ended[1] == {keys.OTEL_COST_COST_STATUS: "duplicate"}


def test_parallel_identical_calls_stay_as_many() -> None:
    """Three calls, each recorded by both."""
    enricher = Enricher()
    statuses = [_end(enricher, scope) for scope in (WIRE_SCOPE, "other") for _ in range(3)]
    assert statuses == ["priced"] * 3 + ["duplicate"] * 3


@pytest.mark.parametrize(
    ("tokens", "period"), [((101, 50), (0, 1)), ((100, 60), (0, 1)), ((100, 50), (0.5, 1.5)), ((100, 50), (2, 3))]
)
def test_what_differs_is_another_call(tokens: tuple[int, int], period: tuple[float, float]) -> None:
    """Other tokens, another time."""
    enricher = Enricher()
    assert [_end(enricher, WIRE_SCOPE), _end(enricher, "other", tokens, period=period)] == ["priced", "priced"]


def test_one_response_id_is_one_call_although_numbers_differ() -> None:
    """A record that begins when the stream is over, and leaves out reasoning."""
    enricher = Enricher()
    ours = _end(enricher, WIRE_SCOPE, more={keys.GEN_AI_RESPONSE_ID: "ru1garvBEoOi"})
    late = _end(enricher, "other", (100, 20), period=(1.1, 1.2), more={keys.GEN_AI_RESPONSE_ID: "ru1garvBEoOi"})
    assert [ours, late] == ["priced", "duplicate"]


def test_what_ends_while_its_exchange_is_under_way_costs_nothing() -> None:
    """A stream that is left early: the other's span ends first and says a placeholder; ours follows and counts."""
    enricher = Enricher()
    exchange_begins("gpt-4o", START_NS + SECOND // 10, (17, 4))
    assert _end(enricher, "other", (100, 1)) == "duplicate"
    assert _end(enricher, "other", (100, 1), period=(0.2, 1)) == "priced", "it began after the exchange"
    exchange_ends(17, 4)
    assert _end(enricher, WIRE_SCOPE, (100, 70)) == "priced"
    assert _end(enricher, "third", (100, 1)) == "priced", "no exchange is under way"


def test_two_records_inside_each_other_may_end_in_any_order() -> None:
    """The outer one ends while the inner one, which will tell the exchange, is still open: that one is counted."""
    enricher = Enricher()
    exchange_begins("gpt-4o", START_NS + SECOND // 10, (18, 5))
    outer = {keys.GEN_AI_RESPONSE_ID: "resp_6866cf89"}
    assert _end(enricher, "outer", trace_id=18, more=outer) == "duplicate"
    told = {
        keys.OTEL_COST_WIRE: 1,
        keys.OTEL_COST_OPERATION: "chat",
        keys.OTEL_COST_PROVIDER: "openai",
        keys.OTEL_COST_REQUEST_MODEL: "gpt-4o",
        keys.OTEL_COST_RESPONSE_ID: "resp_6866cf89",
        keys.OTEL_COST_USAGE_PREFIX + "input_tokens": 100,
        keys.OTEL_COST_USAGE_PREFIX + "output_tokens": 50,
    }
    assert _end(enricher, "inner", trace_id=18, span_id=5, more=told) == "priced"
    assert _end(enricher, "outer") == "priced", "its record of that exchange has been found"


def test_a_host_that_ends_before_it_is_told_is_a_wrapper() -> None:
    """A span of ours will tell what the exchange was."""
    expect_wire_spans(lambda _trace_id, span_id: span_id == 4711)
    enricher = Enricher()
    assert [_end(enricher, "native", span_id=4711), _end(enricher, WIRE_SCOPE)] == ["wrapper", "priced"]
