"""`otel-cost sql`: a question to the ledger, while the collector runs or not."""

from __future__ import annotations

import csv
import decimal
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
from rich import box
from rich.table import Table
from rich.text import Text

from collector.cli.ledger import db_option
from collector.cli.table import console, printable
from collector.errors import CollectorError
from collector.store.errors import QueryRefused
from collector.store.user_query import Answer, UserQuery, ask

_SHOWN_ROWS = 200
_EPOCH = date(1970, 1, 1)
_INFINITE_DAYS = 2**31 - 1
_DAYS_IN_400_YEARS = 146_097
"""The calendar repeats itself after so many days."""


@click.command("sql")
@click.argument("query")
@db_option
@click.option("--json", "form", flag_value="json", help="A list of objects; money as strings, times in ISO 8601.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values with a header.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(min=0.1), default=30.0, show_default=True)
@click.option("--memory", "memory_limit_mib", type=click.IntRange(min=64), default=1024, show_default=True, help="MiB")
def command(query: str, db: Path, form: str | None, timeout_seconds: float, memory_limit_mib: int) -> None:
    """Query the ledger, read-only. QUERY is one SELECT, or - to read it from standard input.

    The answer comes from the published file, in a process that can read nothing else and write nothing at all. How
    fresh it is stands on standard error.

    \b
    Examples:
      otel-cost sql "SELECT agent, calls, unpriced_calls, cost_usd FROM agents ORDER BY cost_usd DESC"
      otel-cost sql "DESCRIBE calls"
      otel-cost sql --json - < question.sql
    """
    text = sys.stdin.read() if query == "-" else query
    try:
        answer = ask(db, UserQuery(text, timeout_seconds, memory_limit_mib))
    except QueryRefused as error:
        raise click.UsageError(str(error)) from error
    except CollectorError as error:
        raise click.ClickException(str(error)) from error
    _write(answer.table, form)
    click.echo(_freshness(answer), err=True)


def _write(table: pa.Table, form: str | None) -> None:
    if form == "json":
        _write_json(table)
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(["" if value is None else value for value in row] for row in _rows(table))
    else:
        _write_table(table)


def _write_json(table: pa.Table) -> None:
    names = _distinct(table.column_names)
    click.echo("[", nl=False)
    for number, row in enumerate(_rows(table)):
        click.echo((",\n " if number else "\n ") + json.dumps(dict(zip(names, row, strict=True))), nl=False)
    click.echo("\n]" if table.num_rows else "]")


def _distinct(names: list[str]) -> list[str]:
    """An object can hold each name once: of equal ones, as a join gives them, the later ones get a number."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in found:
            candidate, number = f"{name}_{number}", number + 1
        found.append(candidate)
    return found


def _write_table(table: pa.Table) -> None:
    shown = Table(box=box.SIMPLE_HEAD)
    for field in table.schema:
        is_number = (
            pa.types.is_integer(field.type) or pa.types.is_decimal(field.type) or pa.types.is_floating(field.type)
        )
        shown.add_column(Text(field.name), justify="right" if is_number else "left", overflow="fold")
    for row in _rows(table.slice(0, _SHOWN_ROWS)):
        shown.add_row(*(Text("" if value is None else printable(str(value))) for value in row))
    console().print(shown)
    if table.num_rows > _SHOWN_ROWS:
        click.echo(f"first {_SHOWN_ROWS} of {table.num_rows} rows; --csv or --json give all", err=True)


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    columns = [_values(column) for column in table.columns]
    return (list(row) for row in zip(*columns, strict=True))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values that JSON knows: money as text, whole sums as integers, times in ISO 8601."""
    if pa.types.is_timestamp(column.type):
        text = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
        return [value and _iso(value) for value in text.to_pylist()]
    if pa.types.is_date32(column.type):
        return [None if days is None else _day(days) for days in column.cast(pa.int32()).to_pylist()]
    try:
        return [_plain(value) for value in column.to_pylist()]
    except (OverflowError, ValueError) as error:
        raise click.ClickException(
            f"a value of type {column.type} cannot be shown ({error}); CAST it to VARCHAR"
        ) from None


def _day(days: int) -> str:
    """A date of DuckDB: `infinity`, and years that Python does not know, included."""
    if abs(days) == _INFINITE_DAYS:
        return "infinity" if days > 0 else "-infinity"
    try:
        return (_EPOCH + timedelta(days=days)).isoformat()
    except OverflowError:
        year, rest = divmod(days, _DAYS_IN_400_YEARS)
        day = _EPOCH + timedelta(days=rest)
        return f"{day.year + 400 * year}-{day:%m-%d}"


def _iso(text: str) -> str:
    day, _, time = text.partition(" ")
    return f"{day}T{time.rstrip('0').rstrip('.') if '.' in time else time}Z"


def _plain(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return int(value) if value.as_tuple().exponent == 0 else f"{value:f}"
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _freshness(answer: Answer) -> str:
    age_seconds = max(0, round((datetime.now(UTC) - answer.published_at).total_seconds()))
    at = f"{answer.published_at:%Y-%m-%d %H:%M:%S} UTC"
    if answer.collector_runs:
        return f"as of {at} ({age_seconds} s ago), {answer.spans} spans; the collector refreshes it when spans arrive"
    return f"complete: {answer.spans} spans, published {at}; no collector is running"
