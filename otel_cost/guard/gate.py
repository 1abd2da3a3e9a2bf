"""The decision before a request leaves: may this call be made, with this model?

`switch_on()` makes the gate of this process. `admit` and `admit_async` are asked by `otel_cost.instrument.observe`;
what they raise is a refusal, and nothing else: whatever of ours fails lets the call pass, and is counted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context

from otel_cost import attributes as keys
from otel_cost.guard import batches, deciding
from otel_cost.guard.admissions import Admission
from otel_cost.guard.batches import Share
from otel_cost.guard.client import Client
from otel_cost.guard.errors import BudgetError
from otel_cost.guard.estimate import Learned, estimate, priced
from otel_cost.guard.held import Claim
from otel_cost.guard.leases import Leases
from otel_cost.guard.owners import attributes_of, owners_of, processor_of
from otel_cost.guard.raising import REPLACED_MODEL, WITHIN_SDK, Redirected, refuse
from otel_cost.guard.replacing import Replacement, with_model
from otel_cost.instrument import observe
from otel_cost.instrument.billing import Bill, as_reading
from otel_cost.instrument.estimates import COMPLETE, estimated
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.instrumentor import GUARD_VARIABLE
from otel_cost.pricing.units import INPUT, OUTPUT

if TYPE_CHECKING:
    from otel_cost.guard.manual import Guarded
    from otel_cost.instrument.wire.types import Asked, Reading
    from otel_cost.pricing import RateCard

TOKEN_VARIABLE = "OTEL_COST_GUARD_TOKEN"
"""Bearer token for it, where it asks for one."""
AROUND: ContextVar[Guarded | None] = ContextVar("otel_cost_guarded", default=None)
"""The `otel_cost.guard()` block that a call is made in: it has decided already."""

_NOTHING: Mapping[str, str] = {}

_logger = logging.getLogger("otel_cost")
_gate: Gate | None = None


class Passage:
    """A call that is made: what to send, and whom to tell what it cost."""

    __slots__ = ("_gate", "_guarded", "_is_handed_in", "_own", "admission", "asked", "replacement")

    def __init__(
        self,
        gate: Gate,
        asked: Asked,
        admission: Admission,
        replacement: Replacement | None,
        around: Guarded | None,
        own: Mapping[str, str] = _NOTHING,
        *,
        is_handed_in: bool = False,
    ) -> None:
        """`is_handed_in`: a batch, by this request."""
        self._gate = gate
        self._own = own
        self._is_handed_in = is_handed_in
        self._guarded = around
        self.admission = admission
        self.asked = asked if replacement is None else replacement.asked
        self.replacement = replacement

    def attributes(self) -> dict[str, str]:
        """Of the call's span."""
        found = dict(self._own)
        if self.admission.lease is not None:
            found[keys.OTEL_COST_LEASE] = self.admission.lease
        if self.admission.replaced_model is not None:
            found[keys.OTEL_COST_MODEL_REPLACED] = self.admission.replaced_model
        return found

    @guarded
    def settle(self, reading: Reading | None, bills: Sequence[Bill], stream: str | None) -> None:
        """The call is over. `stream`: how it ended, if it was one."""
        if self.asked.operation == batches.OPERATION:
            self._settle_batch(reading, has_results=bool(bills))
            return
        if reading is None or not bills:
            if self._guarded is None:
                self.admission.settle(0, 0, calls=0)
            return
        said = [as_reading(reading, bill.part, reading.operation or "") for bill in bills]
        if len(said) == 1:
            usage = {**said[0].usage, **estimated(reading, stream or COMPLETE)}
            said = [said[0]._replace(usage=usage)]
        costs = [self._cost(each) for each in said]
        cost = None if None in costs else sum(filter(None, costs))
        output = sum(each.usage.get(OUTPUT, 0) for each in said)
        tokens = sum(each.usage.get(INPUT, 0) for each in said) + output
        self._gate.learned.learn(self.asked.model, self.asked.operation or "", output, cost)
        if self._guarded is None:
            self.admission.settle(cost, tokens)
        else:
            self._guarded.add(cost, tokens)

    def _settle_batch(self, reading: Reading | None, *, has_results: bool) -> None:
        """A batch was handed in, or looked at."""
        if not self._is_handed_in:
            if has_results and reading is not None:
                self._gate.leases.job_is_read(batches.job_of(self.asked, reading))
        elif reading is not None and reading.error_type is None:
            self.admission.hold(batches.job_of(self.asked, reading))
        else:
            self.admission.settle(0, 0, calls=0)

    def _cost(self, said: Reading) -> int | None:
        if said.reported_cost_pico_usd is not None:
            return said.reported_cost_pico_usd
        context = {**self.asked.context, **said.context}
        if said.service_tier:
            context["service_tier"] = said.service_tier
        return priced(said.provider, self.asked.model, said.response_model, said.usage, context, self._gate.card)


