"""run(), agent() and tags(): what is carried, where it ends, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from opentelemetry import baggage
from opentelemetry.propagate import extract, inject

from otel_cost import agent, run, tags
from otel_cost.call import DIMENSIONS
from otel_cost.context import MAX_BAGGAGE_BYTES, MAX_ENTRIES, MAX_VALUE_CHARS, OWNER_KEYS, dropped, inherited

RUN, AGENT, CUSTOMER = "otel_cost.run", "otel_cost.agent", "otel_cost.customer"


def test_nothing_is_inherited_outside() -> None:
    """An app that names nothing carries nothing."""
    assert inherited() == {}
    assert not baggage.get_all()


def test_scopes_nest_and_the_inner_one_wins_until_it_ends() -> None:
    """Inner values replace outer ones of the same dimension and leave the others."""
    with run("invoice-42"), tags(customer="c7", colour="blue"):
        with run("retry"), agent("vision_v3"):
            assert inherited() == {RUN: "retry", CUSTOMER: "c7", "otel_cost.tag.colour": "blue", AGENT: "vision_v3"}
        assert inherited() == {RUN: "invoice-42", CUSTOMER: "c7", "otel_cost.tag.colour": "blue"}
    assert inherited() == {}


def test_an_exception_leaves_the_scope_and_passes_through() -> None:
    """The app's exception is the app's."""
    with pytest.raises(KeyError), run("r"):
        raise KeyError("mine")
    assert inherited() == {}


def test_all_dimensions_have_a_name_in_tags() -> None:
    """Owner dimensions are recognised by name; everything else is a free tag."""
    with tags(
        run="1",
        agent="2",
        customer="3",
        feature="4",
        team="5",
        user="6",
        project="7",
        environment="8",
        conversation="9",
    ):
        assert inherited() == {key: str(number) for number, key in enumerate(OWNER_KEYS.values(), start=1)}
    assert tuple(OWNER_KEYS) == DIMENSIONS


def test_decorated_functions_of_every_kind_run_inside() -> None:
    """Sync, async, generator and async generator functions, each with their own return values."""

    @run("plain")
    def plain(number: int) -> tuple[int, str]:
        return number, inherited()[RUN]

    @run("coroutine")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return inherited()[RUN]

    @run("generator")
    def generator() -> Generator[str, str, str]:
        sent = yield inherited()[RUN]
        yield sent + inherited()[RUN]
        return inherited()[RUN]

    @run("async")
    async def async_generator() -> AsyncGenerator[str, str]:
        sent = yield inherited()[RUN]
        await asyncio.sleep(0)
        yield sent + inherited()[RUN]

    async def drain() -> list[str]:
        items = async_generator()
        return [await anext(items), await items.asend("sent-")]

    assert plain(3) == (3, "plain")
    assert asyncio.run(coroutine()) == "coroutine"
    steps = generator()
    assert next(steps) == "generator"
    assert inherited() == {}
    assert steps.send("sent-") == "sent-generator"
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == "generator"
    assert asyncio.run(drain()) == ["async", "sent-async"]
    assert plain.__name__ == "plain"
    assert asyncio.iscoroutinefunction(coroutine)


def test_a_generator_never_leaks_into_its_caller_and_keeps_its_own_state_between_steps() -> None:
    """Between two steps the caller sees its own run; the generator's inner scopes live on for it."""

    @run("outer")
    def steps() -> Generator[object, None, None]:
        with agent("inner"):
            yield dict(inherited())
            yield dict(inherited())
        yield dict(inherited())

    seen = []
    with run("caller"):
        for item in steps():
            seen.append(item)
            assert inherited() == {RUN: "caller"}
    assert seen == [{RUN: "outer", AGENT: "inner"}, {RUN: "outer", AGENT: "inner"}, {RUN: "outer"}]


def test_exceptions_and_closing_reach_a_decorated_generator() -> None:
    """throw() and close() act on the body, sync and async."""
    log: list[str] = []

    @run("g")
    def steps() -> Generator[int, None, None]:
        try:
            yield 1
        except ValueError:
            log.append(f"thrown in {inherited()[RUN]}")
            yield 2
        finally:
            log.append(f"closed in {inherited()[RUN]}")

    @run("a")
    async def async_steps() -> AsyncGenerator[int, None]:
        try:
            yield 1
        except ValueError:
            log.append(f"thrown in {inherited()[RUN]}")
            yield 2
        finally:
            await asyncio.sleep(0)
            log.append(f"closed in {inherited()[RUN]}")

    body = steps()
    assert (next(body), body.throw(ValueError())) == (1, 2)
    body.close()

    async def drive() -> None:
        items = async_steps()
        assert (await anext(items), await items.athrow(ValueError())) == (1, 2)
        await items.aclose()

    asyncio.run(drive())
    assert log == ["thrown in g", "closed in g", "thrown in a", "closed in a"]


def test_cancelling_a_task_inside_a_decorated_async_generator_reaches_its_body() -> None:
    """Cancellation passes through the stepping."""
    log: list[str] = []

    @run("a")
    async def forever() -> AsyncGenerator[int, None]:
        try:
            await asyncio.Event().wait()
            yield 1
        except asyncio.CancelledError:
            log.append(inherited()[RUN])
            raise

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(forever()), 0.01)

    asyncio.run(main())
    assert log == ["a"]


