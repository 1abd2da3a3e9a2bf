"""`otel-cost doctor`: is this ledger whole, and what to do if it is not; `doctor app`: are an app's calls seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli.doctor_app import command as app_command
from collector.cli.ledger import DEFAULT_LEDGER
from collector.cli.table import console, printable
from collector.compiled import library

if TYPE_CHECKING:
    from collector.store.checkup import Checkup, Copied

EXIT_PROBLEMS, EXIT_CANNOT = 1, 2

_HELP = """
Check a ledger and explain what is found. PATH is the published file; nothing is changed.

While a collector runs, the published file and the files that it names are checked; the rest is said to be unchecked.
When none runs, batches are added up against segments and every file is looked at. --deep reads every column of every
row as well, about a minute for 20 million spans.

\b
Examples:
  otel-cost doctor
  otel-cost doctor /var/lib/otel-cost/otel-cost.duckdb --deep
  otel-cost doctor --json
  otel-cost doctor app -- python app.py           # run an app and check its model calls: otel-cost doctor app --help

\b
Exit codes:
  0  healthy, also when there are warnings
  1  there are problems; each says what it means and what to do
  2  it cannot be checked: no ledger there
"""


class _Doctor(click.Group):
    """Checks a ledger, unless the first word is `app`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args[:1] in (["app"], ["ledger"]) else ["ledger", *args])


@click.group(cls=_Doctor, add_help_option=False)
def command() -> None:
    """Check a ledger, or an app."""


command.add_command(app_command)


@command.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT_LEDGER)
@click.option("--deep", is_flag=True, help="Read every column of every row; needs a stopped collector.")
@click.option("--json", "json_output", is_flag=True, help="One JSON object.")
def ledger(path: Path, deep: bool, json_output: bool) -> None:
    from collector.store.checkup import CannotCheck, examine

    try:
        checkup, copied = examine(path)
    except (CannotCheck, OSError) as error:
        click.echo(f"cannot check: {error}", err=True)
        sys.exit(EXIT_CANNOT)
    _journal(checkup, copied)
    checkup.facts["loops_in_c"] = library() is not None
    if deep:
        _deep(checkup, copied)
    elif copied is not None:
        checkup.not_checked.append("the content of the files: --deep reads it")
    if json_output:
        click.echo(json.dumps(as_json(checkup), indent=2, ensure_ascii=False))
    else:
        _print(checkup)
    sys.exit(0 if checkup.healthy else EXIT_PROBLEMS)


def _deep(checkup: Checkup, copied: Copied | None) -> None:
    if copied is None:
        checkup.not_checked.append("the content of the files: it needs the manifest")
        return
    from collector.attribute import attribute
    from collector.store.scrub import scrub

    scrub(checkup, copied, attribute)


def _journal(checkup: Checkup, copied: Copied | None) -> None:
    """What was acknowledged and waits to be applied, and requests that nothing could digest."""
    from collector.store.layout import Layout

    folder = Layout.of(checkup.path).folder
    applied = int(copied.batches[5]) if copied is not None else None
    checkup.facts["journal"] = found = _journal_facts(folder / "journal", applied)
    if found["damaged"]:
        what = f"the journal is damaged in {found['damaged']} places"
        action = f"keep a copy of {folder / 'journal'}; the next start skips the damage and reports it"
        checkup.problem(what, "acknowledged spans may be lost", action)
    if found["unapplied_records"]:
        what = f"{found['unapplied_records']} acknowledged requests wait in the journal"
        checkup.note(what, "they are safe and in no report yet", "start the collector: it applies them")
    quarantined = sorted((folder / "quarantine").glob("*.pb"))
    checkup.facts["quarantined_requests"] = len(quarantined)
    if quarantined:
        what = f"{len(quarantined)} acknowledged requests could not be digested, such as {quarantined[0]}"
        action = "read the .json beside each; load them with `otel-cost import` once a repaired version runs"
        checkup.warn(what, "their spans are in no report", action)


def _journal_facts(folder: Path, applied: int | None) -> dict[str, Any]:
    """Files, bytes, and records behind `applied` (None: the collector moves it on all the time)."""
    from collector.journal.disk import read_file
    from collector.journal.logfile import files_in, named
    from collector.journal.record import Found, scan

    files = files_in(folder) if folder.is_dir() else []
    size_bytes = sum(path.stat().st_size for path in files)
    facts: dict[str, Any] = {"files": len(files), "bytes": size_bytes, "unapplied_records": None, "damaged": 0}
    if applied is None:
        return facts
    unapplied = 0
    for path in files:
        for part in scan(read_file(path)[0], named(path)[1]):
            if isinstance(part, Found):
                unapplied += part.number > applied
            elif not part.tail:
                facts["damaged"] += 1
    return facts | {"unapplied_records": unapplied}


def as_json(checkup: Checkup) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "ledger": str(checkup.path),
        "healthy": checkup.healthy,
        "collector_runs": checkup.running,
        "findings": [asdict(finding) for finding in checkup.findings],
        "checked": checkup.checked,
        "not_checked": checkup.not_checked,
        **checkup.facts,
    }


def _print(checkup: Checkup) -> None:
    out = console()
    state = "healthy" if checkup.healthy else "has problems"
    lines = [f"{checkup.path}: {state}" + ("; a collector is running" if checkup.running else "")]
    lines += _summary(checkup.facts)
    for finding in checkup.findings:
        lines += [
            "",
            f"{finding.severity}: {finding.what}",
            f"  means  {finding.meaning}",
            f"  do     {finding.action}",
        ]
    lines += ["", *(f"checked      {what}" for what in checkup.checked)]
    lines += [f"not checked  {what}" for what in checkup.not_checked]
    for line in lines:
        out.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _summary(facts: dict[str, Any]) -> Iterable[str]:
    if published := facts.get("published"):
        yield (
            f"  published  {published['at']}  {published['spans']:,} spans, {published['calls']:,} calls, "
            f"{published['cost_usd']} USD, {published['unpriced_calls']:,} without a price"
        )
        shares = ", ".join(f"{each['org_id']} {each['spans']:,}" for each in published["largest_organizations"])
        yield f"  largest    {shares or 'no spans yet'}"
    if ledger := facts.get("manifest"):
        tiers = ", ".join(f"{count} of tier {tier}" for tier, count in ledger["segments_by_tier"].items())
        yield f"  files      {ledger['segments']} ({tiers or 'none'}), {ledger['archived_segments']} archived"
        yield f"  verdicts   {ledger['amendments']:,} wait to be merged into their rows"
    if room := facts.get("space"):
        sizes = (f"{name.removesuffix('_bytes')} {_size(value)}" for name, value in room.items())
        yield f"  space      {', '.join(sizes)}"
    journal = facts["journal"]
    yield f"  journal    {journal['files']} files, {_size(journal['bytes'])}"


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
