"""Whatever of the guard raises: the app's call is made as it was, and it is counted. Processes that fork and end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import pytest

from otel_cost.guard import admissions, client, deciding, estimate, gate, held, leases, owners
from otel_cost.instrument import stats
from otel_cost.instrument.observe import begin, begin_async
from tests.otel_cost.guard.budget_server import Budget, budget_server
from tests.otel_cost.guard.guarding import guarded_app
from tests.otel_cost.instrument.observing import MESSAGES, MODEL, answer, chat

INSIDE: list[Any] = [
    *(begin, begin_async, gate.Gate.admit, gate.Gate._attempt, gate._Attempt.steps, gate._Attempt.passes),
    *(gate._Attempt._claim, gate.Passage.settle, gate.Passage.attributes, gate.Passage.__init__, owners.owners_of),
    *(estimate.estimate, estimate.priced, estimate.texts, estimate.Learned.learn, leases.Leases.take),
    *(leases.Leases.ask, leases.Leases.settle, leases.Leases._heard, leases.Leases.is_free, held.Held.take),
    *(held.Held.__init__, held.Claim.body, client.Client.post, deciding.decide, admissions.Admission.settle),
]


def _raise(*_: object, **__: object) -> Any:
    raise ArithmeticError("injected")


@contextmanager
def raising(function: Callable[..., Any]) -> Iterator[None]:
    plain = getattr(function, "__wrapped__", function)
    assert isinstance(plain, FunctionType)
    code = plain.__code__
    plain.__code__ = _raise.__code__
    try:
        yield
    finally:
        plain.__code__ = code


def _failures() -> int:
    return sum(number for name, number in stats().items() if name.startswith("failed"))


@pytest.mark.parametrize("function", INSIDE, ids=lambda function: function.__qualname__)
def test_whatever_of_the_guard_raises_the_call_is_made_and_it_is_counted(function: Callable[..., Any]) -> None:
    with guarded_app(Budget(limit_usd="1"), answer()) as app:
        before = _failures()
        with raising(function):
            said = chat(app.client(max_retries=0))
        assert said.usage.prompt_tokens == 100
        assert json.loads(app.server.bodies[0]) == {"model": MODEL, "messages": MESSAGES}
        if function is not begin_async:
            assert _failures() > before
        assert chat(app.client(max_retries=0)).usage.prompt_tokens == 100


def _run(budget: Budget, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "OTEL_COST_GUARD": budget.url, "OTEL_COST_GUARD_TOKEN": "secret"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_a_process_that_ends_tells_and_gives_everything_back() -> None:
    with budget_server(Budget(limit_usd="1")) as budget:
        _run(
            budget,
            """
            import otel_cost
            with otel_cost.guard(estimate_usd="0.05", customer="acme") as guarded:
                guarded.settle(cost_usd="0.04")
            """,
        )
    assert [call["usd"] for call in budget.calls()] == ["0.04"]
    assert set(budget.leases.values()) == {0}
    assert budget.tokens == {"Bearer secret"}


def test_a_forked_child_holds_nothing_of_its_parent() -> None:
    with budget_server(Budget(limit_usd="1")) as budget:
        _run(
            budget,
            """
            import os, otel_cost
            with otel_cost.guard(estimate_usd="0.05", customer="acme"):
                pass
            if child := os.fork():
                os.waitpid(child, 0)
            else:
                with otel_cost.guard(estimate_usd="0.05", customer="acme"):
                    pass
            """,
        )
    holders = [claim["holder"] for claim in budget.claims()]
    assert len(set(holders)) == 2
    assert len(budget.calls()) == 2
    assert set(budget.leases.values()) == {0}


def test_importing_the_guard_starts_no_thread() -> None:
    code = "import threading, otel_cost.guard.gate, otel_cost.guard.manual; print(threading.active_count())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
