"""Group commit: who is answered what, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event

import pytest

from collector import telemetry as metrics
from collector.committer import Committer, CommitterConfig, Process
from collector.decode.request import Outcome, Request
from collector.errors import MalformedRequest, Overloaded, PermanentError, ShuttingDown, StoreUnavailable
from collector.telemetry import Telemetry

LIMIT_SECONDS = 10.0
LINGERING = CommitterConfig(longest_linger_seconds=3600.0, linger_factor=1e9)


class Ledger:
    """A pipeline that notes the groups it is given. With `gate` closed it blocks, as a slow disk does."""

    def __init__(self) -> None:
        self.groups: list[list[bytes]] = []
        self.entered = Event()
        self.gate = Event()
        self.gate.set()

    def __call__(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        self.entered.set()
        assert self.gate.wait(LIMIT_SECONDS)
        bodies = [request.body for request in requests]
        if b"poison" in bodies:
            raise ZeroDivisionError("a stage failed")
        self.groups.append(bodies)
        return [Outcome(1) for _ in requests]


@contextmanager
def running(process: Process, config: CommitterConfig | None = None) -> Iterator[tuple[Committer, Telemetry]]:
    """A committer that is stopped in the end."""
    telemetry = Telemetry()
    committer = Committer(process, config or CommitterConfig(), telemetry)
    committer.start()
    try:
        yield committer, telemetry
    finally:
        committer.stop(LIMIT_SECONDS)


async def submit(committer: Committer, *bodies: bytes) -> list[Outcome]:
    """The outcomes of requests sent at once."""
    return await asyncio.gather(*(committer.submit(Request(body, "default")) for body in bodies))


async def in_commit(committer: Committer, ledger: Ledger, body: bytes) -> asyncio.Future[Outcome]:
    """A request whose commit has begun and goes on until the gate is opened."""
    ledger.gate.clear()
    answer = committer.submit(Request(body, "default"))
    await asyncio.to_thread(ledger.entered.wait, LIMIT_SECONDS)
    return answer


async def submitted(committer: Committer, body: bytes) -> asyncio.Future[Outcome]:
    """A request that is queued, or refused: then its answer is there."""
    answer = committer.submit(Request(body, "default"))
    await asyncio.sleep(0.001)
    return answer


async def behind_a_slow_commit(committer: Committer, ledger: Ledger, *bodies: bytes) -> list[Outcome]:
    """The outcomes of requests that came while another one was being committed."""
    first = await in_commit(committer, ledger, b"first")
    rest = [committer.submit(Request(body, "default")) for body in bodies]
    ledger.gate.set()
    await first
    return await asyncio.gather(*rest)


def test_an_idle_collector_commits_at_once() -> None:
    """A single request does not wait for company."""
    ledger = Ledger()
    with running(ledger) as (committer, _):
        assert asyncio.run(submit(committer, b"one")) == [Outcome(1)]
    assert ledger.groups == [[b"one"]]


def test_a_single_sender_never_waits() -> None:
    """However long groups linger, a sender that waits for each answer gets it as soon as its request is on disk."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> None:
        for body in (b"1", b"2", b"3"):
            await asyncio.wait_for(committer.submit(Request(body, "default")), LIMIT_SECONDS)

    with running(ledger, LINGERING) as (committer, _):
        asyncio.run(scenario(committer))
    assert ledger.groups == [[b"1"], [b"2"], [b"3"]]


def test_several_senders_wait_for_each_other_and_for_no_longer() -> None:
    """A group lingers until as many requests wait as were in flight at once just before."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> None:
        first = await in_commit(committer, ledger, b"1")
        others = [committer.submit(Request(body, "default")) for body in (b"2", b"3")]
        ledger.gate.set()
        await first
        again = committer.submit(Request(b"again", "default"))
        await asyncio.wait_for(asyncio.gather(*others, again), LIMIT_SECONDS)

    with running(ledger, LINGERING) as (committer, _):
        asyncio.run(scenario(committer))
    assert ledger.groups == [[b"1"], [b"2", b"3", b"again"]]


def test_a_sender_that_is_left_alone_waits_a_bounded_time() -> None:
    """Others that were there a moment ago and send no more keep nobody waiting for longer than a group lingers."""
    ledger = Ledger()
    config = CommitterConfig(longest_linger_seconds=0.05, linger_factor=1e9)
    with running(ledger, config) as (committer, _):
        asyncio.run(behind_a_slow_commit(committer, ledger, b"2", b"3", b"4"))
        asyncio.run(submit(committer, b"alone"))
    assert ledger.groups == [[b"first"], [b"2", b"3", b"4"], [b"alone"]]


def test_what_waits_during_a_commit_is_committed_together() -> None:
    """Requests that arrive while one is on its way to disk share the next transaction, in their order."""
    ledger = Ledger()
    bodies = [b"%d" % number for number in range(50)]
    with running(ledger) as (committer, _):
        outcomes = asyncio.run(behind_a_slow_commit(committer, ledger, *bodies))
    assert ledger.groups == [[b"first"], bodies]
    assert outcomes == [Outcome(1)] * 50


def test_a_group_is_bounded_in_bytes_and_in_requests() -> None:
    """A group ends before the request that would make it too large; a larger one goes alone."""
    ledger = Ledger()
    config = CommitterConfig(group_bytes=10, group_requests=3)
    bodies = [b"aaaa", b"bbbb", b"cccc", b"d" * 30, b"e", b"f", b"g", b"h"]
    with running(ledger, config) as (committer, _):
        asyncio.run(behind_a_slow_commit(committer, ledger, *bodies))
    assert ledger.groups == [[b"first"], [b"aaaa", b"bbbb"], [b"cccc"], [b"d" * 30], [b"e", b"f", b"g"], [b"h"]]


def test_no_sender_is_answered_before_its_commit() -> None:
    """While the commit is in progress the sender waits."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> None:
        task = await in_commit(committer, ledger, b"x")
        assert not task.done()
        ledger.gate.set()
        assert await task == Outcome(1)

    with running(ledger) as (committer, _):
        asyncio.run(scenario(committer))


