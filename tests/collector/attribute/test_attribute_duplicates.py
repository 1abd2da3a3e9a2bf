"""Which spans are records of one call: by response id, nested, side by side; and which record is kept."""

from __future__ import annotations

import pytest

from otel_cost.call import Flag
from tests.collector.attribute.building import Row, counted, failed, leaf, span, verdicts

RESPONSE = "chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72"

# --- one response id


def test_one_response_id_in_one_trace_is_one_call() -> None:
    """Two instrumentations as siblings that do not even agree on the output."""
    rows = (
        leaf(
            "a", "p", (100, 50), scope_name="com.anthropic.sdk.python", response_id="msg_01abcdef", provider="anthropic"
        ),
        leaf("b", "p", (100, 90), scope_name="traceloop", response_id="msg_01abcdef", provider="anthropic"),
    )
    assert len(counted(*rows)) == 1


def test_a_polled_response_is_one_call() -> None:
    """The same instrumentation repeats the full usage on each poll."""
    rows = [leaf(str(i), "p", (10, 5), at=i * 10, response_id="resp_0123456789") for i in range(5)]
    assert counted(*rows) == ["0"]
    assert {row["duplicate_of"] for name, row in verdicts(*rows).items() if name != "0"} == {"0"}


def test_a_server_that_reuses_short_ids_loses_no_call() -> None:
    """Same instrumentation, same id, other tokens: two responses of a server that draws its ids from a thousand."""
    rows = (leaf("a", "p", (10, 5), response_id="chatcmpl-123"), leaf("b", "p", (99, 7), response_id="chatcmpl-123"))
    assert counted(*rows) == ["a", "b"]
    apart = (rows[0], rows[1] | {"trace_id": "t2"})
    assert counted(*apart) == ["a", "b"]


def test_one_response_id_across_traces_is_one_call_and_the_earlier_is_kept() -> None:
    """Two roots in two traces record one exchange."""
    rows = (
        leaf("b", None, (10, 5), at=1, response_id=RESPONSE),
        leaf("a", None, (10, 5), trace_id="t2", response_id=RESPONSE),
    )
    assert counted(*rows) == ["a"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"response_id": "id-0"}, "an id too short to be unique"),
        ({"org_id": "other"}, "another organisation"),
        ({"start_time_ns": 25 * 3600 * 10**9, "end_time_ns": 26 * 3600 * 10**9}, "a day later"),
        ({"request_model": "gpt-4o-mini"}, "another model"),
        ({"response_id": ""}, "no id"),
    ],
)
def test_traces_are_not_joined_by(changes: dict[str, object], why: str) -> None:
    """Calls of two traces stay two calls when the id proves too little."""
    shared = {"response_id": changes.get("response_id", RESPONSE)}
    rows = (leaf("a", None, (10, 5), **shared), leaf("b", None, (10, 5), trace_id="t2", **shared) | changes)
    assert counted(*rows) == ["a", "b"]


def test_provider_families_share_ids() -> None:
    """A `msg_` id is the same response whether the span says anthropic, aws.bedrock or gcp.vertex_ai."""
    providers = ("anthropic", "aws.bedrock", "gcp.vertex_ai")
    rows = [leaf(p, "x", (7, 7), provider=p, response_id="msg_0123456789", scope_name=p) for p in providers]
    assert len(counted(*rows)) == 1


def test_ids_of_other_providers_do_not_meet() -> None:
    """An id without a shape of its own belongs to its provider."""
    rows = (
        leaf("a", "x", (7, 7), provider="cohere", request_model="command", response_id="0123456789"),
        leaf("b", "x", (7, 7), provider="mistral_ai", request_model="mistral-large", response_id="0123456789"),
    )
    assert counted(*rows) == ["a", "b"]


# --- nested


def test_an_outer_span_of_the_same_call_is_a_duplicate() -> None:
    """Same model family and tokens, at any distance, output within 4 tokens, parents in another service."""
    rows = (
        leaf("outer", None, (8, 377), scope_name="a", until=10),
        span("http", "outer", service_name="gateway"),
        leaf("inner", "http", (8, 374), scope_name="b", service_name="proxy", request_model="gpt-4o-2024-08-06"),
    )
    assert counted(*rows) == ["inner"]


def test_outer_and_inner_embedding_of_one_instrumentation_are_one_call() -> None:
    """Both are embeddings with the same tokens and the same scope."""
    rows = (leaf("o", None, (30, 0), operation="embeddings"), leaf("i", "o", (30, 0), operation="embeddings"))
    assert counted(*rows) == ["i"]


def test_nested_calls_with_other_tokens_are_two_calls() -> None:
    """A tool below a model call may make a model call of its own."""
    assert counted(leaf("o", None, (100, 9)), leaf("i", "o", (40, 9))) == ["i", "o"]


