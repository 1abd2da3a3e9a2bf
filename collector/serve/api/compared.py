"""What if: the same calls on other models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from collector.analysis.compare import Comparison, Group, together
from collector.analysis.compare_models import Target
from collector.analysis.compare_scores import Screened, Wanted
from collector.analysis.compare_tokens import family_of
from collector.catalogue.benchmark_scores import Score, benchmarks
from collector.errors import CollectorError
from collector.questions.selection import Selection
from collector.serve.api import selected
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid
from collector.serve.api.parameters import Parameter, choice, comma_list, share, whole
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_response
from collector.serve.api.selected import SelectionShown, shown
from collector.serve.api.shapes import as_json
from collector.serve.api.viewing import Asked, Viewer
from otel_cost.pricing.money import PICO_PER_USD

MAX_MODELS = 8
GROUPS = 50
"""As many as the page shows at first."""
MAX_GROUPS = 500
"""On six models a megabyte of JSON."""
MAX_CALLS = 300_000
"""Of one comparison: each call is priced on each model, a second or so for a hundred thousand of them on six models."""
BY = ("agent", "feature", "model", "customer", "team")
_MODELS = comma_list("models", "Models to compare with, also as provider/model; without it some are chosen", MAX_MODELS)
MODELS: Parameter[tuple[str, ...]] = Parameter(
    _MODELS.name, _MODELS.summary, _MODELS.schema, (), _MODELS.read, repeated=True
)
GROUP_BY = choice("by", "One row for each value of", BY, None)
LIMIT = whole("limit", "Groups at most, the dearest; `other` has the rest", GROUPS, 1, MAX_GROUPS)
_MOST = whole("most", "Price about so many calls; of more, one in `every` so many", MAX_CALLS, 1, MAX_CALLS)
_MOST_SCHEMA = {name: value for name, value in _MOST.schema.items() if name != "default"}
MOST: Parameter[int | None] = Parameter(_MOST.name, _MOST.summary, _MOST_SCHEMA, None, _MOST.read)
BENCHMARK = choice("benchmark", "Show what models score in it, where their provider says so", benchmarks(), None)
MIN_SCORE = share("min_score", "Only models that score so much in that benchmark, in per cent; unknown is never enough")
PARAMETERS: tuple[Parameter[Any], ...] = (MODELS, GROUP_BY, LIMIT, MOST, BENCHMARK, MIN_SCORE, *selected.PARAMETERS)


class TooManyCalls(Exception):
    """More than `MAX_CALLS`, and all of them are to be priced."""


class UnknownModel(Exception):
    """The card has no price for one; `nearest` are names that look alike."""

    def __init__(self, name: str, nearest: str) -> None:
        super().__init__(name)
        self.nearest = nearest


class Scores(NamedTuple):
    """What was wanted of models in a benchmark, what became of them, and what is known of each."""

    wanted: Wanted
    screened: Screened
    of: Mapping[Target, Score]


class Compared(NamedTuple):
    """A comparison, with what was left out of it: reason -> calls and their cost. Beside each model its context
    window."""

    found: Comparison
    targets: Mapping[Target, int | None]
    card: str
    left_out: Mapping[str, tuple[int, Decimal]]
    partial_calls: int
    estimated_calls: int
    calls: int
    every: int
    """One call in so many is priced: `found` is of those, all else of all of them."""
    scores: Scores | None = None


Compare = Callable[[Selection, tuple[str, ...], str | None, int | None, Wanted | None], Compared]
"""In a thread: the calls of a selection, on some models, by a name, how many to price at most (None: every one), and
what models must score.

Raises TooManyCalls, UnknownModel, CollectorError.
"""


@dataclass(frozen=True, slots=True)
class OnModel:
    """What calls would cost on a model: exactly, or from one amount to another where it counts tokens otherwise.

    Amounts are null where it has a price for none of the calls, differences where it has not for all of them. Calls
    that are too long do not fit its context window.
    """

    provider: str
    model: str
    cheapest: bool
    complete: bool
    exact: bool
    low_usd: Decimal | None
    high_usd: Decimal | None
    difference_low_usd: Decimal | None
    difference_high_usd: Decimal | None
    unpriced_calls: int
    partial_calls: int
    billed_as_parent_calls: int
    variant_not_priced_calls: int
    too_long_calls: int


@dataclass(frozen=True, slots=True)
class ComparedGroup:
    """Calls of one value (null: none; of the total, too), as they were made and on each model."""

    value: str | None
    calls: int
    cost_usd: Decimal
    cheapest: str | None
    cheapest_is_certain: bool
    models: tuple[OnModel, ...]


@dataclass(frozen=True, slots=True)
class ComparedOther:
    """All `groups` that are not listed, as one: listed groups and this add up to the total, to the pico-dollar."""

    groups: int
    calls: int
    cost_usd: Decimal
    cheapest: str | None
    cheapest_is_certain: bool
    models: tuple[OnModel, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Calls that cannot be compared; `cost_usd` null: not known."""

    reason: str
    calls: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """A model that is compared with, how it cuts texts into tokens, and how many of them it takes (null: not known).

    `score`: the lowest that its provider says of it in the benchmark; null: none was asked for, or it is not known."""

    provider: str
    model: str
    tokenizer: str
    tokenizer_source: str
    context_window_tokens: int | None
    score: Score | None


@dataclass(frozen=True, slots=True)
class NotGoodEnough:
    """A model that was left out; `score` null: not known, which is never enough."""

    provider: str
    model: str
    score: Score | None


@dataclass(frozen=True, slots=True)
class BenchmarkShown:
    """What models had to score (null: anything), and those that do not: of the ones that were asked for, or that could
    have been chosen."""

    name: str
    min_score: float | None
    below_models: int
    unknown_models: int
    left_out: tuple[NotGoodEnough, ...]


