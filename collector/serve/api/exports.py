"""The chosen calls as files, in CSV and Parquet, as they are and in FOCUS 1.2: streamed, whatever their number."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from collector.questions import breakdown as breakdowns
from collector.questions import exported as exporting
from collector.questions.customers import Customers
from collector.questions.selection import Selection
from collector.serve.api.config import Revenue
from collector.serve.api.customers import CUSTOMER_ROWS, MARGINS, ask_customers, show_customers
from collector.serve.api.errors import ApiError
from collector.serve.api.figures import figures
from collector.serve.api.path import Path, Returns
from collector.serve.api.shapes import as_json
from collector.serve.api.viewing import Asked, Question, Viewer
from collector.serve.api.views import BY, ROWS, ask_breakdown

CSV_TYPE, PARQUET_TYPE = "text/csv", "application/vnd.apache.parquet"
PAGE_SECONDS = 60.0
"""For one part of a file; each has at most `exporting.SEQS_AT_ONCE` calls."""
Kind = Literal["csv", "parquet"]
FORMULA = r"\A([=+\-@\t\r])"
"""How a text begins that spreadsheets take for a formula."""
NUMBER = r"\A-?\d+(\.\d+)?\z"
_WHOLE = pa.decimal128(38, 0)
_TYPES = {"csv": f"{CSV_TYPE}; charset=utf-8", "parquet": PARQUET_TYPE}


class _Writer(Protocol):
    """Turns tables of one schema into the bytes of one file."""

    def part(self, table: pa.Table) -> bytes: ...

    def end(self) -> bytes: ...


def export_paths(viewer: Viewer, revenue: Revenue) -> list[Path]:
    """All files."""
    return [
        _file(viewer, "/export.csv", "calls", "csv", "the chosen calls, in order of arrival"),
        _file(viewer, "/export.parquet", "calls", "parquet", "the chosen calls, in order of arrival"),
        _file(viewer, "/focus.csv", "focus", "csv", "the chosen calls as charges of FOCUS 1.2"),
        _file(viewer, "/focus.parquet", "focus", "parquet", "the chosen calls as charges of FOCUS 1.2"),
        viewer.route_of(
            "/export/breakdown.csv",
            "/breakdown as a file, with everything not shown and the total as last rows",
            _breakdown(viewer),
            Returns(None, CSV_TYPE),
            (BY, *ROWS),
        ),
        viewer.route_of(
            "/export/customers.csv",
            "/customers as a file, with everything not shown and the total as last rows",
            _customers(viewer, revenue),
            Returns(None, CSV_TYPE),
            CUSTOMER_ROWS,
        ),
    ]


def _file(viewer: Viewer, path: str, form: exporting.Form, kind: Kind, summary: str) -> Path:
    async def answered(_: Request, asked: Asked) -> Response:
        parts = _parts(tables_of(viewer, asked.selection, form), kind)
        first = await anext(parts)  # what can be wrong is wrong before anything is sent
        return _download(_followed(first, parts), f"otel-cost-{form}", kind)

    return viewer.route_of(path, summary, answered, Returns(None, CSV_TYPE if kind == "csv" else PARQUET_TYPE))


async def tables_of(viewer: Viewer, selection: Selection, form: exporting.Form) -> AsyncGenerator[pa.Table]:
    """All chosen calls, some at a time, from one publication: prices that change meanwhile are in none of them.

    Raises:
        ApiError: see `Viewer.answer`; 409, it cannot be read any more.
    """
    hold = secrets.randbits(62)
    try:
        found = await viewer.answer(Question(exporting.extent, (selection,)), PAGE_SECONDS, hold)
        first_seq = found.value.first_seq or 0
        last_seq = -1 if found.value.last_seq is None else found.value.last_seq
        for from_seq in range(first_seq, max(last_seq, first_seq) + 1, exporting.SEQS_AT_ONCE):
            to_seq = min(from_seq + exporting.SEQS_AT_ONCE - 1, last_seq)
            question = Question(exporting.exported, (selection, form, from_seq, to_seq))
            page = await viewer.answer(question, PAGE_SECONDS, hold)
            if (page.as_of, page.last_seq) != (found.as_of, found.last_seq):
                raise ApiError(HTTPStatus.CONFLICT, "conflict", "the ledger has changed since the file was begun")
            if page.value.num_rows or from_seq == first_seq:
                yield page.value
    finally:
        viewer.let_go(hold)


async def _parts(tables: AsyncGenerator[pa.Table], kind: Kind) -> AsyncGenerator[bytes]:
    writer: _Writer | None = None
    async with aclosing(tables):
        async for table in tables:
            writer = writer or (_Csv() if kind == "csv" else _Parquet(table.schema))
            yield await asyncio.to_thread(writer.part, table)
    if writer is not None:
        yield await asyncio.to_thread(writer.end)


async def _followed(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """What is wrong from here on ends the connection before the end of the body, which clients notice."""
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part


def _download(body: AsyncIterator[bytes], name: str, kind: Kind) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": "no-store"}
    return StreamingResponse(body, media_type=_TYPES[kind], headers=headers)


class _Csv:
    """RFC 4180 with a header: decimals in full, times as ISO 8601, nothing between commas where nothing is known.

    Texts come from whoever sends spans. One that a spreadsheet would run as a formula has a quotation mark before it
    (OWASP, "CSV Injection").
    """

    def __init__(self) -> None:
        self._is_first = True

    def part(self, table: pa.Table) -> bytes:
        sink = io.BytesIO()
        options = pc_csv.WriteOptions(include_header=self._is_first, quoting_style="needed")
        pc_csv.write_csv(_as_text(table), sink, options)
        self._is_first = False
        return sink.getvalue()

    def end(self) -> bytes:
        return b""


def _as_text(table: pa.Table) -> pa.Table:
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        elif pa.types.is_decimal(field.type):
            column = _digits(column, field.type.scale)
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            harmless = pc.replace_substring_regex(column, FORMULA, r"'\1")
            column = pc.if_else(pc.match_substring_regex(column, NUMBER), column, harmless)
        columns.append(column)
    return pa.table(columns, names=table.schema.names)


def _digits(column: pa.ChunkedArray, scale: int) -> pa.ChunkedArray:
    """Decimals as plain digits, which a cast to text writes with an exponent where they are small."""
    units = pa.chunked_array(
        [pa.Array.from_buffers(_WHOLE, len(part), part.buffers(), offset=part.offset) for part in column.chunks], _WHOLE
    )
    if not scale:
        return units.cast(pa.string())
    units = units.cast(pa.int64())
    wholes = pc.divide(units, 10**scale)
    rest = pc.subtract(units, pc.multiply(wholes, 10**scale))
    fraction = pc.utf8_lpad(rest.cast(pa.string()), scale, "0")
    return pc.binary_join_element_wise(wholes.cast(pa.string()), fraction, ".")


class _Parquet:
    """One row group for each part."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = _Sink()
        self._schema = schema
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema, compression="zstd")

    def part(self, table: pa.Table) -> bytes:
        self._writer.write_table(table.cast(self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Sink(io.RawIOBase):
    """Takes what is written, and gives it away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _breakdown(viewer: Viewer) -> Callable[[Request, Asked], Awaitable[Response]]:
    async def answered(_: Request, asked: Asked) -> Response:
        found: breakdowns.Breakdown = (await viewer.answer(ask_breakdown(asked, asked[BY]))).value
        return _table(_lines(found), "otel-cost-breakdown")

    return answered


def _customers(viewer: Viewer, revenue: Revenue) -> Callable[[Request, Asked], Awaitable[Response]]:
    async def answered(_: Request, asked: Asked) -> Response:
        found: Customers = (await viewer.answer(ask_customers(asked, revenue))).value
        columns, rows = _lines(found.costs), show_customers(found, asked, revenue).rows
        rest: list[object] = [None] * (len(columns["row"]) - len(rows))
        for name in MARGINS:
            columns[name] = [*(as_json(getattr(row, name)) for row in rows), *rest]
        return _table(columns, "otel-cost-customers")

    return answered


def _table(columns: dict[str, list[object]], name: str) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield _Csv().part(pa.table({column: _texts(values) for column, values in columns.items()}))

    return _download(body(), name, "csv")


def _lines(found: breakdowns.Breakdown) -> dict[str, list[object]]:
    """Columns; `row` says what a line is: a group, all other groups as one, or the total."""
    nobody: tuple[str | None, ...] = (None,) * len(found.by)
    lines = [("group", row.key, figures(row.measures)) for row in found.rows]
    lines += [("other", nobody, figures(found.other.measures))] if found.other else []
    lines.append(("total", nobody, figures(found.total)))
    columns: dict[str, list[object]] = {"row": [kind for kind, _, _ in lines]}
    for place, name in enumerate(found.by):
        columns[name] = [key[place] for _, key, _ in lines]
    shown = [as_json(each) for _, _, each in lines]
    for name in shown[0]:
        columns[name] = [each[name] for each in shown]
    return columns


def _texts(values: list[object]) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values], pa.string())
