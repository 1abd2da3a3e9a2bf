"""A report for people, and the same for scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from collector.cli.amounts import count, decimals_for, exact, percent, ratio, short_count, usd
from collector.cli.ledger import HOW_TO_SEND, Ledger
from collector.cli.report import AS_BILLED, CURRENT, TIMES, Report, Row, Selection, extent
from collector.cli.table import Column, print_table, printable
from collector.questions.measures import Measures

AGENTS_WIDTH = 24
_NOT_IN_REPORTS = ("failed_calls",)


def print_report(out: Console, report: Report, selection: Selection) -> None:
    """The table, its totals, and what the totals do not hold."""
    title = Text(f"Cost by {printable(report.by)}, {selection.window.describe()}", style="bold")
    for key, wanted in selection.where:
        title.append(f", {printable(key)}={printable(wanted)}")
    if selection.prices == AS_BILLED:
        title.append(", as billed")
    out.print(title)
    print_table(out, _columns(report))
    for note in _notes(report, selection):
        out.print(Text(note, style="yellow"))


def _notes(report: Report, selection: Selection) -> list[str]:
    total = report.total
    notes = []
    if total.unpriced_calls:
        notes.append(
            f"+ {_calls(total.unpriced_calls)} unpriced: not in these amounts, and not free\n"
            '  otel-cost sql "SELECT * FROM unpriced"   # says why'
        )
    if total.partial_calls:
        notes.append(f"{_calls(total.partial_calls)} priced in part: a class of their tokens has no rate")
    if total.estimated_calls:
        amount = usd(total.estimated_cost_usd, decimals_for([total.estimated_cost_usd]))
        notes.append(f"{_calls(total.estimated_calls)} with estimated tokens: {amount} of this")
    if total.reported_calls:
        notes.append(f"{_calls(total.reported_calls)} at the cost that the provider or the span reported")
    if report.price_runs and selection.prices == CURRENT:
        runs = "a price run" if report.price_runs == 1 else f"{report.price_runs} price runs"
        notes.append(f"prices are those after {runs}; --prices as-billed shows those of when the calls arrived")
    return notes


def _calls(number: int) -> str:
    return f"{count(number)} call{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _Money:
    """A column of amounts: all with the same decimals."""

    title: str
    rank: int
    amount: Callable[[Measures], Decimal | None]
    dash_for_zero: bool = False

    def column(self, shown: Sequence[Measures], footer: Sequence[Measures]) -> Column:
        amounts = [self.amount(each) for each in (*shown, *footer)]
        decimals = decimals_for(amounts)
        texts = [self._text(each, amount, decimals) for each, amount in zip((*shown, *footer), amounts, strict=True)]
        return Column(self.title, texts[: len(shown)], texts[len(shown) :], self.rank)

    def _text(self, measures: Measures, amount: Decimal | None, decimals: int) -> str:
        if amount is None or (self.dash_for_zero and not amount):
            return "-"
        if measures.calls and measures.unpriced_calls == measures.calls:
            return "unpriced"
        return usd(amount, decimals)


@dataclass(frozen=True, slots=True)
class _Count:
    """A column of numbers."""

    title: str
    rank: int
    number: Callable[[Measures], int | None]
    dash_for_zero: bool = False

    def column(self, shown: Sequence[Measures], footer: Sequence[Measures]) -> Column:
        def text(measures: Measures) -> str:
            number = self.number(measures)
            return "-" if self.dash_for_zero and not number else short_count(number)

        return Column(self.title, [text(each) for each in shown], [text(each) for each in footer], self.rank)


def _per_execution(measures: Measures) -> Decimal | None:
    return ratio(measures.cost_usd, Decimal(measures.executions)) if measures.executions else None


def _per_1k_useful(measures: Measures) -> Decimal | None:
    useful_tokens = measures.useful_output_tokens
    return ratio(measures.cost_usd * 1000, Decimal(useful_tokens)) if useful_tokens else None


_COST = _Money("cost", 0, lambda each: each.cost_usd)
_AFTER_SHARE = (
    _Count("calls", 1, lambda each: each.calls),
    _Count("unpriced", 2, lambda each: each.unpriced_calls, dash_for_zero=True),
)
_OF_AGENTS = (
    _Count("runs", 3, lambda each: each.executions),
    _Money("per run", 3, _per_execution),
    _Money("per 1k useful", 3, _per_1k_useful),
)
_TOKENS = (
    _Count("in", 5, lambda each: each.input_tokens),
    _Count("out", 5, lambda each: each.output_tokens),
    _Money("retry cost", 4, lambda each: each.retry_cost_usd, dash_for_zero=True),
    _Count("cache read", 7, lambda each: each.cache_read_tokens, dash_for_zero=True),
    _Count("cache write", 8, lambda each: each.cache_write_tokens, dash_for_zero=True),
    _Count("reasoning", 9, lambda each: each.reasoning_tokens, dash_for_zero=True),
)


def _columns(report: Report) -> list[Column]:
    shown = [row.measures for row in report.rows] + ([report.other] if report.other else [])
    footer = [report.total]
    names = [_name(report.by, row.value) for row in report.rows]
    if report.other:
        names.append(f"other ({report.other_groups:,} more)")
    columns = [Column(report.by, names, ["total"], left=True), _COST.column(shown, footer)]
    if report.by not in TIMES:
        shares = [_share(each, report.total) for each in shown]
        columns.append(Column("share", shares, [percent(Decimal(1) if report.total.cost_usd else None)], 1))
    columns += [figure.column(shown, footer) for figure in _AFTER_SHARE]
    if report.by == "run":
        agents = [_agents(row) for row in report.rows] + [""] * bool(report.other)
        columns.append(Column("agents", agents, [""], 1, left=True, least=AGENTS_WIDTH))
    if report.by == "agent":
        columns += [figure.column(shown, footer) for figure in _OF_AGENTS]
    return columns + [figure.column(shown, footer) for figure in _TOKENS]


def _share(measures: Measures, total: Measures) -> str:
    if measures.unpriced_calls == measures.calls:
        return "-"
    return percent(ratio(measures.cost_usd, total.cost_usd))


def _name(by: str, value: str | None) -> str:
    return printable(value) if value is not None else f"(no {printable(by)})"


def _agents(row: Row) -> str:
    parts = []
    for share in row.agents:
        part = percent(ratio(share.cost_usd, row.measures.cost_usd), decimals=0)
        parts.append(f"{_name('agent', share.agent)} {part}")
    return ", ".join(parts)


def explain_nothing(ledger: Ledger, selection: Selection) -> str:
    """Why a report has no rows, and what to do about it."""
    there = extent(ledger)
    if not there["spans"]:
        return f"{ledger.path} holds no spans yet.\n{HOW_TO_SEND}"
    if not there["calls"]:
        return (
            f"{ledger.path} holds {count(there['spans'])} spans, none of them a model call. Is a GenAI instrumentation "
            "active in the app?\n  pip install opentelemetry-instrumentation-genai-openai   # and its siblings"
        )
    matching = " that match" if selection.where else ""
    return (
        f"No calls{matching} {selection.window.describe()}. The ledger holds {count(there['calls'])} calls, "
        f"{there['first_call']:%Y-%m-%d %H:%M} to {there['last_call']:%Y-%m-%d %H:%M} UTC: try --since all."
    )


def as_json(report: Report, selection: Selection, as_of: Mapping[str, Any]) -> dict[str, Any]:
    """The documented shape (docs/cli.md): money and shares as decimal text, counts as numbers, unknown as null."""
    since, until = selection.window.since, selection.window.until
    shown: dict[str, Any] = {
        "by": report.by,
        "since": since.isoformat() if since else None,
        "until": until.isoformat() if until else None,
        "time_zone": selection.window.zone.key,
        "prices": selection.prices,
        "price_runs": report.price_runs,
        "where": [{"key": key, "value": wanted} for key, wanted in selection.where],
        **as_of,
        "rows": [_json_row(report, row) for row in report.rows],
        "other": None,
        "total": _json_measures(report.total, report.total),
    }
    if report.other:
        shown["other"] = {"groups": report.other_groups, **_json_measures(report.other, report.total)}
    return shown


def _json_row(report: Report, row: Row) -> dict[str, Any]:
    shown = {"value": row.value, **_json_measures(row.measures, report.total)}
    if report.by == "run":
        shown["agents"] = [
            {
                "agent": share.agent,
                "cost_usd": exact(share.cost_usd),
                "share": _text(ratio(share.cost_usd, row.measures.cost_usd)),
                "unpriced_calls": share.unpriced_calls,
            }
            for share in row.agents
        ]
    return shown


def _json_measures(measures: Measures, total: Measures) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field in fields(Measures):
        if field.name in _NOT_IN_REPORTS:
            continue
        figure = getattr(measures, field.name)
        shown[field.name] = exact(figure) if isinstance(figure, Decimal) else figure
    shown["share"] = _text(ratio(measures.cost_usd, total.cost_usd))
    shown["cost_per_execution_usd"] = _text(_per_execution(measures))
    shown["cost_per_1k_useful_output_tokens_usd"] = _text(_per_1k_useful(measures))
    return shown


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else exact(amount)
