"""`otel-cost import`: files of spans into the ledger, without a collector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collector.cli import EXIT_INTERRUPTED
from collector.cli.amounts import count
from collector.cli.ledger import db_option
from collector.cli.table import console, printable
from collector.errors import StartupError, StoreUnavailable
from collector.store.errors import StoreLocked

if TYPE_CHECKING:
    from collector.cli.importing import Progress as Told
    from collector.cli.importing import Tally

PROBLEMS_SHOWN = 20


@click.command(name="import", short_help="load OTLP files into the ledger; needs no running collector")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@db_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="A collector's config, whose processors.cost holds: contract prices, estimates.",
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object with what was stored and what was refused.")
def command(files: tuple[Path, ...], db: Path, config_file: Path | None, json_output: bool) -> None:
    """Load spans from files: OTLP JSON (one request or an array), JSON lines, or protobuf (bare or length-delimited).

    The format is found by looking at the content; gzip is unpacked. Spans that the ledger already holds are left
    alone, so a file may be loaded again. What cannot be read is listed with its place, and everything else is stored;
    the exit code is 1 if anything was refused.

    \b
    Examples:
      otel-cost import traces.json
      otel-cost import exported/*.jsonl.gz --db costs.duckdb
      otel-cost import traces.binpb --json

    \b
    Exit codes:
      0  everything is stored
      1  something was refused, or the ledger cannot be opened
      2  no such file, or a wrong config
    """
    from collector.cli.held_cards import config_of
    from collector.cli.importing import Importer  # the whole pipeline, which --help does not need

    config = config_of(config_file)
    importer = Importer(db, config.overrides, estimates=config.estimate)
    try:
        importer.start()
    except StoreLocked as error:
        raise click.ClickException(
            f"{error}\nWhile a collector runs, send the spans to it over OTLP: a JSON request goes to\n"
            "  curl -H 'content-type: application/json' --data-binary @spans.json http://127.0.0.1:4318/v1/traces"
        ) from None
    except (StartupError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None
    try:
        with _progress() as told:
            for file in files:
                importer.take(file, told)
    except StoreUnavailable as error:
        importer.tally.problems.append(f"stopped: {error}")
    except KeyboardInterrupt:
        importer.tally.problems.append("interrupted; what was stored stays")
        raise SystemExit(EXIT_INTERRUPTED) from None
    finally:
        importer.stop()
        _tell(importer.tally, db, json_output)
    if not importer.tally.complete:
        raise SystemExit(1)


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar per file on stderr, on a terminal only."""
    err = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bars:
        tasks = {}

        def told(path: Path, done_bytes: int, size_bytes: int) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(printable(path.name), total=size_bytes)
            bars.update(tasks[path], completed=done_bytes)

        yield told


def _tell(tally: Tally, db: Path, json_output: bool) -> None:
    """The figures on stdout; what was refused on stderr, and in the JSON."""
    if json_output:
        click.echo(json.dumps({"ledger": str(db), **asdict(tally)}, indent=2, ensure_ascii=False))
        return
    for problem in tally.problems[:PROBLEMS_SHOWN]:
        click.echo(printable(problem), err=True)
    if len(tally.problems) > PROBLEMS_SHOWN:
        click.echo(f"and {count(len(tally.problems) - PROBLEMS_SHOWN)} more (all with --json)", err=True)
    known = f", {count(tally.duplicate_spans)} already there" if tally.duplicate_spans else ""
    refused = tally.rejected_spans + tally.rejected_requests
    bad = f", {count(tally.rejected_requests)} requests and {count(tally.rejected_spans)} spans refused"
    noun = "span" if tally.stored_spans == 1 else "spans"
    click.echo(f"{count(tally.stored_spans)} {noun} stored in {db}{known}{bad if refused else ''}")
    click.echo("See them: otel-cost report --since all")