def test_nested_calls_of_other_models_are_two_calls() -> None:
    """Equal tokens prove nothing between models."""
    rows = (leaf("o", None, (100, 9)), leaf("i", "o", (100, 9), request_model="claude-3-5-haiku"))
    assert counted(*rows) == ["i", "o"]


def test_nested_calls_with_two_ids_of_one_provider_are_two_calls() -> None:
    """Two ids of one shape are two responses, whatever else agrees."""
    rows = (
        leaf("o", None, (100, 9), response_id="chatcmpl-aaaaaaaaaa"),
        leaf("i", "o", (100, 9), response_id="chatcmpl-bbbbbbbbbb"),
    )
    assert counted(*rows) == ["i", "o"]


def test_a_call_that_holds_the_sum_of_the_calls_below_is_a_wrapper() -> None:
    """Outer span typed as a model call, two inner calls, each output off by a token."""
    rows = (leaf("o", None, (30, 22)), leaf("x", "o", (10, 10)), leaf("m", "o"), leaf("y", "m", (20, 10)))
    assert counted(*rows) == ["x", "y"]
    assert verdicts(*rows)["o"]["not_counted_reason"] == "wrapper"


def test_an_outer_span_without_usage_is_the_call_inside() -> None:
    """A stream whose outer instrumentation saw no usage."""
    assert counted(leaf("o"), leaf("i", "o", (10, 5), scope_name="b")) == ["i"]


def test_an_inner_span_without_usage_is_the_call_outside() -> None:
    """The other way round."""
    assert counted(leaf("o", None, (10, 5)), leaf("i", "o", scope_name="b")) == ["o"]


def test_an_outer_span_without_usage_around_two_calls_is_a_wrapper() -> None:
    """It never merges two calls into one."""
    rows = (leaf("o"), leaf("x", "o", (10, 5)), leaf("y", "o", (10, 5)))
    assert counted(*rows) == ["x", "y"]
    assert verdicts(*rows)["o"]["not_counted_reason"] == "wrapper"


def test_speech_inside_a_chat_is_a_call_of_its_own() -> None:
    """An operation with units of its own is never the same call as a chat."""
    assert counted(leaf("o", None, (10, 5)), leaf("i", "o", operation="speech")) == ["i", "o"]


def test_speech_inside_a_chat_without_usage_is_a_call_of_its_own() -> None:
    """The same when neither says its usage."""
    assert counted(leaf("o"), leaf("i", "o", operation="speech")) == ["i", "o"]


@pytest.mark.parametrize("tokens", [(10, 5), None], ids=["usage", "no usage"])
def test_a_failed_attempt_inside_a_call_that_succeeded_is_not_that_call(tokens: tuple[int, int] | None) -> None:
    """The call is not wasted, the attempt is."""
    got = verdicts(leaf("o", None, tokens, until=9), failed(leaf("i", "o")))
    assert (got["o"]["counted"], got["o"]["wasted"]) == (True, False)
    assert (got["i"]["not_counted_reason"], got["i"]["wasted"]) == ("failed", True)


def test_three_records_in_a_chain_are_one_call() -> None:
    """Framework, gateway and SDK each record the exchange."""
    rows = [
        leaf(s, p, (8, 9), scope_name=s, dialect=d)
        for s, p, d in (("a", None, "litellm"), ("b", "a", "openinference"), ("c", "b", "openlit"))
    ]
    assert counted(*rows) == ["a"]


# --- siblings


def sibling(
    name: str,
    scope: str,
    at: float = 0,
    until: float = 10,
    tokens: tuple[int, int] | None = (100, 50),
    **values: object,
) -> dict[str, object]:
    """A call under one parent, recorded by `scope`."""
    return leaf(name, "p", tokens, at=at, until=until, scope_name=scope, **values)


def test_siblings_of_two_instrumentations_are_one_call() -> None:
    """Same parent, model, tokens within tolerance, and time."""
    assert len(counted(sibling("a", "x"), sibling("b", "y", at=0.5, tokens=(100, 51)))) == 1


def test_parallel_identical_calls_of_one_instrumentation_are_two_calls() -> None:
    """Nothing but a shared id may merge what one instrumentation recorded twice."""
    assert counted(sibling("a", "x"), sibling("b", "x")) == ["a", "b"]


def test_parallel_identical_calls_recorded_twice_are_two_calls() -> None:
    """Two instrumentations, two calls: four spans."""
    rows = (sibling("a", "x"), sibling("b", "x", at=0.1), sibling("c", "y", at=0.05), sibling("d", "y", at=0.15))
    assert len(counted(*rows)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"start_time_ns": 9_000_000_000, "end_time_ns": 19_000_000_000},
        {"request_model": "gpt-4o-mini"},
        {"output_tokens": 55},
        {"input_tokens": 101},
        {"parent_span_id": "q"},
        {"trace_id": "t2"},
        {"scope_name": None},
        {"operation": "moderation"},
    ],
    ids=["time", "model", "output", "input", "parent", "trace", "scope", "operation"],
)
def test_siblings_that_differ_are_two_calls(changes: dict[str, object]) -> None:
    """Any difference is a second call."""
    assert counted(sibling("a", "x"), sibling("b", "y") | changes) == ["a", "b"]