def test_one_scope_object_serves_many_tasks_and_threads_and_itself() -> None:
    """A scope is reusable: nested in itself, in concurrent tasks and in threads."""
    scope = run("shared")

    async def task() -> str:
        async with scope:
            await asyncio.sleep(0)
            with scope:
                await asyncio.sleep(0)
            return inherited()[RUN]

    async def main() -> list[str]:
        return await asyncio.gather(*(task() for _ in range(20)))

    assert asyncio.run(main()) == ["shared"] * 20

    def in_thread(_: int) -> bool:
        with scope:
            return inherited() == {RUN: "shared"}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(in_thread, range(200)))
    assert inherited() == {}


def test_threads_inherit_the_way_opentelemetry_context_does() -> None:
    """A bare thread starts empty; one that is given the context has it."""
    seen: list[object] = []
    with run("r"):
        for target in (_bare(seen), _carried(seen)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [{}, {RUN: "r"}]


def _bare(seen: list[object]) -> Callable[[], None]:
    return lambda: seen.append(dict(inherited()))


def _carried(seen: list[object]) -> Callable[[], None]:
    own = copy_context()
    return lambda: own.run(lambda: seen.append(dict(inherited())))


@pytest.mark.parametrize("value", ["invoice-42", "ACME, Inc.; a=b", "größe 100%", "日本 🚀", "a+b c"])
def test_values_cross_http_headers_unchanged(value: str) -> None:
    """W3C Baggage, percent-encoded: what one service says is what the next one reads."""
    headers: dict[str, str] = {}
    with run(value), tags(customer=value, anything=value):
        said = dict(inherited())
        inject(headers)
    assert headers["baggage"].isascii()
    assert inherited() == {}
    assert inherited(extract(headers)) == said == dict.fromkeys([RUN, CUSTOMER, "otel_cost.tag.anything"], value)


def test_baggage_of_others_is_kept_and_never_becomes_an_attribute() -> None:
    """Only owner dimensions and tags are read: a remote service cannot write costs or other attributes."""
    header = "userId=alice,otel_cost.cost_usd=0,otel_cost.cost_status=free,otel_cost.run=r1,gen_ai.response.id=x"
    context = extract({"baggage": header})
    assert inherited(context) == {RUN: "r1"}
    assert baggage.get_baggage("userId", context) == "alice"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("x" * (MAX_VALUE_CHARS + 1), "longer than 256 characters"),
        ("a\nb", "has characters that are not printable"),
        ("\ud800", "has characters that are not printable"),
        (None, "not a string"),
        (True, "not a string"),
        (1.5, "not a string"),
        (object(), "not a string"),
    ],
)
def test_a_bad_value_is_dropped_and_counted_and_the_body_runs(value: object, reason: str) -> None:
    """Nothing raises; the rest of the scope applies."""
    before = dropped().get(reason, 0)
    with tags(customer=value, team="growth"):  # type: ignore[arg-type]
        assert inherited() == {"otel_cost.team": "growth"}
    assert dropped()[reason] == before + 1


def test_whole_numbers_are_written_out() -> None:
    """A customer id that is a number is a name all the same."""
    with tags(customer=42):  # type: ignore[arg-type]
        assert inherited() == {CUSTOMER: "42"}


def test_a_tag_name_with_other_characters_is_dropped() -> None:
    """Names become header tokens and column names."""
    with tags(**{"bad name": "x", "good-name.1": "y"}):
        assert inherited() == {"otel_cost.tag.good-name.1": "y"}


def test_what_is_carried_is_bounded() -> None:
    """Neither many entries nor long ones let the header outgrow what W3C guarantees to be carried on."""
    headers: dict[str, str] = {}
    with tags(**{f"t{number}": "x" for number in range(MAX_ENTRIES + 10)}):
        assert len(inherited()) == MAX_ENTRIES
    with tags(**{f"t{number}": "ü" * MAX_VALUE_CHARS for number in range(8)}), run("r"):
        inject(headers)
    assert len(headers["baggage"]) <= MAX_BAGGAGE_BYTES
    assert dropped()["baggage is full"] > 0


def test_leaving_in_another_context_than_entered_harms_nothing() -> None:
    """An async fixture may be torn down in another task; that is counted, not raised."""
    scope = run("r")
    copy_context().run(scope.__enter__)
    scope.__exit__(None, None, None)
    assert dropped()["left in another context than entered"] == 1
    assert inherited() == {}


def test_leaving_an_outer_scope_first_leaves_the_inner_one_alone() -> None:
    """Scopes entered by hand may be left in the wrong order: counted, and each still ends only itself."""
    outer, inner = run("outer"), agent("inner")
    before = dropped().get("left in another context than entered", 0)
    with outer, inner:
        outer.__exit__(None, None, None)
        assert inherited() == {RUN: "outer", AGENT: "inner"}
    assert dropped()["left in another context than entered"] == before + 1
    assert inherited() == {}
