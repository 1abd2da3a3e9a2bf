"""`otel_cost.guard(...)`: the same decision for calls that do not go over HTTP, or not over a hooked library."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_cost import attributes as keys
from otel_cost.call import ATTRIBUTE, DIMENSIONS
from otel_cost.context import OWNER_KEYS
from otel_cost.guard import deciding, gate
from otel_cost.guard.admissions import Admission
from otel_cost.guard.errors import BudgetError
from otel_cost.guard.estimate import USUAL_OUTPUT_TOKENS, priced
from otel_cost.guard.held import Claim
from otel_cost.guard.leases import Leases
from otel_cost.guard.owners import attributes_of, owners_of
from otel_cost.instrument.guard import STATS
from otel_cost.pricing.money import pico_usd
from otel_cost.pricing.units import INPUT, OUTPUT

_F = TypeVar("_F", bound=Callable[..., Any])


class Guarded:
    """One call that was let through, until it says what it cost.

    Attributes:
        model: what to call: the one that was given, or a cheaper one that a budget asks for.
        is_open: not settled yet.
    """

    def __init__(self, model: str | None) -> None:
        self.model = model
        self.admission = Admission()
        self.is_open = True
        self.is_left = False
        self.around: Guarded | None = None
        """The block that it was entered in, if that is not left."""
        self.own: Mapping[str, str] = {}
        """Who pays, as the block says, and attributes that budgets count by: for spans of the call."""
        self.claim: Claim | None = None
        """What was claimed for it, if the guard is on."""
        self._cost_pico_usd: int | None = 0
        self._tokens = 0
        self._has_calls = False

    @property
    def attributes(self) -> dict[str, str]:
        """For the span of the call, if the app makes one: which reservation it used, who pays as the block says, and
        attributes that budgets count it by. Spans that are read on the wire, inside of the block, have them."""
        lease = self.admission.lease
        return dict(self.own) if lease is None else {**self.own, keys.OTEL_COST_LEASE: lease}

    def settle(self, *, cost_usd: str | int | Decimal | None = None, tokens: int = 0) -> None:
        """What the call really cost; None: not known, so the estimate stands for it. The first one counts.

        Raises:
            MoneyError: `cost_usd` is a float, or no amount.
        """
        cost_pico_usd = None if cost_usd is None else pico_usd(cost_usd)
        if self.is_open:
            self.is_open = False
            self.admission.settle(cost_pico_usd, tokens)

    def add(self, cost_pico_usd: int | None, tokens: int) -> None:
        """What a call inside, which was read on the wire, cost: settled in all at the end."""
        before = self._cost_pico_usd
        self._cost_pico_usd = None if before is None or cost_pico_usd is None else before + cost_pico_usd
        self._tokens += tokens
        self._has_calls = True

    def leave_to_job(self) -> Claim | None:
        """The block hands in a batch, whose claim this is: the block itself costs nothing."""
        self.is_open = False
        self.admission.settle(0, 0, calls=0)
        return self.claim

    def end(self, estimated_tokens: int, has_failed: bool) -> None:
        """The block is over: settle by what was read in it, or as nothing if it failed, or by the estimate."""
        if self.is_open:
            self.is_open = False
            if self._has_calls:
                self.admission.settle(self._cost_pico_usd, self._tokens)
            elif has_failed:
                self.admission.settle(0, 0, calls=0)
            else:
                self.admission.settle(None, estimated_tokens)


class Guard:
    """What `otel_cost.guard()` returns: enter it (`with`, `async with`), or decorate a function or coroutine with it.

    May be reused and nested. Entering raises `BudgetError` where the call may not be made.
    """

    def __init__(
        self,
        values: Mapping[str, str | None],
        attributes: Mapping[str, str],
        cost_pico_usd: int | None,
        tokens: tuple[int, int],
        is_priced: bool,
    ) -> None:
        self._values = values
        said = {key: value for name, key in OWNER_KEYS.items() if (value := values.get(name))}
        self._attributes = {**said, **attributes}  # of the call's span, by key
        self._open: dict[Guarded, None] = {}  # blocks that are not left, in whichever thread or task
        self._tokens = tokens  # input and output
        self._is_priced = is_priced  # by the card, not by the app
        self._cost_pico_usd = cost_pico_usd

    def _claim(self, model: str | None, owners: Mapping[str, str | None]) -> Claim:
        cost = self._cost_pico_usd
        if self._is_priced:
            usage = dict(zip((INPUT, OUTPUT), self._tokens, strict=True))
            on = gate.gate()
            card = None if on is None else on.card
            cost = priced(self._values.get("provider"), model, None, usage, {}, card)
        return Claim({**owners, **self._values, "model": model}, cost, sum(self._tokens))

    def _steps(self, guarded: Guarded, leases: Leases) -> Generator[deciding.Step, deciding.Answer, Admission]:
        context = otel_context.get_current()
        owners: dict[str, str | None] = {**owners_of(context)}

        def claimed(model: str | None) -> Claim:
            guarded.claim = self._claim(model, owners)
            return guarded.claim

        def complete(claim: Claim) -> Claim:
            values = self._attributed(guarded, leases.attributes, context)
            owners.update(values)
            guarded.claim = claim._replace(values={**claim.values, **values})
            return guarded.claim

        if leases.attributes:
            owners.update(self._attributed(guarded, leases.attributes, context))
        return deciding.deciding(claimed(self._values.get("model")), claimed, complete)

    def _attributed(self, guarded: Guarded, names: Sequence[str], context: Context) -> Mapping[str, str | None]:
        """Values of attributes that budgets count by; those that were given come first."""
        found, own = attributes_of(context, names)
        guarded.own = {**own, **self._attributes}
        return {name: self._attributes.get(name[len(ATTRIBUTE) :], value) for name, value in found.items()}

    def __enter__(self) -> Guarded:
        guarded, on = self._begun(), gate.gate()
        try:
            if on is not None:
                guarded.admission = deciding.decide(on.leases, self._steps(guarded, on.leases))
        except BudgetError:
            raise
        except Exception as error:
            STATS.failed("guard.enter", error)
        return self._entered(guarded)

    async def __aenter__(self) -> Guarded:
        guarded, on = self._begun(), gate.gate()
        try:
            if on is not None:
                guarded.admission = await deciding.decide_async(on.leases, self._steps(guarded, on.leases))
        except BudgetError:
            raise
        except Exception as error:
            STATS.failed("guard.enter", error)
        return self._entered(guarded)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        guarded = self._left()
        if guarded is not None:
            # What is cancelled, or a generator that nobody reads to its end, is no failure: it may have cost something.
            guarded.end(sum(self._tokens), isinstance(error, Exception))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)

    def _begun(self) -> Guarded:
        guarded = Guarded(self._values.get("model"))
        guarded.own = self._attributes
        return guarded

    def _entered(self, guarded: Guarded) -> Guarded:
        guarded.model = guarded.admission.model or guarded.model
        guarded.around = _not_left(gate.AROUND.get())
        self._open[guarded] = None
        gate.AROUND.set(guarded)
        return guarded

    def _left(self) -> Guarded | None:
        """The block of this guard that is left: the innermost one here. A generator may be continued in another
        context than it was entered in, or while its caller is in a block of its own: then the last one anywhere."""
        inner: Guarded | None = None
        found = gate.AROUND.get()
        while found is not None and found not in self._open:
            inner, found = found, found.around
        if found is None:
            STATS.count("guard.left_in_another_context")
            try:
                found, _ = self._open.popitem()
            except KeyError:
                return None
        elif inner is None:
            gate.AROUND.set(_not_left(found.around))
        else:
            inner.around = found.around
        self._open.pop(found, None)
        found.is_left = True
        return found

    def __call__(self, function: _F) -> _F:
        """Each call of `function` in a block of its own. TypeError: generators, which leave the block in between."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "otel_cost.guard() decorates functions and coroutines; in a generator, use `with` inside it"
            )
        if inspect.iscoroutinefunction(function):

            async def run_async(*args: Any, **kwargs: Any) -> Any:
                async with self:
                    return await function(*args, **kwargs)

            return cast(_F, functools.wraps(function)(run_async))

        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return cast(_F, functools.wraps(function)(run))


