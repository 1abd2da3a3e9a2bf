"""What a failed answer says, in the shape of OpenAI and those who copied it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from otel_cost.instrument.wire.values import items, mapping, name, text


class Failure(NamedTuple):
    """Why a call failed."""

    error_type: str
    extra: Mapping[str, Any]


def failure(status: int, body: object) -> Failure | None:
    """The failure of an answer; None for one that succeeded.

    The type is the provider's code, else its type, else the HTTP status; a code that is only the status again says
    less than a type (Cohere: `error_type`; Google: `status`, in a list of one error). An error in an answer of
    status 200 counts (gateways, streams).
    """
    said = mapping(next(iter(items(body)), body))
    error = said.get("error")
    if status < 400 and not error:
        return None
    inner = mapping(error)
    outer = said if status >= 400 and not inner else {}
    code = name(inner.get("code")) or name(outer.get("code"))
    kind = text(inner.get("type")) or text(inner.get("status")) or text(outer.get("error_type"))
    if code is not None and code.isdigit() and kind:
        code = None
    told = code or kind or (str(status) if status >= 400 else "error")
    details = {key: inner[key] for key in ("type", "code", "param") if name(inner.get(key)) is not None}
    return Failure(told, {"error": details} if details else {})


def type_name(error: BaseException) -> str:
    """The exception's full name, as the conventions want it in `error.type`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
