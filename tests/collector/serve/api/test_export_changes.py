"""A file shows one state of the ledger, or ends before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from collector.questions import exported
from collector.questions.asking import Answered
from collector.questions.selection import Selection, Window
from collector.serve.api.errors import ApiError
from collector.serve.api.exports import tables_of
from collector.serve.api.viewing import Viewer

ZONE = ZoneInfo("UTC")
ROW = pa.table({"agent": ["writer"]})


class Publishing:
    """Implements `Asking`: a ledger that is published anew before its nth question."""

    def __init__(self, changed_at: int) -> None:
        self._changed_at = changed_at
        self.holds: list[int | None] = []
        self.let: list[int] = []

    async def answer(
        self,
        question: Callable[..., Any],
        *_: Any,
        timeout_seconds: float | None = None,
        hold: int | None = None,
        **__: Any,
    ) -> Answered[Any]:
        self.holds.append(hold)
        value = exported.Extent(1, 2 * exported.SEQS_AT_ONCE) if question is exported.extent else ROW
        days = int(len(self.holds) >= self._changed_at)
        return Answered(value, datetime(2026, 11, 22, tzinfo=UTC) + timedelta(days), 7)

    def let_go(self, hold: int) -> None:
        self.let.append(hold)


@pytest.mark.parametrize(("changed_at", "tables"), [(2, 0), (3, 1), (4, 2)], ids=["at once", "midway", "after it"])
def test_all_parts_of_a_file_are_of_one_publication(changed_at: int, tables: int) -> None:
    """Where that cannot be read any more, the file ends with an error."""
    asking, found = Publishing(changed_at), []

    async def read() -> None:
        selection = Selection(None, Window(None, None, ZONE), ())
        async for table in tables_of(Viewer(asking, ZONE), selection, "calls"):
            assert table.num_rows == 1
            found.append(table)

    if tables == 2:
        asyncio.run(read())
    else:
        with pytest.raises(ApiError, match="has changed"):
            asyncio.run(read())
    assert len(found) == tables
    assert asking.let == list(set(asking.holds))
