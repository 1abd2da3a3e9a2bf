"""The guard in the app: a model call that a budget has no room for is not made.

`OTEL_COST_GUARD=http://127.0.0.1:8321` switches it on with the wire instrumentation, `use()` by hand. Calling this
module, `otel_cost.guard(...)`, guards a call that is made in another way. docs/guard.md says what an app sees.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_cost.guard.manual import Guard

__all__ = ["use"]


def use(url: str, token: str | None = None) -> bool:
    """Ask the collector at `url` from now on, as `OTEL_COST_GUARD` does. False: that is no address, which is logged."""
    from otel_cost.guard.gate import switch_on

    return switch_on(url, token)


class _Callable(ModuleType):
    """A module has one name: that of the function that people call."""

    def __call__(self, **arguments: Any) -> Guard:
        """See `otel_cost.guard.manual.guard`."""
        from otel_cost.guard.manual import guard

        return guard(**arguments)


sys.modules[__name__].__class__ = _Callable
