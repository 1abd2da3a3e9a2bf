"""How a refusal gets past the SDKs, which repeat and wrap whatever `Exception` their HTTP client raises.

The outer method of an SDK is wrapped (`otel_cost.guard.sdks`). Within it a refusal travels as a `BaseException`, that
nobody in between catches, and leaves it as the error that the app is promised.
"""

from __future__ import annotations

from contextvars import ContextVar

from otel_cost.guard.errors import BudgetError

WITHIN_SDK: ContextVar[bool] = ContextVar("otel_cost_within_sdk", default=False)
"""Whether an SDK's method that is wrapped is above."""
REPLACED_MODEL: ContextVar[str | None] = ContextVar("otel_cost_replaced_model", default=None)
"""The model that the app asked for, where its call is made anew with another."""


class Blocked(BaseException):
    """`error` on its way out of an SDK."""

    def __init__(self, error: BudgetError) -> None:
        super().__init__(error.message)
        self.error = error


class Redirected(BaseException):
    """The call has to be made anew with `model`: its request is signed, and cannot be changed."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


def refuse(error: BudgetError) -> BaseException:
    """What to raise for a refusal, here."""
    return Blocked(error) if WITHIN_SDK.get() else error