def _not_left(guarded: Guarded | None) -> Guarded | None:
    """The innermost block that is not left, of these."""
    while guarded is not None and guarded.is_left:
        guarded = guarded.around
    return guarded


def guard(
    *,
    model: str | None = None,
    provider: str | None = None,
    estimate_usd: str | int | Decimal | None = None,
    input_tokens: int = 0,
    output_tokens: int = USUAL_OUTPUT_TOKENS,
    attributes: Mapping[str, str] | None = None,
    **owners: str,
) -> Guard:
    """A model call that budgets decide on: `with otel_cost.guard(model="gpt-4o", provider="openai") as guarded: ...`.

    Args:
        estimate_usd: what it costs at most; default: by the price of `input_tokens` and `output_tokens`.
        attributes: of the call's span, by key, for budgets that count by attributes; those of the current span, its
            tags and the resource need not be repeated.
        owners: customer, team, agent, ...; those of the context (`otel_cost.run()`, `tags()`) need not be repeated.

    Raises:
        TypeError: no such owner. MoneyError: `estimate_usd` is a float, or no amount.
    """
    unknown = owners.keys() - set(DIMENSIONS)
    if unknown:
        raise TypeError(f"guard() knows no {', '.join(sorted(unknown))}; owners are {', '.join(DIMENSIONS)}")
    gate.switch_on_by_environment()
    cost = None if estimate_usd is None else pico_usd(estimate_usd)
    values = {**owners, "provider": provider, "model": model}
    return Guard(values, attributes or {}, cost, (input_tokens, output_tokens), estimate_usd is None)
