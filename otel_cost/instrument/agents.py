"""Which agent of which framework a model call is made for, as the framework's own context says; no code of the user.

LangChain and LangGraph (the config of the running step) and pydantic-ai (the run context) say it where the call is
made. OpenAI Agents (the span that is current) and CrewAI (an agent's work on a task) are followed by a small patch.
Google ADK, Strands and AutoGen write spans that name their agents, which every span inside inherits
(`otel_cost.processor`).
Seen in langchain-core 1.7, langgraph 1.2, pydantic-ai 2.31, openai-agents 0.20 and crewai 1.6.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any, NamedTuple

from otel_cost.instrument.guard import STATS

GENERIC_NODES = frozenset({"agent", "call_model", "chatbot", "llm", "model", "tools"})
"""Nodes of a graph that say what is done, not who does it: prebuilt graphs and tutorials name them so."""

_Wrapped = Callable[..., Any]
_Following = tuple[object, str, Any]
"""A span that names an agent, the name, and the one followed before it."""


class Owners(NamedTuple):
    """For whom a call is made; at least one of the two is known."""

    agent: str | None
    conversation: str | None = None


_followed: ContextVar[_Following | None] = ContextVar("otel_cost_framework_agent", default=None)
_undo: list[Callable[[], None]] = []


def current() -> Owners | None:
    """Who makes the call that is about to be made in this context, by the innermost framework. Never raises."""
    modules = sys.modules
    found = None
    if not modules.keys().isdisjoint(_READERS):
        for name, read in _READERS.items():
            if found is None and name in modules:
                found = _asked(read, modules[name])
    followed = _followed.get()
    return found if found is not None or followed is None else _asked(_patched, followed)


def _asked(read: Callable[[Any], Owners | None], where: object) -> Owners | None:
    try:
        return read(where)
    except Exception as error:  # a framework's insides, of any version
        STATS.failed("agents", error)
        return None


def _langchain(module: Any) -> Owners | None:
    config = module.var_child_runnable_config.get()
    if not config:
        return None
    metadata = config.get("metadata") or {}
    thread = metadata.get("thread_id") or (config.get("configurable") or {}).get("thread_id")
    conversation = str(thread) if thread is not None else None
    name = metadata.get("lc_agent_name") or _named_node(metadata)
    return Owners(name, conversation) if name or conversation else None


def _named_node(metadata: Mapping[str, Any]) -> str | None:
    """The innermost node that names somebody. A checkpoint's namespace is `node:id|node:id`, outermost first."""
    path = str(metadata.get("langgraph_checkpoint_ns") or metadata.get("langgraph_node") or "")
    for step in reversed(path.split("|")):
        node = step.partition(":")[0]
        if node and node not in GENERIC_NODES:
            return node
    return None


def _pydantic_ai(module: Any) -> Owners | None:
    context = module.get_current_run_context()
    agent = None if context is None else context.agent
    return Owners(str(agent.name)) if agent is not None and agent.name else None


def _patched(innermost: _Following) -> Owners | None:
    followed: _Following | None = innermost
    while followed is not None and getattr(followed[0], "ended_at", None) is not None:
        followed = followed[2]  # a span that ended elsewhere, or out of order
    return None if followed is None else Owners(followed[1])


_READERS: Mapping[str, Callable[[Any], Owners | None]] = {
    "langchain_core.runnables.config": _langchain,
    "pydantic_ai._run_context": _pydantic_ai,
}
"""Each by the module that is there where the framework is used."""


def _follow_openai_agents(module: Any) -> None:
    """`Scope` is where OpenAI Agents keeps the current span, also while its tracing is disabled."""
    scope = module.Scope
    set_current, reset_current = scope.set_current_span, scope.reset_current_span

    @wraps(set_current)
    def set_and_follow(span: Any) -> Any:
        with suppress(Exception):
            data: Any = getattr(span, "span_data", None)
            if type(data).__name__ == "AgentSpanData":
                _followed.set((span, str(data.name), _followed.get()))
        return set_current(span)

    @wraps(reset_current)
    def reset_and_return(token: Any) -> Any:
        with suppress(Exception):
            followed = _followed.get()
            if followed is not None and scope.get_current_span() is followed[0]:
                _followed.set(followed[2])
        return reset_current(token)

    _replace(scope, "set_current_span", staticmethod(set_and_follow))
    _replace(scope, "reset_current_span", staticmethod(reset_and_return))


def _follow_crewai(module: Any) -> None:
    """An agent works on a task, or by itself, within one call of a method."""
    for name in ("execute_task", "kickoff", "aexecute_task", "kickoff_async"):
        method = getattr(module.Agent, name, None)
        if method is not None:
            _replace(module.Agent, name, _following(method, is_async=name in ("aexecute_task", "kickoff_async")))


def _following(method: _Wrapped, is_async: bool) -> _Wrapped:
    @wraps(method)
    def work(agent: Any, *args: Any, **kwargs: Any) -> Any:
        token = _enter(agent)
        try:
            return method(agent, *args, **kwargs)
        finally:
            _leave(token)

    @wraps(method)
    async def work_async(agent: Any, *args: Any, **kwargs: Any) -> Any:
        token = _enter(agent)
        try:
            return await method(agent, *args, **kwargs)
        finally:
            _leave(token)

    return work_async if is_async else work


def _enter(agent: Any) -> Any:
    with suppress(Exception):
        return _followed.set((agent, str(agent.role).strip(), _followed.get()))
    return None


def _leave(token: Any) -> None:
    if token is not None:
        with suppress(ValueError):  # the task was moved to another context
            _followed.reset(token)


PATCHES: Mapping[str, Callable[[ModuleType], None]] = {
    "agents.tracing.scope": _follow_openai_agents,
    "crewai.agent.core": _follow_crewai,
}
"""Module -> what follows its agents, to be called once when the module has been imported."""


def unpatch() -> None:
    """Take all patches back, the last one first."""
    while _undo:
        with suppress(Exception):
            _undo.pop()()


def _replace(owner: Any, name: str, new: object) -> None:
    before = owner.__dict__[name]  # as it is: a class method must come back as one
    setattr(owner, name, new)
    _undo.append(lambda: setattr(owner, name, before))
