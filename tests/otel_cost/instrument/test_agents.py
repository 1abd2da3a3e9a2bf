"""Whose call it is, where frameworks keep that in ways of their own. (Real frameworks: tests/interop/agents.)"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextvars import ContextVar, Token, copy_context
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from otel_cost.instrument import agents, stats
from otel_cost.instrument.agents import Owners, current

LANGCHAIN, PYDANTIC_AI = "langchain_core.runnables.config", "pydantic_ai._run_context"


class AgentSpanData:
    """Named as OpenAI Agents names it."""

    def __init__(self, name: str) -> None:
        self.name = name


def span(name: str) -> SimpleNamespace:
    return SimpleNamespace(span_data=AgentSpanData(name), ended_at=None)


def scope_module() -> Any:
    """A module with the three functions of OpenAI Agents' `Scope` that are used."""
    now: ContextVar[Any] = ContextVar("now", default=None)

    class Scope:
        @classmethod
        def get_current_span(cls) -> Any:
            return now.get()

        @classmethod
        def set_current_span(cls, span: Any) -> Token[Any]:
            return now.set(span)

        @classmethod
        def reset_current_span(cls, token: Token[Any]) -> None:
            now.reset(token)

    return SimpleNamespace(Scope=Scope)


@pytest.fixture
def scope() -> Iterator[Any]:
    module = scope_module()
    agents.PATCHES["agents.tracing.scope"](module)
    yield module.Scope
    agents.unpatch()


def langchain(monkeypatch: pytest.MonkeyPatch, config: object) -> None:
    module = ModuleType(LANGCHAIN)
    module.__dict__["var_child_runnable_config"] = SimpleNamespace(get=lambda: config)
    monkeypatch.setitem(sys.modules, LANGCHAIN, module)


def test_without_a_framework_nobody_is_named() -> None:
    assert copy_context().run(current) is None


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"lc_agent_name": "researcher", "langgraph_node": "model"}, Owners("researcher")),
        ({"langgraph_node": "writer", "langgraph_checkpoint_ns": "writer:1"}, Owners("writer")),
        ({"langgraph_checkpoint_ns": "supervisor:1|agent:2|model:3"}, Owners("supervisor")),
        ({"langgraph_node": "tools", "thread_id": 7}, Owners(None, "7")),
        ({"langgraph_node": "model"}, None),
    ],
)
def test_a_graphs_innermost_node_that_names_somebody_is_the_agent(
    monkeypatch: pytest.MonkeyPatch, metadata: dict[str, object], expected: Owners | None
) -> None:
    langchain(monkeypatch, {"metadata": metadata})
    assert current() == expected


def test_agents_of_openai_agents_nest_and_end(scope: Any) -> None:
    outer = scope.set_current_span(span("triage"))
    inner = scope.set_current_span(span("billing"))
    assert current() == Owners("billing")
    scope.reset_current_span(inner)
    assert current() == Owners("triage")
    scope.reset_current_span(outer)
    assert current() is None


def test_a_span_that_ended_without_being_reset_names_nobody(scope: Any) -> None:
    def run() -> Owners | None:
        ended = span("triage")
        scope.set_current_span(ended)
        scope.set_current_span(SimpleNamespace(span_data=None))
        ended.ended_at = "2026-11-22T12:00:00Z"
        return current()

    assert copy_context().run(run) is None


def test_unpatching_gives_the_framework_its_own_back() -> None:
    module = scope_module()
    own = module.Scope.__dict__["set_current_span"]
    agents.PATCHES["agents.tracing.scope"](module)
    assert module.Scope.__dict__["set_current_span"] is not own
    agents.unpatch()
    assert module.Scope.__dict__["set_current_span"] is own


def test_a_crew_member_is_named_while_it_works_also_when_it_fails() -> None:
    class Agent:
        role = " planner\n"

        def execute_task(self, task: str) -> Owners | None:
            if task == "impossible":
                raise ValueError(task)
            return current()

    agents.PATCHES["crewai.agent.core"](SimpleNamespace(Agent=Agent))  # type: ignore[arg-type]
    try:
        assert Agent().execute_task("plan") == Owners("planner")
        with pytest.raises(ValueError, match="impossible"):
            Agent().execute_task("impossible")
        assert current() is None
    finally:
        agents.unpatch()


def test_a_framework_that_keeps_it_otherwise_is_counted_and_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PYDANTIC_AI, ModuleType(PYDANTIC_AI))
    before = stats().get("failed.agents.AttributeError", 0)
    assert current() is None
    assert stats()["failed.agents.AttributeError"] == before + 1