@dataclass(frozen=True, slots=True)
class ComparisonShown:
    """The same calls on other models; groups are the dearest, `other` the rest (null: there is none). `benchmarks` are
    all that may be asked for.

    Of the `calls` some have a price for a part only, or estimated tokens. Total and groups are
    of one in `every` so many of them, 1: of all."""

    selection: SelectionShown
    by: str | None
    card: str
    benchmark: BenchmarkShown | None
    benchmarks: tuple[str, ...]
    models: tuple[ComparedModel, ...]
    total: ComparedGroup
    groups: tuple[ComparedGroup, ...]
    other: ComparedOther | None
    calls: int
    every: int
    partial_calls: int
    estimated_calls: int
    left_out: tuple[LeftOut, ...]


def compare_path(viewer: Viewer, compare: Compare) -> Path:
    """`GET /compare`. One comparison at a time."""
    threads = ThreadPoolExecutor(1, "otel-cost-compare")

    async def compared(request: Request) -> Response:
        asked = viewer.read(request, PARAMETERS)
        by, wanted = asked[GROUP_BY], _wanted(asked)
        loop = asyncio.get_running_loop()
        try:
            what = asked.selection, asked[MODELS], by, asked[MOST], wanted
            answer = await loop.run_in_executor(threads, compare, *what)
        except UnknownModel as error:
            raise invalid(f"the card has no price for {error}", where="models", allowed=error.nearest) from None
        except TooManyCalls as error:
            allowed = f"{MAX_CALLS} calls at most, or a part of them with `most`"
            raise invalid(f"{error} calls are too many", where="since", allowed=allowed) from None
        except CollectorError as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error)) from None
        return json_response(request, as_json(_shown(answer, by, asked[LIMIT], shown(asked.selection))))

    summary = "the same calls on other models, and which of them is the cheapest"
    return Path(
        *("GET", "/compare", Role.VIEWER, compared, summary),
        parameters=PARAMETERS,
        takes_attributes=True,
        returns=Returns(ComparisonShown),
    )


def _wanted(asked: Asked) -> Wanted | None:
    benchmark, least = asked[BENCHMARK], asked[MIN_SCORE]
    if benchmark is None and least is not None:
        raise invalid("needs a benchmark", where="min_score", allowed=", ".join(benchmarks()))
    return None if benchmark is None else Wanted(benchmark, least)


def _shown(answer: Compared, by: str | None, limit: int, selection: SelectionShown) -> ComparisonShown:
    left_out = (
        LeftOut(reason, calls, None if reason == "unpriced" else cost)
        for reason, (calls, cost) in answer.left_out.items()
    )
    groups = answer.found.groups if by else ()
    return ComparisonShown(
        selection=selection,
        by=by,
        card=answer.card,
        benchmark=None if answer.scores is None else _benchmark(answer.scores),
        benchmarks=benchmarks(),
        models=tuple(_model(target, window, answer.scores) for target, window in answer.targets.items()),
        total=_group(answer.found.total, answer.targets),
        groups=tuple(_group(group, answer.targets) for group in groups[:limit]),
        other=_other(groups[limit:], answer.targets),
        calls=answer.calls,
        every=answer.every,
        partial_calls=answer.partial_calls,
        estimated_calls=answer.estimated_calls,
        left_out=tuple(left_out),
    )


def _model(target: Target, window_tokens: int | None, scores: Scores | None) -> ComparedModel:
    family = family_of(target.model)
    score = scores.of.get(target) if scores else None
    return ComparedModel(target.provider, target.model, family.name, family.source, window_tokens, score)


def _benchmark(scores: Scores) -> BenchmarkShown:
    below, unknown = scores.screened.below, scores.screened.unknown
    left_out = (NotGoodEnough(target.provider, target.model, scores.of.get(target)) for target in (*below, *unknown))
    return BenchmarkShown(scores.wanted.benchmark, scores.wanted.least, len(below), len(unknown), tuple(left_out))


def _group(group: Group, targets: Iterable[Target]) -> ComparedGroup:
    cheapest = group.cheapest
    models = tuple(_on(group, target, is_cheapest=target == cheapest) for target in targets)
    return ComparedGroup(
        group.value,
        group.calls,
        _usd(group.cost_pico_usd),
        cheapest.model if cheapest else None,
        group.cheapest_is_certain,
        models,
    )


def _other(groups: Sequence[Group], targets: Mapping[Target, int | None]) -> ComparedOther | None:
    if not groups:
        return None
    rest = _group(together(groups, targets), targets)
    return ComparedOther(len(groups), rest.calls, rest.cost_usd, rest.cheapest, rest.cheapest_is_certain, rest.models)


def _on(group: Group, target: Target, *, is_cheapest: bool) -> OnModel:
    amounts, difference = group.models[target], group.difference(target)
    is_priced = group.calls > amounts.unpriced_calls
    low, high = (None, None) if difference is None else (_usd(difference[0]), _usd(difference[1]))
    return OnModel(
        target.provider,
        target.model,
        is_cheapest,
        amounts.complete,
        amounts.exact and amounts.complete,
        _usd(amounts.low_pico_usd) if is_priced else None,
        _usd(amounts.high_pico_usd) if is_priced else None,
        low,
        high,
        amounts.unpriced_calls,
        amounts.partial_calls,
        amounts.fallback_calls,
        amounts.variant_calls,
        amounts.too_long_calls,
    )


def _usd(amount_pico_usd: int) -> Decimal:
    return Decimal(amount_pico_usd) / PICO_PER_USD
