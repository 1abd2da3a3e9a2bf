"""From a claim to yes or no: the ladder of a budget's answers, the same for threads and for event loops.

`deciding` is a generator that says what to do next, and is sent what came of it; `decide` and `decide_async` do it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from otel_cost.guard.admissions import Admission, Together
from otel_cost.guard.client import Unreachable
from otel_cost.guard.errors import ApprovalRequired, BudgetError, BudgetExceeded, refusal_text
from otel_cost.guard.held import Claim
from otel_cost.guard.leases import Leases
from otel_cost.guard.refusals import ClosedError, Incomplete, Refused
from otel_cost.instrument.guard import STATS

MAX_THROTTLE_SECONDS = 30.0
"""Longest that one call is slowed down in all; then it is made if nothing else is in the way, and counted as
`guard.throttled_too_long`. Longer, and apps run into the timeouts of who called them."""
MAX_WAIT_FOR_OTHERS_SECONDS = 1.5
"""A budget that only the leases of others are in the way of is asked once more after so long at most. Longer, and
refusals take long; shorter, and calls are refused that there is room for a moment later."""
MAX_REPLACEMENTS = 16
"""How many cheaper models one call is asked for with, one after another; none of them twice."""
MAX_COMPLETIONS = 3
"""How often a claim is made anew since rules have changed meanwhile. More, and the call is made."""
ASKING_THREADS = 8
"""Most claims of event loops that are asked for at once."""


class Whole(NamedTuple):
    """Calls that are decided on together: a lease is asked for that is for them alone."""

    claim: Claim  # what they need in all


Step = Claim | Whole | float
"""Ask the collector, or wait so many seconds."""
Answer = Admission | Exception | None
Reclaim = Callable[[str], Claim | None]
"""The claim of the same call with a model, as of now; None: it cannot be made with that one."""
Complete = Callable[[Claim], Claim]
"""The claim with all attributes that budgets count by."""


def deciding(
    claim: Claim, reclaim: Reclaim, complete: Complete, *, is_whole: bool = False
) -> Generator[Step, Answer, Admission]:
    """Steps to the admission of a call. `complete` is asked when budgets count by attributes that a claim leaves out.
    `is_whole`: of calls that are decided on together.

    Raises:
        BudgetError: the call may not be made.
    """
    asked_for = claim.values.get("model")
    tried = {asked_for}
    throttled_seconds, has_waited, completed = 0.0, False, 0
    while True:
        answer = yield Whole(claim) if is_whole else claim
        if isinstance(answer, Incomplete) and completed < MAX_COMPLETIONS:
            completed += 1
            claim = complete(claim)
            continue
        if isinstance(answer, Admission):
            if len(tried) > 1:
                STATS.count("guard.model_replaced")
                answer.model, answer.replaced_model = claim.values.get("model"), asked_for
            STATS.count("guard.allowed")
            return answer
        if not isinstance(answer, Refused):
            return _without_answer(answer)
        refusal, decision = answer.refusal, answer.decision
        wait_seconds = _seconds(refusal.get("retry_after_seconds"))
        if decision == "cheaper_model":
            named = str(refusal.get("model"))
            other = reclaim(named) if named not in tried and len(tried) <= MAX_REPLACEMENTS else None
            tried.add(named)
            if other is None:
                STATS.count("guard.not_replaceable")
                raise _error(BudgetExceeded, refusal)
            claim = other
        elif decision == "throttle":
            left_seconds = MAX_THROTTLE_SECONDS - throttled_seconds
            if left_seconds <= 0:
                if claim.has_waited:  # of a collector that does not know what that means
                    return Admission()
                STATS.count("guard.throttled_too_long")
                claim = claim._replace(has_waited=True)
                continue
            STATS.count("guard.throttled")
            wait_seconds = min(max(wait_seconds or 0.0, 0.01), left_seconds)
            throttled_seconds += wait_seconds
            yield wait_seconds
        elif decision == "approval":
            STATS.count("guard.approval_required")
            raise _error(ApprovalRequired, refusal)
        elif wait_seconds is not None and wait_seconds <= MAX_WAIT_FOR_OTHERS_SECONDS and not has_waited:
            has_waited = True
            yield wait_seconds
        else:
            STATS.count("guard.blocked")
            raise _error(BudgetExceeded, refusal)


def deciding_batch(parts: Sequence[Claim], complete: Complete) -> Generator[Step, Answer, Admission]:
    """Steps to the admission of a batch: each of its parts fits, as it is.

    Raises:
        BudgetError: it may not be handed in.
    """
    admitted: list[Admission] = []
    try:
        for part in parts:
            one = yield from deciding(part, lambda _: None, complete, is_whole=True)
            admitted.append(one)
    except BaseException:  # it is not handed in
        for each in admitted:
            each.settle(0, 0, calls=0)
        raise
    return Together(admitted)


def _without_answer(problem: object) -> Admission:
    if isinstance(problem, ClosedError):
        STATS.count("guard.closed")
        raise BudgetExceeded(
            f"nobody answers for the budgets {problem}, which let nothing through then", rule=str(problem)
        )
    if isinstance(problem, Unreachable):
        STATS.count("guard.unreachable")
    elif isinstance(problem, Exception):
        STATS.failed("guard.ask", problem)
    return Admission()


def decide(leases: Leases, steps: Generator[Step, Answer, Admission]) -> Admission:
    """Go through the steps on this thread. Raises BudgetError."""
    answer: Answer = None
    try:
        while True:
            step = steps.send(answer)
            if isinstance(step, float):
                time.sleep(step)
                answer = None
            else:
                answer = _asked(leases, step)
    except StopIteration as stop:
        return _admission(stop)


async def decide_async(leases: Leases, steps: Generator[Step, Answer, Admission]) -> Admission:
    """Go through the steps without blocking the event loop, of asyncio or trio. Raises BudgetError."""
    answer: Answer = None
    try:
        while True:
            step = steps.send(answer)
            if isinstance(step, float):
                await _sleep(step)
                answer = None
            else:
                taken = leases.take(step) if isinstance(step, Claim) else None
                answer = taken or await _in_thread(leases, step)
    except StopIteration as stop:
        return _admission(stop)


def _admission(stop: StopIteration) -> Admission:
    value: Admission = stop.value
    return value


def _asked(leases: Leases, step: Claim | Whole) -> Answer:
    try:
        if isinstance(step, Whole):
            return leases.ask_whole(step.claim)
        return leases.take(step) or leases.ask(step)
    except Exception as error:
        return error


_pool: ThreadPoolExecutor | None = None


def forget() -> None:
    """In a forked child, which has none of the threads."""
    global _pool
    _pool = None


def _trio() -> Any:
    """The trio module, if one of its loops runs here."""
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        with suppress(RuntimeError, AttributeError):
            trio.lowlevel.current_task()
            return trio
    return None


async def _sleep(seconds: float) -> None:
    trio = _trio()
    await (asyncio.sleep(seconds) if trio is None else trio.sleep(seconds))


async def _in_thread(leases: Leases, step: Claim | Whole) -> Answer:
    global _pool
    trio = _trio()
    if trio is not None:
        answer: Answer = await trio.to_thread.run_sync(_asked, leases, step)
        return answer
    if _pool is None:
        _pool = ThreadPoolExecutor(ASKING_THREADS, thread_name_prefix="otel-cost-guard")
    future = _pool.submit(_asked, leases, step)
    try:
        return await asyncio.wrap_future(future)
    except BaseException:  # the task was cancelled: nobody makes the call
        future.add_done_callback(_given_up)
        raise


def _given_up(future: Future[Answer]) -> None:
    answer = None if future.cancelled() else future.result()
    if isinstance(answer, Admission):
        answer.settle(0, 0, calls=0)


def _error(kind: type[BudgetError], refusal: Mapping[str, Any]) -> BudgetError:
    known = {name: refusal.get(name) for name in ("rule", "scope_value", "unit", "limit", "spent", "leased", "ticket")}
    resets_at = _time(refusal.get("resets_at"))
    return kind(refusal_text(known, resets_at, is_denied=kind is BudgetExceeded), resets_at=resets_at, **known)


def _time(text: object) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(str(text)) if text else None
    return None


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
