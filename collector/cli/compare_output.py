"""A comparison for people, and the same for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from collector.analysis.compare import Amounts, Comparison, Group
from collector.analysis.compare_models import Target
from collector.analysis.compare_tokens import family_of, ratio
from collector.cli.amounts import count, decimals_for, exact, percent, usd
from collector.cli.amounts import ratio as share_of
from collector.cli.compare_scored import Scores, json_scores, score_columns, score_notes
from collector.cli.table import Column, print_table, printable
from collector.cli.window import Window
from collector.comparing import Usage, window_of
from otel_cost.pricing.money import PPM

CHEAPEST = "*"


def print_comparison(
    out: Console,
    found: Comparison,
    usage: Usage,
    by: str | None,
    window: Window,
    limit: int,
    scores: Scores | None = None,
) -> None:
    """All models over all calls; then, with `by`, the models over each group; then what the figures do not say."""
    total = found.total
    out.print(Text(f"The same {count(total.calls)} calls on other models, {window.describe()}", style="bold"))
    ranked = sorted(total.models, key=lambda model: (not total.models[model].complete, total.models[model].order))
    _print_total(out, total, ranked, scores)
    if by is not None:
        out.print(Text(f"By {by}", style="bold"))
        _print_groups(out, found.groups[:limit], ranked, by)
        if len(found.groups) > limit:
            out.print(Text(f"{len(found.groups) - limit:,} more rows; --limit shows them", style="dim"))
    for note in (*_notes(found, usage), *score_notes(scores)):
        out.print(Text(note, style="yellow"))


def _print_total(out: Console, total: Group, ranked: Sequence[Target], scores: Scores | None) -> None:
    amounts = [total.models[model] for model in ranked]
    decimals = _decimals([total])
    differences = [_difference(total, model, decimals) for model in ranked]
    used = usd(_usd(total.cost_pico_usd), decimals)
    names = [_marked(printable(model.model), model == total.cheapest) for model in ranked]
    print_table(
        out,
        [
            Column("model", names, ("as used",), left=True),
            Column("provider", [model.provider for model in ranked], ("",), 2, left=True, least=8),
            Column("cost", [_cost(each, decimals) for each in amounts], (used,)),
            Column("difference", differences, ("",), 1),
            Column("of used", [_share(total, model) for model in ranked], ("",), 1),
            *score_columns(scores, ranked),
            Column("unpriced", [_some(each.unpriced_calls) for each in amounts], ("-",), 3),
            Column("in part", [_some(each.partial_calls) for each in amounts], ("-",), 4),
            Column("too long", [_some(each.too_long_calls) for each in amounts], ("-",), 5),
        ],
    )


def _print_groups(out: Console, groups: Sequence[Group], ranked: Sequence[Target], by: str) -> None:
    decimals = _decimals(groups)
    names = [printable(group.value) if group.value is not None else f"(no {by})" for group in groups]
    columns = [
        Column(by, names, left=True),
        Column("calls", [count(group.calls) for group in groups], (), 9),
        Column("as used", [usd(_usd(group.cost_pico_usd), decimals) for group in groups]),
    ]
    for rank, model in enumerate(ranked, 1):
        cells = [_marked(_cost(group.models[model], decimals), group.cheapest == model) for group in groups]
        columns.append(Column(printable(model.model), cells, (), rank))
    print_table(out, columns)


def _marked(text: str, cheapest: bool) -> str:
    return f"{text} {CHEAPEST}" if cheapest else text


def _usd(pico_usd: int) -> Decimal:
    return Decimal(pico_usd).scaleb(-12) if pico_usd else Decimal(0)


def _decimals(groups: Sequence[Group]) -> int:
    amounts = [_usd(group.cost_pico_usd) for group in groups]
    return decimals_for(amounts + [_usd(each.low_pico_usd) for group in groups for each in group.models.values()])


def _cost(amounts: Amounts, decimals: int) -> str:
    """A cost, a range of it, at least so much where a part has no price; never 0 for what has none."""
    if not amounts.complete:
        return f"≥ {usd(_usd(amounts.low_pico_usd), decimals)}" if amounts.high_pico_usd else "unpriced"
    return _range(amounts.low_pico_usd, amounts.high_pico_usd, decimals)


def _range(low: int, high: int, decimals: int) -> str:
    first, last = usd(_usd(low), decimals), usd(_usd(high), decimals)
    return first if first == last else f"{first} to {last}"


def _difference(group: Group, model: Target, decimals: int) -> str:
    found = group.difference(model)
    return "-" if found is None else _range(*found, decimals)


def _share(group: Group, model: Target) -> str:
    amounts, used = group.models[model], _usd(group.cost_pico_usd)
    if not amounts.complete:
        return "-"
    low, high = (percent(share_of(_usd(end), used), 0) for end in (amounts.low_pico_usd, amounts.high_pico_usd))
    return low if low == high else f"{low} to {high}"


def _some(number: int) -> str:
    return count(number) if number else "-"


def _notes(found: Comparison, usage: Usage) -> list[str]:
    total = found.total
    notes = [f"{CHEAPEST} the cheapest" + ("" if total.cheapest_is_certain else ", by the middle of its range")]
    if not total.models:
        notes = ["no model is left to compare with"]
    if any(not each.exact for each in total.models.values()):
        notes.append(
            "ranges: these models cut text into other tokens (docs/compare.md); the same tokens cost one amount"
        )
    if any(each.variant_calls for each in total.models.values()):
        notes.append(
            "some models have no price for the tier or region that was asked for: their standard price is shown"
        )
    if any(each.too_long_calls for each in total.models.values()):
        notes.append("too long: calls that do not fit the context window of that model, which is never the cheapest")
    if usage.partial_calls:
        notes.append(f"{count(usage.partial_calls)} calls were themselves priced in part: they cost more than shown")
    if usage.estimated_calls:
        notes.append(f"{count(usage.estimated_calls)} calls have estimated tokens")
    for reason, (calls, cost) in usage.left_out.items():
        paid = f", {usd(cost, decimals_for([cost]))}" if cost else ""
        notes.append(f"+ {count(calls)} calls left out: {reason}{paid}")
    return notes


def as_json(
    found: Comparison,
    usage: Usage,
    targets: Sequence[Target],
    by: str | None,
    window: Window,
    card: str,
    scores: Scores | None = None,
) -> dict[str, Any]:
    """The documented shape (docs/compare.md): money as decimal text, counts as numbers, unknown as null."""
    used = [each.model for each in usage.used]
    return {
        "by": by,
        "since": window.since.isoformat() if window.since else None,
        "until": window.until.isoformat() if window.until else None,
        "card": card,
        "benchmark": json_scores(scores),
        "models": [
            _json_target(target, used) | {"score": None if scores is None else scores.of(target)} for target in targets
        ],
        "total": _json_group(found.total, targets),
        "groups": [] if by is None else [{"value": each.value, **_json_group(each, targets)} for each in found.groups],
        "partial_calls": usage.partial_calls,
        "estimated_calls": usage.estimated_calls,
        "left_out": [
            {"reason": reason, "calls": calls, "cost_usd": None if reason == "unpriced" else exact(cost)}
            for reason, (calls, cost) in usage.left_out.items()
        ],
    }


def _json_target(target: Target, used: Sequence[str | None]) -> dict[str, Any]:
    other = family_of(target.model)
    tokens = []
    for model in dict.fromkeys(model for model in used if model is not None and model != target.model):
        least, most = ratio(family_of(model), other)
        tokens.append({"of": model, "least": _factor(least), "most": _factor(most)})
    return {
        "provider": target.provider,
        "model": target.model,
        "tokenizer": other.name,
        "tokenizer_source": other.source,
        "tokens_per_token": tokens,
        "context_window_tokens": window_of(target),
    }


def _factor(ppm: int) -> str:
    return f"{(Decimal(ppm) / PPM).normalize():f}"


def _json_group(group: Group, targets: Sequence[Target]) -> dict[str, Any]:
    cheapest = group.cheapest
    return {
        "calls": group.calls,
        "cost_usd": exact(_usd(group.cost_pico_usd)),
        "cheapest": cheapest.model if cheapest else None,
        "cheapest_is_certain": group.cheapest_is_certain,
        "models": [_json_amounts(group, target, target == cheapest) for target in targets],
    }


def _json_amounts(group: Group, target: Target, cheapest: bool) -> dict[str, Any]:
    amounts, difference = group.models[target], group.difference(target)
    low, high = difference if difference is not None else (None, None)
    priced = group.calls > amounts.unpriced_calls
    return {
        "provider": target.provider,
        "model": target.model,
        "cheapest": cheapest,
        "complete": amounts.complete,
        "exact": amounts.exact and amounts.complete,
        "low_usd": exact(_usd(amounts.low_pico_usd)) if priced else None,
        "high_usd": exact(_usd(amounts.high_pico_usd)) if priced else None,
        "difference_low_usd": None if low is None else exact(_usd(low)),
        "difference_high_usd": None if high is None else exact(_usd(high)),
        "unpriced_calls": amounts.unpriced_calls,
        "partial_calls": amounts.partial_calls,
        "billed_as_parent_calls": amounts.fallback_calls,
        "variant_not_priced_calls": amounts.variant_calls,
        "too_long_calls": amounts.too_long_calls,
    }
