"""What the ledger's calls cost, grouped: from the options of a report to a question, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from collector.cli.window import Window
from collector.questions import selection as asked
from collector.questions.breakdown import Grouping, breakdown
from collector.questions.measures import Measures
from collector.questions.runs import AgentShare, described
from collector.questions.scope import ATTRIBUTE, Scope
from collector.questions.selection import Ask, Filter
from collector.store.statements import query as statement
from otel_cost.attributes import OTEL_COST_TAG_PREFIX
from otel_cost.call import DIMENSIONS

CALL_DIMENSIONS = (*DIMENSIONS, "provider", "model", "operation")
TIMES = ("day", "hour")
CURRENT, AS_BILLED = "current", "as-billed"
PRICES = (CURRENT, AS_BILLED)
"""Those of the last price run, or those of when the calls arrived."""
_PRICE_RUNS_SINCE = 3  # schema version


@dataclass(frozen=True, slots=True)
class Row:
    """One group; `value` None: the calls that have no such value."""

    value: str | None
    measures: Measures
    agents: tuple[AgentShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by cost (by time: newest first); rows and `other` together are exactly `total`."""

    by: str
    rows: tuple[Row, ...]
    other: Measures | None
    other_groups: int
    total: Measures
    price_runs: int = 0
    """Those in force: what calls cost now may differ from what they cost when they arrived."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls, grouped by what, and how many groups."""

    by: str
    window: Window
    where: tuple[tuple[str, str], ...]
    limit: int
    prices: str = CURRENT

    @property
    def by_attribute(self) -> bool:
        """Whether `by` is none of the ledger's own columns."""
        return self.by not in (*CALL_DIMENSIONS, *TIMES)

    def calls(self) -> asked.Selection:
        """The calls that are meant, of every organisation."""
        window = asked.Window(self.window.since, self.window.until, self.window.zone)
        filters = tuple(Filter(_name(key), (wanted,)) for key, wanted in self.where)
        return asked.Selection(None, window, filters, as_billed=self.prices == AS_BILLED)


def build(ask: Ask, selection: Selection) -> Report:
    """Ask the ledger. An empty ledger gives no rows and a total of nothing."""
    calls = selection.calls()
    found = breakdown(ask, calls, Grouping((_name(selection.by),), selection.limit, executions=True))
    shares = {}
    if selection.by == "run":
        runs = [row.key[0] for row in found.rows if row.key[0] is not None]
        shares = {run: one.agents for run, one in described(Scope(ask, calls), runs).items()}
    rows = tuple(Row(row.key[0], row.measures, shares.get(row.key[0] or "", ())) for row in found.rows)
    other = None if found.other is None else found.other.measures
    return Report(selection.by, rows, other, found.groups - len(rows), found.total, _price_runs(ask))


def _name(key: str) -> str:
    """What a question calls it: whatever is no dimension of a report is an attribute."""
    return key if key in (*CALL_DIMENSIONS, *TIMES) else ATTRIBUTE + key


def _price_runs(ask: Ask) -> int:
    """None where the file was published by a version that did not know them."""
    version = ask(statement("report_schema_version"), {}).column(0)[0].as_py()
    if version < _PRICE_RUNS_SINCE:
        return 0
    return int(ask(statement("report_price_runs"), {}).column(0)[0].as_py())


def attribute_keys(ask: Ask) -> list[str]:
    """Keys that calls carry, most frequent first; free tags under the name that the app gave them."""
    keys = ask(statement("report_keys"), {}).column("key").to_pylist()
    return [str(key).removeprefix(OTEL_COST_TAG_PREFIX) for key in keys]


def extent(ask: Ask) -> dict[str, Any]:
    """How much there is at all: `spans`, `calls`, `first_call`, `last_call`."""
    line: dict[str, Any] = ask(statement("report_extent"), {}).to_pylist()[0]
    return line