class Gate:
    """Decides with the leases of one collector."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.learned = Learned()

    @property
    def card(self) -> RateCard | None:
        """The card that the app's spans are priced by; None: the shipped one."""
        processor = processor_of(trace.get_tracer_provider())
        return None if processor is None else processor.card

    def admit(self, asked: Asked, context: Context, library: str) -> Passage | None:
        """Decide on a call; waits for the collector if no lease is held. None: it passes, and nobody is told.

        Raises:
            BudgetError, or what carries it out of an SDK: it may not be made.
        """
        attempt = self._attempt(asked, context, library)
        if attempt is None or attempt.passage is not None:
            return None if attempt is None else attempt.passage
        try:
            return attempt.passes(deciding.decide(self.leases, attempt.steps()))
        except BudgetError as error:
            raise refuse(error) from None
        except Exception as error:
            STATS.failed("guard.admit", error)
            return None

    async def admit_async(self, asked: Asked, context: Context, library: str) -> Passage | None:
        """The same without blocking the event loop."""
        attempt = self._attempt(asked, context, library)
        if attempt is None or attempt.passage is not None:
            return None if attempt is None else attempt.passage
        try:
            return attempt.passes(await deciding.decide_async(self.leases, attempt.steps()))
        except BudgetError as error:
            raise refuse(error) from None
        except Exception as error:
            STATS.failed("guard.admit", error)
            return None

    @guarded
    def _attempt(self, asked: Asked, context: Context, library: str) -> _Attempt | None:
        attempt = _Attempt(self, asked, context, library)
        if asked.operation == batches.OPERATION:
            attempt.shares = batches.submitted(asked, self.learned, self.card)
            if not attempt.shares:
                if asked.request.method == "GET":  # perhaps for results
                    attempt.passage = Passage(self, asked, Admission(), None, None)
                    return attempt
                return None
        around = AROUND.get()
        if around is not None and around.is_open:
            whole = around.leave_to_job() if attempt.shares else None
            if whole is None:
                attempt.passage = Passage(self, asked, around.admission, None, around, around.own)
            else:
                attempt.whole, attempt.values, attempt.own = whole, whole.values, around.own
            return attempt
        owners: dict[str, str | None] = {**owners_of(context)}
        owners["provider"], owners["model"] = asked.provider, asked.model
        attempt.values = owners
        if self.leases.attributes:
            attempt.find_attributes()
        if not attempt.shares and self.leases.is_free(attempt.values):
            STATS.count("guard.allowed")
            attempt.passage = Passage(self, asked, Admission(), None, None, attempt.own)
        return attempt


class _Attempt:
    """One call that is being decided on."""

    __slots__ = (
        *("_asked", "_context", "_gate", "_library", "_redirect", "_replacement"),
        *("own", "passage", "shares", "values", "whole"),
    )

    def __init__(self, gate: Gate, asked: Asked, context: Context, library: str) -> None:
        self._gate, self._asked, self._context, self._library = gate, asked, context, library
        self._replacement: Replacement | None = None
        self._redirect: str | None = None
        self.passage: Passage | None = None  # it is decided
        self.values: Mapping[str, str | None] = {}
        self.shares: Sequence[Share] = ()  # of a batch that is handed in
        self.whole: Claim | None = None  # the same, as the block around it says
        self.own = _NOTHING  # attributes that the call's span is given

    def find_attributes(self) -> None:
        """Have the attributes that budgets count by among `values`."""
        found, self.own = attributes_of(self._context, self._gate.leases.attributes)
        self.values = {**self.values, **found}

    def steps(self) -> Generator[deciding.Step, deciding.Answer, Admission]:
        """Steps to the decision."""
        if self.shares:
            parts = [self._of_share(share) for share in self.shares] if self.whole is None else [self.whole]
            return deciding.deciding_batch(parts, self._complete)
        return deciding.deciding(self._claim(self._asked.model), self._reclaim, self._complete)

    def passes(self, admission: Admission) -> Passage:
        """It may be made. Raises `Redirected` where the request has to be made anew for it."""
        if self._redirect is not None:
            admission.settle(0, 0, calls=0)
            raise Redirected(self._redirect)
        if admission.replaced_model is None:
            admission.replaced_model = REPLACED_MODEL.get()
        is_handed_in = bool(self.shares)
        return Passage(self._gate, self._asked, admission, self._replacement, None, self.own, is_handed_in=is_handed_in)

    def _complete(self, claim: Claim) -> Claim:
        self.find_attributes()
        return claim._replace(values={**self.values, "model": claim.values.get("model")})

    def _of_share(self, share: Share) -> Claim:
        return Claim({**self.values, "model": share.model}, share.cost_pico_usd, share.tokens, share.calls)

    def _claim(self, model: str | None) -> Claim:
        needs = estimate(self._asked, model, self._gate.learned, self._gate.card)
        return Claim({**self.values, "model": model}, needs.cost_pico_usd, needs.tokens)

    def _reclaim(self, model: str) -> Claim | None:
        if self._library == "botocore":  # signed: the SDK's own method begins anew
            if not WITHIN_SDK.get():
                return None
            self._redirect = model
        else:
            self._replacement = with_model(self._asked, model)
            if self._replacement is None:
                return None
        return self._claim(model)


def gate() -> Gate | None:
    """The gate of this process; None: the guard is off."""
    return _gate


def switch_on(url: str, token: str | None = None) -> bool:
    """Ask the collector at this address from now on. False: the address is none, which is logged. Never raises."""
    global _gate
    try:
        client = Client(url, token)
    except ValueError as error:
        _logger.error("otel-cost: the guard is off: %s", error)
        return False
    switch_off()
    _gate = Gate(Leases(client))
    observe.use_gate(_gate)
    from otel_cost.guard import sdks

    sdks.instrument()
    return True


def switch_on_by_environment() -> None:
    """Switch on if `OTEL_COST_GUARD` says where, and nobody has before."""
    url = os.environ.get(GUARD_VARIABLE, "").strip()
    if url and _gate is None:
        switch_on(url, os.environ.get(TOKEN_VARIABLE, "").strip() or None)


def switch_off() -> None:
    """Decide on no more calls; what is held is given back."""
    global _gate
    before, _gate = _gate, None
    observe.use_gate(None)
    if before is not None:
        from otel_cost.guard import sdks

        sdks.uninstrument()
        before.leases.close()


def _forget() -> None:
    """In a forked child."""
    deciding.forget()
    if _gate is not None:
        _gate.leases.forget()


os.register_at_fork(after_in_child=_forget)
