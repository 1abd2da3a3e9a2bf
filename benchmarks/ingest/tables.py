"""Medians and ranges over rounds as tables, for a terminal or for a page."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.ingest import loads, report
from benchmarks.ingest.report import Results
from benchmarks.ingest.systems import SYSTEMS, Rotel
from benchmarks.ingest.targets import Target, targets
from benchmarks.ingest.trials import Cost

Table = Callable[[Sequence[str], Sequence[Sequence[str]]], list[str]]


def _middle(values: Sequence[float], digits: int = 1) -> str:
    """`median [least - most]`."""
    if not values:
        return "-"
    low, high = min(values), max(values)
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} [{low:,.{digits}f}-{high:,.{digits}f}]"


def plain(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, for a terminal."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, for a page."""
    return ["", *("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))]


def _load_table(results: Results, load: str, table: Table) -> list[str]:
    rows = []
    for system in results.rounds:
        if not report.values(results, system, load, lambda cost: cost.cpu_seconds):
            continue
        row = [SYSTEMS[system].title]
        for title, of in report.COLUMNS.items():
            row.append(_middle(report.values(results, system, load, of), 0 if title == "spans/s" else 1))
        row.append(_middle(report.ratios(results, system, Rotel.name, load), 2))
        row.append(
            _middle(report.values(results, system, load, lambda cost: cost.queryable_seconds or 0.0))
            if report.keeps(results, system)
            else "never"
        )
        row.append(
            _middle(
                report.values(results, system, load, _generator_percent),
                0,
            )
        )
        rows.append(row)
    head = ["", *report.COLUMNS, "CPU / rotel's", "queryable after s", "generator CPU %"]
    return [loads.TITLES[load], *table(head, rows), ""] if rows else []


def _generator_percent(cost: Cost) -> float:
    return cost.load.cpu_seconds / cost.load.wall_seconds * 100


def _footprint_table(results: Results, table: Table) -> list[str]:
    rows = []
    for system, rounds in results.rounds.items():
        prints = [one.footprint for one in rounds]
        keeps = report.keeps(results, system)
        trials = results.kills.get(system, [])
        rows.append(
            [
                SYSTEMS[system].title,
                _middle([one.peak_rss_bytes / report.MIB for one in prints], 0),
                _middle([one.running_disk_bytes / one.spans for one in prints], 0) if keeps else "-",
                _middle([one.stopped_disk_bytes / one.spans for one in prints], 0) if keeps else "-",
                f"{report.missing_spans(results, system):,}" if keeps else "keeps none",
                ", ".join(f"{lost:,} of {acked:,}" for acked, lost in trials) or "-",
            ]
        )
    head = ["", "peak RSS MiB", "disk B/span running", "disk B/span stopped", "acked, not stored", "lost after kill -9"]
    return table(head, rows)


def text(results: Results, table: Table = plain) -> str:
    """Everything, for people."""
    out = ["  ".join(f"{name}: {value}" for name, value in report.machine().items())]
    out += ["  ".join(f"{name} {number}" for name, number in results.versions.items())]
    out += [f"skipped: {name}: {why}" for name, why in results.skipped.items()]
    rounds = max((len(one) for one in results.rounds.values()), default=0)
    out += [
        f"medians [ranges] of {rounds} interleaved rounds; network {'cut off' if results.offline else 'reachable'}",
        "",
    ]
    for load in loads.TITLES:
        out += _load_table(results, load, table)
    out += [*_footprint_table(results, table), ""]
    return "\n".join([*out, *target_table(targets(results), table, is_judged=not results.quick)])


def target_table(found: Sequence[Target], table: Table = plain, *, is_judged: bool = True) -> list[str]:
    """Lines that say which targets are held; of a run in which starting up is most of the cost, none is judged."""
    said: dict[bool | None, str] = {None: "not measured"}
    if is_judged:
        said |= {True: "held", False: "MISSED"}
    rows = [
        [
            one.text,
            "-" if one.value is None else f"{one.value:,.2f}",
            f"{'<=' if one.at_most else '>='} {one.limit:,g}",
            said.get(one.held, "too short to tell"),
        ]
        for one in found
    ]
    return table(["target", "measured", "asked", ""], rows)
