"""Who owns a call, and which calls repeat one that failed."""

from __future__ import annotations

from tests.collector.attribute.building import Row, aggregate, counted, failed, leaf, span, verdicts

RESPONSE = "chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72"


def test_the_owner_is_the_span_itself_then_its_nearest_ancestor_then_the_resource() -> None:
    """Each dimension looks for itself."""
    rows = (
        span("r", agent="root", customer="c1", team="t-root"),
        span("m", "r", agent="middle"),
        leaf(
            "x", "m", (1, 1), customer="c2", resource_team="t-resource", resource_feature="search", resource_agent="z"
        ),
    )
    got = verdicts(*rows)["x"]
    assert (got["agent"], got["customer"], got["team"], got["feature"]) == ("middle", "c2", "t-root", "search")
    assert (got["user"], got["project"], got["environment"], got["conversation"]) == (None, None, None, None)


def test_a_run_without_a_name_is_its_trace() -> None:
    """Own, ancestor and resource come first."""
    assert verdicts(leaf("x", None, (1, 1)))["x"]["run"] == "t1"
    assert verdicts(leaf("x", None, (1, 1), resource_run="nightly"))["x"]["run"] == "nightly"
    assert (
        verdicts(span("r", run="invoice-42"), leaf("x", "r", (1, 1), resource_run="nightly"))["x"]["run"]
        == "invoice-42"
    )


def test_an_empty_owner_is_no_owner() -> None:
    """Some instrumentations write an empty user."""
    assert verdicts(span("r", user="u1"), leaf("x", "r", (1, 1), user=""))["x"]["user"] == "u1"


def test_owners_come_through_duplicates() -> None:
    """The kept record is a root of its own; the other record of the call lies below the agent."""
    rows = (
        aggregate("a", None, agent="planner", user="u1", trace_id="t2"),
        leaf(
            "o", "a", (8, 9), trace_id="t2", scope_name="a", dialect="openlit", response_id=RESPONSE, resource_team="x"
        ),
        leaf("n", None, (8, 9), scope_name="b", dialect="official", response_id=RESPONSE, resource_user="resource"),
    )
    got = verdicts(*rows)["n"]
    assert (got["counted"], got["agent"], got["user"], got["team"], got["run"]) == (True, "planner", "u1", "x", "t1")


def attempt(name: str, at: float, *, ok: bool = True, parent: str = "p", **values: object) -> Row:
    """A call of one second under one parent; a failed one has no usage."""
    row = leaf(name, parent, (10, 5) if ok else None, at=at, until=at + 1, **values)
    return row if ok else failed(row)


def chain(*rows: Row) -> dict[str, tuple[int, str | None]]:
    """Attempt number and the attempt before, by span."""
    return {name: (row["attempt"], row["retry_of"]) for name, row in verdicts(*rows).items()}


def test_an_attempt_after_a_failed_one_is_a_retry() -> None:
    """Failed attempts are not counted and still belong to the chain; the call after the success starts anew."""
    rows = (attempt("a", 0, ok=False), attempt("b", 2, ok=False), attempt("c", 4), attempt("d", 6))
    assert chain(*rows) == {"a": (1, None), "b": (2, "a"), "c": (3, "b"), "d": (1, None)}
    assert counted(*rows) == ["c", "d"]
    assert [name for name, row in verdicts(*rows).items() if row["wasted"]] == ["a", "b"]


def test_each_failure_is_repeated_once() -> None:
    """Three parallel calls, two fail, two are repeated."""
    rows = (
        attempt("a", 0, ok=False),
        attempt("b", 0.1, ok=False),
        attempt("c", 0.2),
        attempt("d", 3),
        attempt("e", 3.1),
        attempt("f", 3.2),
    )
    got = chain(*rows)
    assert sorted(str(got[name][1]) for name in "def") == ["None", "a", "b"]
    assert got["c"] == (1, None)


def test_what_is_no_retry() -> None:
    """Another parent, agent, operation, provider or model; or a start before the failure was known."""
    first = attempt("a", 0, ok=False)
    assert chain(first, attempt("b", 2, parent="q"))["b"] == (1, None)
    assert chain(first, attempt("b", 2, agent="writer"))["b"] == (1, None)
    assert chain(first, attempt("b", 2, operation="embeddings"))["b"] == (1, None)
    assert chain(first, attempt("b", 2, provider="anthropic"))["b"] == (1, None)
    assert chain(first, attempt("b", 2, request_model="o3"))["b"] == (1, None)
    assert chain(first, attempt("b", 0.5))["b"] == (1, None)
    assert chain(first, attempt("b", 2, request_model="gpt-4o-2024-08-06"))["b"] == (2, "a")


def test_two_records_of_an_attempt_are_one_attempt() -> None:
    """Two instrumentations, outer and inner: the retry is counted once, as attempt 2, whichever record is kept."""
    rows = (
        attempt("o1", 0, ok=False, scope_name="a"),
        attempt("i1", 0, ok=False, scope_name="b", parent="o1"),
        attempt("o2", 2, scope_name="a"),
        attempt("i2", 2, scope_name="b", parent="o2"),
    )
    got = chain(*rows)
    assert got["o2"] == got["i2"]
    assert got["i2"][0] == 2
    assert got["i2"][1] in {"o1", "i1"}
    assert len(counted(*rows)) == 1


def test_attempts_inside_one_outer_span() -> None:
    """The outer span is the logical call; the failed attempt inside makes the successful one attempt 2."""
    rows = (
        attempt("o", 0, scope_name="a") | {"end_time_ns": 9 * 10**9},
        attempt("x", 1, ok=False, scope_name="b", parent="o"),
        attempt("y", 3, scope_name="b", parent="o"),
    )
    assert chain(*rows)["y"] == (2, "x")
    assert counted(*rows) == ["y"]


def test_a_call_repeats_one_failure_and_a_failure_is_repeated_once_among_nested_records() -> None:
    """An outer retry whose inner attempt failed too repeats the first failure; a call inside a failed one is new."""
    inside = (
        attempt("o1", 0, ok=False, scope_name="a"),
        attempt("o2", 2, scope_name="a") | {"end_time_ns": 9 * 10**9},
        attempt("x", 3, ok=False, scope_name="b", parent="o2"),
        attempt("y", 5, scope_name="b", parent="o2"),
    )
    assert chain(*inside)["y"] == (2, "o1")
    beside = (
        attempt("o1", 0, ok=False, scope_name="a") | {"end_time_ns": 4 * 10**9},
        attempt("i1", 0, ok=False, scope_name="b", parent="o1"),
        leaf("z", "o1", None, at=2, until=3, scope_name="b"),
        attempt("o2", 5, scope_name="a"),
    )
    assert chain(*beside)["o2"][0] == 2
    assert chain(*beside)["z"] == (1, None)


def test_attempts_whose_parent_has_not_arrived() -> None:
    """The parent's id is enough."""
    assert chain(attempt("a", 0, ok=False, parent="missing"), attempt("b", 2, parent="missing"))["b"] == (2, "a")