def test_one_poisonous_request_fails_alone() -> None:
    """A request that breaks a stage is refused for good; every neighbour of its group is stored."""
    ledger = Ledger()
    bodies = [b"%d" % number for number in range(20)]
    bodies[13] = b"poison"
    with running(ledger) as (committer, _):
        outcomes = asyncio.run(behind_a_slow_commit(committer, ledger, *bodies))
    assert sorted(body for group in ledger.groups for body in group) == sorted({b"first", *bodies} - {b"poison"})
    assert [number for number, outcome in enumerate(outcomes) if outcome.error] == [13]
    assert type(outcomes[13].error) is PermanentError


def test_when_the_store_cannot_commit_everybody_may_try_again() -> None:
    """A full disk is nobody's fault: the whole group is told to come back, and nothing is tried one by one."""
    calls: list[int] = []

    def full_disk(requests: Sequence[Request]) -> Sequence[Outcome]:
        calls.append(len(requests))
        raise StoreUnavailable("disk full")

    with running(full_disk) as (committer, _):
        outcomes = asyncio.run(submit(committer, b"a", b"b", b"c"))
    assert {type(outcome.error) for outcome in outcomes} == {StoreUnavailable}
    assert {outcome.accepted_spans for outcome in outcomes} == {0}
    assert sum(calls) == 3


def test_a_malformed_request_is_told_so() -> None:
    """What decoding says of one request reaches its sender unchanged."""
    malformed = Outcome(0, 0, "bad", MalformedRequest("bad"))
    with running(lambda requests: [malformed] * len(requests)) as (committer, _):
        assert asyncio.run(submit(committer, b"a")) == [malformed]


@pytest.mark.parametrize("config", [CommitterConfig(queue_bytes=25), CommitterConfig(queue_requests=2)])
def test_a_full_queue_refuses_at_once_and_recovers(config: CommitterConfig) -> None:
    """What exceeds the memory limiter is told to come back; afterwards there is room again."""
    ledger = Ledger()
    with running(ledger, config) as (committer, telemetry):
        outcomes = asyncio.run(behind_a_slow_commit(committer, ledger, b"a" * 10, b"b" * 10, b"c" * 10))
        assert [type(outcome.error) for outcome in outcomes] == [type(None), type(None), Overloaded]
        assert telemetry.value(metrics.QUEUE_BYTES) == 0
        assert asyncio.run(submit(committer, b"d" * 10)) == [Outcome(1)]


def test_stopping_stores_what_waits_and_refuses_what_comes() -> None:
    """At shutdown nothing that was taken is left out, and nothing new is taken."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> None:
        tasks = [await in_commit(committer, ledger, b"a")]
        tasks += [await submitted(committer, body) for body in (b"b", b"c")]
        stopping = asyncio.create_task(asyncio.to_thread(committer.stop, LIMIT_SECONDS))
        while not (late := await submitted(committer, b"late")).done():  # taken, since the stop had not begun
            tasks.append(late)
        assert isinstance(late.result().error, ShuttingDown)
        ledger.gate.set()
        assert await stopping
        assert set(await asyncio.gather(*tasks)) == {Outcome(1)}

    with running(ledger) as (committer, _):
        asyncio.run(scenario(committer))
    assert [body for group in ledger.groups for body in group][:3] == [b"a", b"b", b"c"]


def test_a_commit_that_hangs_does_not_hang_the_shutdown() -> None:
    """At the deadline, senders whose requests still wait are refused: they will send them again."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> None:
        stuck = await in_commit(committer, ledger, b"stuck")
        waiting = committer.submit(Request(b"waiting", "default"))
        assert not await asyncio.to_thread(committer.stop, 0.05)
        assert isinstance((await waiting).error, ShuttingDown)
        ledger.gate.set()
        assert await stuck == Outcome(1)

    with running(ledger) as (committer, _):
        asyncio.run(scenario(committer))


def test_a_sender_that_left_does_not_disturb_the_others() -> None:
    """A cancelled call is still committed, and its neighbours are answered."""
    ledger = Ledger()

    async def scenario(committer: Committer) -> Outcome:
        gone = await in_commit(committer, ledger, b"gone")
        gone.cancel()
        other = committer.submit(Request(b"other", "default"))
        ledger.gate.set()
        return await other

    with running(ledger) as (committer, _):
        assert asyncio.run(scenario(committer)) == Outcome(1)
    assert ledger.groups == [[b"gone"], [b"other"]]
