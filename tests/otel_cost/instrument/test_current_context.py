"""The current context is the API's own, whatever keeps it."""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from otel_cost.instrument.current_context import attach, current, detach, functions


def test_what_is_attached_here_is_current_for_the_api_and_the_other_way_round() -> None:
    before = otel_context.get_current()
    ours = Context({"whose": "ours"})
    token = attach(ours)
    assert otel_context.get_current() is ours
    theirs = Context({"whose": "theirs"})
    inner = otel_context.attach(theirs)
    assert current() is theirs
    otel_context.detach(inner)
    assert current() is ours
    detach(token)
    assert otel_context.get_current() is before


def test_a_context_that_is_kept_in_another_way_is_left_to_the_api() -> None:
    class Own(ContextVarsRuntimeContext):
        """It may do more than its base."""

    by_api = (otel_context.get_current, otel_context.attach, otel_context.detach)
    changed = ContextVarsRuntimeContext()
    del changed._current_context
    assert functions(Own()) == functions(changed) == functions(None) == by_api
    assert functions(ContextVarsRuntimeContext()) != by_api
    assert isinstance(ContextVarsRuntimeContext()._current_context, ContextVar)
