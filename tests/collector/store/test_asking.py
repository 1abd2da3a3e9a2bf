"""Questions of a service are answered by a process of their own, and from sums that may be lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from queue import Queue
from threading import Barrier, Event, Semaphore
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.errors import QueryTimedOut, StoreUnavailable
from collector.questions.breakdown import Grouping, breakdown
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection, Window
from collector.questions.spend import spend
from collector.store.asked import NICENESS, Desk
from collector.store.asking import Reading
from collector.store.generations import MOST_HELD, Generations
from collector.store.layout import Layout
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call, span

EVERYTHING = Selection(None, Window(None, None, ZoneInfo("UTC")))
CALL = Decimal("0.0125")
PATIENCE_SECONDS = 60.0


@pytest.fixture
def start_reading(ledger_path: Path) -> Iterator[Callable[[], Reading]]:
    started: list[Reading] = []

    def start() -> Reading:
        started.append(Reading(ledger_path))
        started[-1].start()
        return started[-1]

    yield start
    for reading in started:
        reading.stop()


def pid_of(_: Ask) -> int:
    return os.getpid()


def for_ever(ask: Ask) -> int:
    return len(ask("SELECT max(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b", {}))


def priorities(_: Ask) -> tuple[int, list[int]]:
    """The nice value of the thread that answers, and those of all others of its process."""
    own = threading.get_native_id()
    nice = {
        int(task.name): os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path("/proc/self/task").iterdir()
    }
    return nice.pop(own), list(nice.values())


def of_nothing(ask: Ask) -> int:
    return len(ask("SELECT nothing FROM calls", {}))


def calls_by_now(ask: Ask) -> int:
    return Scope(ask, EVERYTHING).total().calls


def is_running(reading: Reading) -> bool:
    """Asked anew: the type checker takes a property for a constant."""
    return reading.is_running


def test_the_process_may_be_started_before_the_first_question_and_not_after_the_end(
    open_store: OpenStore, start_reading: Callable[[], Reading]
) -> None:
    open_store()
    reading = start_reading()
    reading.warm()
    assert is_running(reading) is True
    reading.stop()
    reading.warm()
    assert is_running(reading) is False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is that of all threads")
def test_who_waits_for_an_answer_waits_behind_nobody_and_sums_do(
    open_store: OpenStore, start_reading: Callable[[], Reading]
) -> None:
    open_store()
    own, others = asyncio.run(start_reading().answer(priorities)).value
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    behind = min(19, usual + NICENESS)
    assert own == usual
    assert set(others) == {usual, behind}
    assert others.count(behind) >= 2  # what sums, and at least one thread of DuckDB's


def test_questions_are_answered_in_another_process(open_store: OpenStore, start_reading: Callable[[], Reading]) -> None:
    """With the figures of the publication and its age; wrong questions and long ones end as errors of their own kind.

    A process that dies fails what it was asked; the next question is answered by another one.
    """
    store = open_store()
    store.append(batch([call(1, 1), call(1, 2)]), attribute)
    store.publish()

    async def ask() -> None:
        reading = start_reading()
        assert is_running(reading) is False
        found = await reading.answer(spend, EVERYTHING, timeout_seconds=PATIENCE_SECONDS)
        assert is_running(reading) is True
        assert found.value.total.cost_usd == 2 * CALL
        assert found.last_seq == store.position.seq == 2
        assert reading.as_of() == (found.as_of, 2)
        with pytest.raises(ValueError, match="none of cost"):
            await reading.answer(breakdown, EVERYTHING, Grouping(("agent",), sort="colour"))
        with pytest.raises(RuntimeError, match='Binder Error: Referenced column "nothing"'):  # ours, not the ledger's
            await reading.answer(of_nothing)
        with pytest.raises(QueryTimedOut):
            await reading.answer(for_ever, timeout_seconds=0.2)
        pid = (await reading.answer(pid_of)).value
        assert pid != os.getpid()
        waiting = asyncio.create_task(reading.answer(for_ever, timeout_seconds=PATIENCE_SECONDS))
        await reading.answer(pid_of)  # so that it is under way
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(StoreUnavailable):
            await waiting
        assert (await reading.answer(pid_of)).value != pid
        reading.stop()
        assert not reading.is_running
        with pytest.raises(StoreUnavailable):
            await reading.answer(pid_of)

    asyncio.run(ask())


def test_only_where_somebody_has_asked_before_is_the_process_there_unasked(
    open_store: OpenStore, ledger_path: Path, start_reading: Callable[[], Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is only written to has no second process, and no sums."""
    monkeypatch.setattr("collector.store.asking._EAGER_SECONDS", 0.0)
    store = open_store()
    store.publish()
    assert start_reading()._timer is None
    assert not Layout.of(ledger_path).rollups.exists()
    asyncio.run(start_reading().answer(pid_of))
    later = start_reading()
    assert later._timer is not None
    later._timer.join(PATIENCE_SECONDS)
    assert later._process is not None


