"""A collector over a copy of a prepared ledger, under load: what the benchmarks of readers share."""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.ingest import processes
from benchmarks.ingest.plan import Plan
from benchmarks.ingest.system import free_ports
from benchmarks.ingest.systems import OtelCost
from benchmarks.ingest.trials import say
from benchmarks.queries import build
from benchmarks.view_rows import rows as a_years_rows

PREPARED = Path("build/benchmarks")
PREPARED_SECONDS = 12 * 3600.0  # then "today" of the ledger is too old
SETTLE_SECONDS = 5.0
SPANS_PER_REQUEST = 512
DAYS = 365

S = TypeVar("S", bound=OtelCost)


class Served(OtelCost):
    """With its API on a port of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.api_port = free_ports(1)[0]

    def command(self) -> list[str]:
        command = super().command()
        config = Path(command[-1])
        config.write_text(config.read_text() + f'  api: {{endpoint: "127.0.0.1:{self.api_port}"}}\n')
        return command


def sixty_days(rows: int) -> Path:
    """The folder of the ledger of `benchmarks.queries`."""
    return prepared(f"ledger-{rows}", rows)


def a_year(rows: int) -> Path:
    """The folder of a ledger of a year of a large user."""
    return prepared(f"ledger-views-{rows}", rows, DAYS, a_years_rows)


def prepared(name: str, rows: int, *how: Any) -> Path:
    """The folder of a ledger of about `rows` spans, built when there is none from today."""
    folder = PREPARED / name
    path = folder / "otel-cost.duckdb"
    if path.exists() and time.time() - path.stat().st_mtime < PREPARED_SECONDS:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    say(f"building a ledger of {rows:,} spans in {folder}")
    build(path.absolute(), rows, *how)
    return folder


@contextmanager
def serving(system: Callable[[Path], S], ledger: Path) -> Iterator[S]:
    """A collector that runs on a copy of a ledger, in a folder that is removed afterwards."""
    processes.clean_up_when_told_to_end()
    folder = PREPARED.absolute() / f"served-{os.getpid()}"  # beside the ledger: links do not cross file systems
    server = system(folder / "server")
    try:
        copy(ledger, server.folder)
        server.start()
        time.sleep(SETTLE_SECONDS)
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def copy(source: Path, target: Path) -> None:
    """Segments are never changed, so they are linked; all else is copied."""
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            (os.link if path.suffix == ".parquet" else shutil.copyfile)(path, place)


def plan(server: OtelCost, rate: float, seconds: float) -> Plan:
    """So many spans a second of the payload of `benchmarks.ingest`, for so long."""
    return Plan(
        "grpc",
        server.grpc_port,
        spans_per_request=SPANS_PER_REQUEST,
        in_flight=64,
        seconds=seconds,
        requests_per_second=rate / SPANS_PER_REQUEST,
        resend=True,
        seed=7,
    )


def parser(module: str, doc: str | None, rate: float) -> argparse.ArgumentParser:
    """The arguments that all have."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=(doc or "").partition("\n")[0])
    made.add_argument("--rows", type=int, default=10_000_000, help="spans that are there before (default 10,000,000)")
    made.add_argument("--rate", type=float, default=rate, help=f"spans per second (default {rate:,.0f})")
    made.add_argument("--json", action="store_true", help="every figure, on stdout")
    return made
