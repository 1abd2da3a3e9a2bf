"""What a page is told without asking."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from pathlib import Path
from typing import Any

from collector.serve.api.news import MAX_LISTENERS, BudgetNews, News
from tests.collector.serve.api.full import Collector, call, collecting

RULE = {"scope": "customer", "limit": "0.001 USD/day", "warn_at": "80%", "on_exceed": ["notify"]}


def test_a_page_hears_of_new_calls_and_of_a_budget_that_they_use_up(tmp_path: Path) -> None:
    """At once where the ledger stands, then each change, and what happened to budgets."""
    with collecting(tmp_path) as collector:
        assert collector.request("PUT", "/api/v1/budgets/rules/each", RULE).status == 201
        connection = http.client.HTTPConnection(collector.api.host, collector.api.port, timeout=30)
        connection.request("GET", "/api/v1/stream")
        stream = connection.getresponse()
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert _next(stream)[0] == "changed"
        owner: dict[str, Any] = {"otel_cost.customer": "acme"}
        collector.send(call(1, 1, time.time_ns(), "gpt-4o", (10_000, 100), **owner))
        heard: list[tuple[str, Any]] = []
        while {name for name, _ in heard} != {"changed", "budget"}:
            heard.append(_next(stream))
        kinds = [said["event"]["kind"] for name, said in heard if name == "budget"]
        assert kinds[0] in ("warn", "exceed")
        connection.close()
        _shown(collector)


def _shown(collector: Collector) -> None:
    collector.wait_for(1)
    (row,) = collector.get("/customers")["rows"]
    assert row["key"] == {"customer": "acme"}


def _next(stream: http.client.HTTPResponse) -> tuple[str, Any]:
    """The next event; comments and the time to connect again are passed over."""
    name = ""
    while True:
        line = stream.readline().decode().strip()
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))


def test_who_logs_out_hears_no_more_and_who_never_listens_takes_no_place() -> None:
    may = [True]

    async def may_still() -> bool:
        return may[0]

    async def listen() -> None:
        news = News()
        news.start()
        for _ in range(MAX_LISTENERS + 1):
            news.listen(None, may_still)  # a client that is gone before its answer begins
        stream = news.listen("acme", may_still)
        assert (await anext(stream)).startswith("retry")
        assert "changed" in await anext(stream)
        may[0] = False
        news.happened([BudgetNews("acme", {"kind": "warn"})])
        assert [event async for event in stream] == []

    asyncio.run(listen())
