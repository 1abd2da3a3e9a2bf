"""`otel-cost doctor app`: run an app, watch its model calls, and say what of them has no price and why."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.analysis.app_check import Finding, Process, Seen, findings, from_row
from collector.cli.amounts import decimals_for, usd
from collector.cli.table import Column, console, print_table, printable
from collector.config import Config
from collector.errors import CollectorError
from collector.store.statements import query as statement
from otel_cost import attributes as keys
from otel_cost.instrument import watch

if TYPE_CHECKING:
    from collector.config import Endpoint

EXIT_FINDINGS, EXIT_CANNOT = 1, 2
FOLDER_VARIABLE = "OTEL_COST_DOCTOR_FOLDER"
START_SECONDS = 60.0

_HELP = """
Run an app and say which of its model calls are seen, by which instrumentation, with or without usage, what has no price
and how to mend that. COMMAND is run as it is, with its own input and output; everything that it sends to OpenTelemetry
goes to a ledger that is thrown away. The app needs otel-cost in its own environment, and no change.

\b
Examples:
  otel-cost doctor app -- python app.py
  otel-cost doctor app -- uvicorn app:main        # Ctrl-C ends the app, then the report comes
  otel-cost doctor app --json -- python app.py

\b
Exit codes:
  0  every call has a price, or only advice is given
  1  something is wrong; each finding says what to do
  2  the app cannot be run
"""


@click.command(name="app", help=_HELP)
@click.option(
    "--json", "json_output", is_flag=True, help="One JSON object on stdout; what the app prints goes to stderr."
)
@click.argument("app", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(json_output: bool, app: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(prefix="otel-cost-doctor-") as scratch:
        folder = Path(scratch)
        try:
            with collecting(folder / "seen.duckdb") as endpoint:
                code = run_app(app, app_environment(os.environ, endpoint, folder), quiet=json_output)
        except (OSError, CollectorError) as error:
            click.echo(f"cannot run {app[0]}: {error}", err=True)
            sys.exit(EXIT_CANNOT)
        seen, processes = look(folder)
    found = findings(seen, processes)
    if json_output:
        click.echo(json.dumps(as_json(code, seen, processes, found), indent=2, ensure_ascii=False, default=str))
    else:
        _print(code, seen, found)
    sys.exit(EXIT_FINDINGS if any(finding.is_wrong for finding in found) else 0)


@contextmanager
def collecting(ledger: Path) -> Iterator[Endpoint]:
    """A collector in this process for as long as the context is open; gives where its HTTP receiver listens.

    Raises:
        CollectorError: it cannot start.
    """
    from collector.service import Service

    default = Config()
    assert default.http is not None
    config = replace(
        default,
        grpc=None,
        http=replace(default.http, port=0),
        store=replace(default.store, path=ledger),
        prometheus=None,
        health_check=None,
        api=None,
    )
    listening: list[Any] = []
    started, done = threading.Event(), threading.Event()

    async def serve() -> None:
        service = Service(config)
        try:
            listening.append((await service.start()).http)
        except CollectorError as error:
            listening.append(error)
            return
        finally:
            started.set()
        await asyncio.to_thread(done.wait)
        await service.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="doctor-collector")
    thread.start()
    try:
        started.wait(START_SECONDS)
        if isinstance(listening[0], CollectorError):
            raise listening[0]
        yield listening[0]
    finally:
        done.set()
        thread.join()


def app_environment(own: Mapping[str, str], endpoint: Endpoint, folder: Path) -> dict[str, str]:
    """The app's environment: its own, its spans sent here, and every Python process of it instrumented."""
    unset = ("_TRACES", "_METRICS", "_LOGS", "")
    kept = {
        name: value
        for name, value in own.items()
        if name not in {f"OTEL_EXPORTER_OTLP{part}_{what}" for part in unset for what in ("ENDPOINT", "HEADERS")}
    }
    paths = [str(Path(watch.__file__).parent), own.get("PYTHONPATH", "")]
    return {
        **kept,
        FOLDER_VARIABLE: str(folder),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{endpoint}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_SDK_DISABLED": "false",
        "OTEL_COST_DISABLED": "false",
    }


def run_app(command_line: Sequence[str], environment: Mapping[str, str], *, quiet: bool = False) -> int:
    """Run the app to its end; its exit code. Ctrl-C is the app's: it is waited for. `quiet`: its output to stderr.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(command_line, env=dict(environment), stdout=sys.stderr if quiet else None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def look(folder: Path) -> tuple[list[Seen], list[Process]]:
    """What was received, and what the app's processes wrote of themselves."""
    from collector.store.query import query_published

    ledger = folder / "seen.duckdb"
    rows = query_published(ledger, statement("seen_calls"), {"wire": keys.OTEL_COST_WIRE}).to_pylist()
    processes = [Process(**json.loads(file.read_text(encoding="utf-8"))) for file in sorted(folder.glob("*.json"))]
    return [from_row(row) for row in rows], processes


def as_json(code: int, seen: Sequence[Seen], processes: Sequence[Process], found: Sequence[Finding]) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "exit_code_of_app": code,
        "calls": [asdict(each) for each in seen],
        "processes": [asdict(each) for each in processes],
        "findings": [asdict(each) for each in found],
    }


def _print(code: int, seen: Sequence[Seen], found: Sequence[Finding]) -> None:
    out = console()
    calls = sum(each.calls for each in seen)
    what = "model call" if calls == 1 else "model calls"
    out.print(f"\notel-cost saw {calls} {what}; the app ended with exit code {code}\n", markup=False)
    if seen:
        print_table(out, _columns(seen))
    for finding in found:
        for line in ("", f"{'wrong' if finding.is_wrong else 'advice'}: {finding.what}", f"  do  {finding.do}"):
            out.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    if not found:
        out.print("\nnothing is wrong", markup=False)


def _columns(seen: Sequence[Seen]) -> list[Column]:
    decimals = decimals_for(each.cost_usd for each in seen)
    return [
        Column("provider", [each.provider or "-" for each in seen], left=True, least=8),
        Column("model", [each.model or "-" for each in seen], left=True, least=12),
        Column("operation", [each.operation or "-" for each in seen], rank=2, left=True, least=8),
        Column("seen by", [", ".join(_seen_by(each)) for each in seen], rank=1, left=True),
        Column("calls", [str(each.calls) for each in seen]),
        Column("usage", [_usage(each) for each in seen]),
        Column("USD", [usd(each.cost_usd, decimals) for each in seen]),
        Column("status", ["failed" if each.failed else each.cost_status or "-" for each in seen], rank=1),
    ]


def _seen_by(seen: Seen) -> list[str]:
    short = [scope.rpartition(".instrumentation.")[2] for scope in seen.scopes]
    return [*short, "otel_cost (facts added)"] if seen.is_enriched else short


def _usage(seen: Seen) -> str:
    if not seen.has_usage:
        return "none"
    return "estimated" if seen.cost_status == "estimated" else "reported"
