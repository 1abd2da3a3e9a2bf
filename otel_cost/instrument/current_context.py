"""The current context of OpenTelemetry: `current()`, `attach(context)`, which gives a token, and `detach(token)`.

The API's functions of these names pass through two Python functions each to what is a context variable's own methods;
every call of the app would pay for six. Where the API keeps its context elsewhere, or is of another make, they are the
API's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

_Functions = tuple[Callable[[], Context], Callable[[Context], Any], Callable[[Any], object]]


def functions(runtime: object) -> _Functions:
    """`current`, `attach` and `detach` of what the API keeps its context by."""
    variable = getattr(runtime, "_current_context", None)
    if type(runtime) is ContextVarsRuntimeContext and isinstance(variable, ContextVar):
        return variable.get, variable.set, variable.reset
    return otel_context.get_current, otel_context.attach, otel_context.detach


current, attach, detach = functions(getattr(otel_context, "_RUNTIME_CONTEXT", None))
