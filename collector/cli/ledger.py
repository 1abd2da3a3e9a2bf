"""The ledger as a command reads it: the published file, and every way in which that can fail said for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from collector.errors import CollectorError
from collector.store.errors import NotPublished
from collector.store.query import query_published
from collector.store.statements import query as statement

DEFAULT_LEDGER = "otel-cost.duckdb"
HOW_TO_SEND = (
    "Start a collector and point any instrumented app at it:\n"
    "  otel-cost collect\n"
    "  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 opentelemetry-instrument python app.py\n"
    "or load a file of spans: otel-cost import spans.json"
)


def _option_named(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        *names,
        "db",
        type=click.Path(path_type=Path, dir_okay=False),
        default=DEFAULT_LEDGER,
        show_default=True,
        help="The ledger file.",
    )


db_option = _option_named("--db")
"""The option of commands that read a ledger."""
ledger_option = _option_named("--ledger", "--db")
"""The same for commands that set the ledger beside something else."""


class Ledger:
    """A published ledger, asked one read-only statement at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        """The rows of one statement.

        Raises:
            click.ClickException: there is no ledger, or it cannot answer (exit code 1).
        """
        try:
            return query_published(self.path, sql, parameters)
        except NotPublished:
            raise click.ClickException(f"there is no ledger at {self.path}.\n{HOW_TO_SEND}") from None
        except CollectorError as error:
            raise click.ClickException(str(error)) from None

    def as_of(self) -> dict[str, Any]:
        """For JSON: which ledger answered, and up to when."""
        published_at = self(statement("report_freshness"), {}).column("published_at")[0].as_py()
        return {"ledger": str(self.path), "as_of": published_at.replace(tzinfo=UTC).isoformat()}
