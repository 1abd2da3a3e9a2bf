"""What is let through: a call takes from a lease, and says in the end what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from otel_cost.guard.held import Held


class Settling(Protocol):
    """`otel_cost.guard.leases.Leases`."""

    def settle(self, held: Held, number: int, cost_pico_usd: int | None, tokens: int, calls: int) -> None: ...
    def hold(self, held: Held, job: str) -> None: ...


class Admission:
    """A call that may be made: what it has taken, until it says what it cost. `lease` is for its span, if any."""

    __slots__ = ("_held", "_leases", "_number", "lease", "model", "replaced_model")

    def __init__(self, leases: Settling | None = None, held: Held | None = None, number: int = 0) -> None:
        self._leases, self._held, self._number = leases, held, number
        self.lease = None if held is None else f"{held.lease_id}/{number}"
        self.model: str | None = None  # to be called instead
        self.replaced_model: str | None = None  # that the app asked for

    @property
    def is_counted(self) -> bool:
        """Whether any budget counts the call."""
        return self._held is not None

    def settle(self, cost_pico_usd: int | None, tokens: int, calls: int = 1) -> None:
        """The call is done. `cost_pico_usd` None: not known, so what was reserved stands for it; `calls` 0: it failed
        and cost nothing. Again changes nothing."""
        held, leases = self._held, self._leases
        if held is not None and leases is not None:
            leases.settle(held, self._number, cost_pico_usd, tokens, calls)

    def hold(self, job: str) -> None:
        """The call was no call but began a job, that will cost hours later: what it has taken is kept for that."""
        held, leases = self._held, self._leases
        if held is not None and leases is not None:
            leases.hold(held, job)


class Together(Admission):
    """Several that are settled, or held, as one."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Admission]) -> None:
        super().__init__()
        self._parts = parts

    def settle(self, cost_pico_usd: int | None, tokens: int, calls: int = 1) -> None:
        """Each by the same."""
        for part in self._parts:
            part.settle(cost_pico_usd, tokens, calls)

    def hold(self, job: str) -> None:
        """Each for the same."""
        for part in self._parts:
            part.hold(job)