def test_siblings_with_two_ids_of_one_provider_are_two_calls() -> None:
    """Parallel calls of two clients may agree in everything else."""
    rows = (sibling("a", "x", response_id="resp_aaaaaaaaaa"), sibling("b", "y", response_id="resp_bbbbbbbbbb"))
    assert counted(*rows) == ["a", "b"]


def test_siblings_without_usage_are_one_call_only_when_both_name_the_model() -> None:
    """An image recorded twice is one image; two spans with nothing but the time in common are two calls."""
    image: Row = {"tokens": None, "operation": "image_generation"}
    assert len(counted(sibling("a", "x", **image), sibling("b", "y", **image))) == 1
    assert counted(sibling("a", "x", **image, request_model=None), sibling("b", "y", **image)) == ["a", "b"]


# --- the record kept


def test_the_most_trusted_record_is_kept_and_its_gaps_are_filled() -> None:
    """The SDK's own span before the official instrumentation's; what it lacks comes from the other."""
    rows = (
        leaf(
            "o",
            None,
            (8, 9),
            scope_name="a",
            dialect="official",
            request_model="gpt-4o",
            response_id=RESPONSE,
            output_reasoning_tokens=4,
            cache_read_tokens=0,
            user="u1",
        ),
        leaf(
            "i", "o", (8, 9), scope_name="b", dialect="anthropic_native", request_model=None, output_reasoning_tokens=3
        ),
    )
    kept = verdicts(*rows)["i"]
    assert kept["counted"]
    assert (kept["filled_request_model"], kept["filled_response_id"], kept["user"]) == ("gpt-4o", RESPONSE, "u1")
    assert (kept["filled_cache_read_tokens"], kept["filled_output_reasoning_tokens"]) == (0, None)
    assert verdicts(*rows)["o"]["filled_provider"] is None


def test_the_record_that_knows_of_the_cache_is_kept() -> None:
    """A record without the cache split would be priced too high."""
    rows = (
        leaf("o", None, (800, 9), scope_name="a", dialect="traceloop"),
        leaf("i", "o", (800, 9), scope_name="b", dialect="openinference", cache_read_tokens=700),
    )
    assert counted(*rows) == ["i"]


def test_a_record_that_left_the_cache_out_is_the_same_call() -> None:
    """The outer span counts 100 uncached tokens, the inner one 1,300 with 1,200 of the cache: one call, the inner."""
    cache = {"cache_read_tokens": 1000, "cache_write_tokens": 200, "scope_name": "b"}
    assert counted(leaf("o", None, (100, 9)), leaf("i", "o", (1300, 9), **cache)) == ["i"]
    assert counted(leaf("o", None, (100, 9), cache_read_tokens=5), leaf("i", "o", (1300, 9), **cache)) == ["i", "o"]


def test_a_measured_record_is_kept_before_an_estimated_one() -> None:
    """Some instrumentations estimate the tokens when the response does not say."""
    rows = (
        leaf("o", None, (8, 9), scope_name="a", dialect="official", flags=int(Flag.ESTIMATED)),
        leaf("i", "o", (8, 9), scope_name="b", dialect="unknown"),
    )
    assert counted(*rows) == ["i"]


def test_a_record_with_usage_is_kept_before_one_with_a_cost_alone() -> None:
    """Tokens can be priced again; a bare figure cannot."""
    rows = (
        leaf("o", None, None, scope_name="a", cost_pico_usd=7, reported_cost_pico_usd=7),
        leaf("i", "o", (8, 9), scope_name="b", dialect="unknown", cost_pico_usd=None),
    )
    assert counted(*rows) == ["i"]


def test_a_priced_record_is_kept_before_an_unpriced_one() -> None:
    """One instrumentation may write a model name that nobody knows."""
    rows = (leaf("o", None, (8, 9), scope_name="a"), leaf("i", "o", (8, 9), scope_name="b", cost_pico_usd=None))
    assert counted(*rows) == ["o"]


def test_a_record_that_succeeded_is_kept_before_one_that_failed() -> None:
    """The call failed all the same, as one of its records says."""
    rows = (leaf("o", None, (8, 9), scope_name="a"), failed(leaf("i", "o", (8, 9), scope_name="b")))
    assert counted(*rows) == ["o"]
    assert verdicts(*rows)["o"]["wasted"]