def test_a_new_publication_is_read_while_an_older_one_is_in_use(open_store: OpenStore, ledger_path: Path) -> None:
    """All statements of a question see one state; the next question sees the newest."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.publish()
    generations = Generations(ledger_path, ZoneInfo("UTC"), unsummed_rows=0)
    generations.open()
    generations.step()
    with generations.current() as ask:
        assert calls_by_now(ask) == 1
        store.append(batch([call(2, 1), call(3, 1)]), attribute)
        store.publish()
        generations.step()
        assert calls_by_now(ask) == 1
        with generations.current() as newer:
            assert calls_by_now(newer) == 3
        assert calls_by_now(ask) == 1
    generations.close()


def test_what_lacks_memory_beside_others_is_answered_alone(open_store: OpenStore, ledger_path: Path) -> None:
    """Three questions at once share what there is: that one of them needs most of it is no error of who asks."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.publish()
    generations = Generations(ledger_path, ZoneInfo("UTC"))
    generations.open()
    heard: Queue[tuple[int, Any, Exception | None]] = Queue()
    desk = Desk(generations, heard.put)
    together, at_work, begun = Barrier(3), Semaphore(3), Counter[int]()

    def hungry(_: Ask, which: int) -> bool:
        begun[which] += 1
        at_work.acquire()
        try:
            if begun[which] == 1:
                together.wait(PATIENCE_SECONDS)
                raise MemoryError
            Event().wait(0.05)  # time for another to come, if it may
            free = [at_work.acquire(blocking=False) for _ in range(2)].count(True)
            if free:
                at_work.release(free)
            return free == 2
        finally:
            at_work.release()

    for which in (1, 2, 3):
        desk.take(which, PATIENCE_SECONDS, hungry, (which,), {}, None)
    answers = [heard.get(timeout=PATIENCE_SECONDS) for _ in range(3)]
    assert [error for _, _, error in answers] == [None] * 3
    assert all(answer.value for _, answer, _ in answers)
    assert begun == {1: 2, 2: 2, 3: 2}
    generations.close()


def test_questions_of_a_hold_see_one_publication_until_it_is_let_go(open_store: OpenStore, ledger_path: Path) -> None:
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.publish()
    generations = Generations(ledger_path, ZoneInfo("UTC"), unsummed_rows=0)
    generations.open()
    found = []
    for number in range(2, 4):
        with generations.current(7) as ask:
            found.append((calls_by_now(ask), ask.last_seq))
        store.append(batch([call(number, 1)]), attribute)
        store.publish()
        generations.step()
    assert found == [found[0]] * 2
    generations.let_go(7)
    with generations.current(7) as ask:
        assert calls_by_now(ask) == 3
    for other in range(MOST_HELD - 1):
        with generations.current(100 + other):
            pass
    with pytest.raises(StoreUnavailable), generations.current(99):
        pass
    generations.close()


def test_sums_follow_each_change_of_what_was_summed_up(open_store: OpenStore, ledger_path: Path) -> None:
    """Two calls of one segment learn one after the other, from late spans, who pays."""
    store = open_store()
    generations = Generations(ledger_path, ZoneInfo("UTC"), unsummed_rows=0)
    generations.open()
    found = []
    for late in ([call(1, 2, 1), call(2, 2, 1)], [span(1, 1, customer="a")], [span(2, 1, customer="b")]):
        store.append(batch(late), attribute)
        store.publish()
        generations.step()
        with generations.current() as ask:
            rows = breakdown(ask, EVERYTHING, Grouping(("customer",), sort="name")).rows
            found.append({row.key[0]: row.measures.cost_usd for row in rows})
    generations.close()
    assert found == [{None: 2 * CALL}, {"a": CALL, None: CALL}, {"a": CALL, "b": CALL}]


@pytest.mark.parametrize("content", [b"", b"no database", None], ids=["empty", "foreign", "cut"])
def test_sums_that_are_damaged_are_made_anew(open_store: OpenStore, ledger_path: Path, content: bytes | None) -> None:
    """What they are made of is in the ledger."""
    store = open_store()
    store.append(batch([call(trace, 1) for trace in range(30)]), attribute)
    store.publish()
    for _ in range(2):
        generations = Generations(ledger_path, ZoneInfo("UTC"), unsummed_rows=0)
        generations.open()
        generations.step()
        with generations.current() as ask:
            assert ask.rolled is not None
            assert spend(ask, EVERYTHING).total.cost_usd == 30 * CALL
            assert len(ask.rolled.parts) == 1
        generations.close()
        path = Layout.of(ledger_path).rollups
        path.write_bytes(path.read_bytes()[:5_000] if content is None else content)
