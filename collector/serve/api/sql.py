"""A user's SQL over the caller's part of the ledger: read-only, in a process of its own, bounded in time and rows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, NotRequired, Protocol, TypedDict

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from collector.errors import QueryRefused, QueryTimedOut, StoreError, StoreUnavailable
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid
from collector.serve.api.parameters import shortened
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_body, json_response
from collector.serve.api.shapes import Says, as_json

MAX_SQL_CHARS = 20_000
MAX_BODY_BYTES = 128 * 1024
MAX_ROWS = 10_000
DEFAULT_ROWS = 1_000
MAX_SECONDS, DEFAULT_SECONDS = 60.0, 15.0
AT_ONCE = 2
"""Statements that run at the same time; each is a process of up to a GiB. More wait, and at last are told so (503)."""
WAITING_SECONDS = 10.0


class SqlBody(TypedDict):
    """One statement that reads; the views are those of docs/sql.md."""

    sql: Annotated[str, Says(minLength=1, maxLength=MAX_SQL_CHARS)]
    timeout_seconds: NotRequired[Annotated[float, Says(exclusiveMinimum=0, maximum=60)]]
    limit: NotRequired[Annotated[int, Says(minimum=1, maximum=MAX_ROWS)]]


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column of the result, with its Arrow type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class SqlShown:
    """Decimals are text, so that they stay exact; `truncated`: there are more rows."""

    columns: tuple[SqlColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    as_of: datetime


@dataclass(frozen=True, slots=True)
class SqlQuestion:
    """A statement, and what it may see and take. `organization` None: all."""

    sql: str
    organization: str | None
    timeout_seconds: float
    limit: int


class SqlAnswer(Protocol):
    """What the sandbox answers (`collector.store.user_query`)."""

    @property
    def table(self) -> pa.Table: ...

    @property
    def published_at(self) -> datetime: ...


AskSql = Callable[[SqlQuestion], SqlAnswer]
"""Runs one statement, in a thread. Raises QueryRefused, QueryFailed, StoreUnavailable (`collector.errors`)."""


def sql_path(ask_sql: AskSql) -> Path:
    """`POST /sql`. At most `limit` rows are fetched, whatever the statement says."""
    turns = asyncio.Semaphore(AT_ONCE)
    threads = ThreadPoolExecutor(AT_ONCE, "otel-cost-sql")

    async def sql(request: Request) -> Response:
        question = _question(await json_body(request, MAX_BODY_BYTES), request.state.org)
        try:
            await asyncio.wait_for(turns.acquire(), WAITING_SECONDS)
        except TimeoutError:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "too many statements run already") from None
        try:
            answer = await asyncio.get_running_loop().run_in_executor(threads, _asked, ask_sql, question)
        finally:
            turns.release()
        return json_response(request, as_json(_shown(answer, question.limit)))

    return Path(
        "POST",
        "/sql",
        Role.VIEWER,
        sql,
        "one SELECT over the views of docs/sql.md; read-only, bounded in time and rows",
        body=SqlBody,
        returns=Returns(SqlShown),
    )


def _question(body: Any, organization: str | None) -> SqlQuestion:
    """Raises ApiError: 400."""
    if not isinstance(body, dict):
        raise invalid("is no JSON object", where="body", allowed="sql, timeout_seconds, limit")
    unknown = set(body) - {"sql", "timeout_seconds", "limit"}
    if unknown:
        raise invalid("is not known", where=shortened(min(unknown)), allowed="sql, timeout_seconds, limit")
    sql = body.get("sql")
    if not isinstance(sql, str) or not sql or len(sql) > MAX_SQL_CHARS:
        raise invalid("must be a statement", where="sql", allowed=f"1 to {MAX_SQL_CHARS} characters")
    seconds = body.get("timeout_seconds", DEFAULT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
        raise invalid(
            "must be a number of seconds", where="timeout_seconds", allowed=f"more than 0, up to {MAX_SECONDS:g}"
        )
    limit = body.get("limit", DEFAULT_ROWS)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_ROWS:
        raise invalid("must be a whole number", where="limit", allowed=f"1 to {MAX_ROWS}")
    return SqlQuestion(sql, organization, float(seconds), int(limit))


def _asked(ask_sql: AskSql, question: SqlQuestion) -> SqlAnswer:
    try:
        return ask_sql(question)
    except StoreUnavailable as error:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error)) from None
    except QueryRefused as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "refused", str(error), where="sql") from None
    except QueryTimedOut as error:
        raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", str(error), where="timeout_seconds") from None
    except StoreError as error:
        raise invalid(str(error), where="sql") from None


def _shown(answer: SqlAnswer, limit: int) -> SqlShown:
    table = answer.table
    columns = tuple(SqlColumn(field.name, str(field.type)) for field in table.schema)
    values = [column.to_pylist() for column in table.slice(0, limit).columns]
    rows = tuple(tuple(_plain(value) for value in row) for row in zip(*values, strict=True))
    return SqlShown(columns, rows, table.num_rows > limit, answer.published_at)


def _plain(value: Any) -> Any:
    """A value of the result as JSON can say it: decimals, times and bytes are text, what is no number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
