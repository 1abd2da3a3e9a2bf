"""The demo: a collector, an app of three agents, and what that app cost.

The app runs with the real OpenAI and Anthropic SDKs under OpenTelemetry's own instrumentations, against recorded
provider answers; nothing leaves this machine. Afterwards the collector stays up for other apps until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from collector.cli.ledger import DEFAULT_LEDGER
from collector.store.query import query_published
from examples.demo.parts import (
    DEFAULT_GRPC_PORT,
    DEFAULT_HTTP_PORT,
    DEFAULT_PAGE_PORT,
    Collector,
    DemoError,
    Place,
    app_environment,
    port_or_free,
    run_app,
    script,
)
from examples.replay import ReplayServer

STORED_SECONDS = 60.0
REPORTS = ("agent", "provider", "model")


def main() -> int:
    """Run the demo; 0 done, 1 something failed, 130 interrupted before the end."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    finished = False
    try:
        with tempfile.TemporaryDirectory(prefix="otel-cost-demo-") as scratch, _collector(arguments, scratch) as parts:
            place, collector = parts
            _pipeline(place)
            finished = True
            _farewell(place, once=arguments.once)
            if not arguments.once:
                collector.wait()
    except KeyboardInterrupt:
        _say("\nstopped; the ledger is complete" if finished else "\ninterrupted")
        return 0 if finished else 130
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--once", action="store_true", help="end after printing what the app cost")
    parser.add_argument("--db", type=Path, default=Path(DEFAULT_LEDGER), help="ledger file (default: %(default)s)")
    parser.add_argument("--grpc-port", type=int, default=DEFAULT_GRPC_PORT, help="default: %(default)s")
    parser.add_argument("--http-port", type=int, default=DEFAULT_HTTP_PORT, help="default: %(default)s")
    parser.add_argument("--page-port", type=int, default=DEFAULT_PAGE_PORT, help="default: %(default)s")
    return parser.parse_args()


@contextmanager
def _collector(arguments: argparse.Namespace, scratch: str) -> Iterator[tuple[Place, Collector]]:
    asked = (arguments.grpc_port, arguments.http_port, arguments.page_port)
    place = Place(arguments.db.absolute(), *map(port_or_free, asked))
    for wanted, chosen in zip(asked, (place.grpc_port, place.http_port, place.page_port), strict=True):
        if wanted and wanted != chosen:
            _say(f"port {wanted} is taken; using {chosen}")
    collector = Collector(place, Path(scratch))
    try:
        collector.start()
        _say(f"collector: gRPC 127.0.0.1:{place.grpc_port}, HTTP 127.0.0.1:{place.http_port}")
        _say(f"page: {place.page}")
        yield place, collector
    finally:
        collector.stop()


def _pipeline(place: Place) -> None:
    """Run the app once and print what it cost."""
    run = f"design-note-{datetime.now():%Y%m%d-%H%M%S}"
    with ReplayServer(script(), fresh_ids=True) as providers:
        _say(f"app: planner, writer and critic with the OpenAI and Anthropic SDKs; run {run}")
        run_app(app_environment(place, providers.url, run))
        calls = sum(each.status < 400 for each in providers.served)
    trace_id = _stored(place.database, run, calls)
    _show("trace", trace_id, *_db(place))
    for dimension in REPORTS:
        _show("report", "--by", dimension, "--where", f"run={run}", *_db(place))


def _stored(database: Path, run: str, calls: int) -> str:
    """Wait until every answered call of the run can be queried; returns its trace id."""
    deadline = time.monotonic() + STORED_SECONDS
    found: list[str] = []
    while time.monotonic() < deadline:
        if database.exists():
            answer = query_published(database, "SELECT trace_id FROM calls WHERE run = ?", [run])
            found = answer.column("trace_id").to_pylist()
            if len(found) >= calls:
                return found[0]
        time.sleep(0.2)
    raise DemoError(f"{len(found)} of {calls} calls of run {run} are in {database} after {STORED_SECONDS:.0f} seconds")


def _show(*command: str) -> None:
    _say(f"\n$ {_command()} {shlex.join(command)}\n")
    done = subprocess.run([sys.executable, "-m", "collector", *command], check=False)
    if done.returncode:
        raise DemoError(f"otel-cost {command[0]} ended with exit code {done.returncode}")


def _db(place: Place) -> tuple[str, ...]:
    """The option that names the ledger, where it is not the one that commands take anyway."""
    path = os.path.relpath(place.database)
    return () if path == DEFAULT_LEDGER else ("--db", path)


def _command() -> str:
    """How the reader of this terminal can type `otel-cost`."""
    if shutil.which("otel-cost"):
        return "otel-cost"
    return os.path.relpath(Path(sys.executable).with_name("otel-cost"))


def _farewell(place: Place, *, once: bool) -> None:
    database = " ".join(("", *_db(place)))
    _say(f"\nledger: {os.path.relpath(place.database)} (DuckDB: any client may open it read-only, also now)")
    _say(f'  {_command()} sql "SELECT agent, model, cost_usd FROM calls ORDER BY start_time"{database}')
    if once:
        return
    _say(f"\nstill collecting; the page: {place.page}")
    _say("to see what your own app costs:")
    _say(f"  OTEL_EXPORTER_OTLP_ENDPOINT={place.endpoint} opentelemetry-instrument python your_app.py")
    _say(f"  {_command()} report --by model{database}")
    _say("\nCtrl-C stops.")


def _say(text: str) -> None:
    print(text, flush=True)
