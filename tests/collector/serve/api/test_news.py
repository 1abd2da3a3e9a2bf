"""What a page is told without asking."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from collector.serve.api import news as news_module
from collector.serve.api.config import ApiToken, Role
from collector.serve.api.errors import ApiError
from collector.serve.api.news import MAX_LISTENERS, MAX_OF_ONE, BudgetNews, News
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


def test_whoever_asks_on_hearing_of_a_change_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages ask at once, and not again before the next change: an answer from before it would stay on them. Both say of
    the same instant, so that a page knows which of its answers hold."""
    monkeypatch.setattr(news_module, "LEAST_SECONDS", 0.01)
    with collecting(tmp_path) as collector:
        assert collector.get("/spend")["total"]["calls"] == 0  # from now on questions are answered by a process
        connection = http.client.HTTPConnection(collector.api.host, collector.api.port, timeout=30)
        connection.request("GET", "/api/v1/stream")
        stream = connection.getresponse()
        for number in range(1, 6):
            collector.send(call(number, 1, time.time_ns(), "gpt-4o", (10, 10)))
            while (said := _next(stream))[0] != "changed" or said[1]["last_seq"] < number:
                pass
            shown = collector.get("/spend")
            assert (shown["total"]["calls"], shown["as_of"]) == (number, said[1]["as_of"])
        connection.close()


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


async def always() -> bool:
    return True


def test_one_caller_does_not_take_the_places_of_all() -> None:
    """Who listens too often is told so, and has a place again when they stop; also when all come at the same time."""

    async def listen() -> None:
        news = News()
        news.start()
        waiting = [news.listen("acme", always, "script") for _ in range(MAX_OF_ONE + 5)]
        begun = [await anext(stream, None) for stream in waiting]
        assert [each is not None for each in begun] == [True] * MAX_OF_ONE + [False] * 5
        with pytest.raises(ApiError, match="script"):
            news.listen("acme", always, "script")
        others = [news.listen("acme", always, f"person {number}") for number in range(MAX_LISTENERS - MAX_OF_ONE)]
        for other in others:
            assert await anext(other)
        with pytest.raises(ApiError, match=str(MAX_LISTENERS)):
            news.listen("acme", always, "one more")
        await waiting[0].aclose()  # type: ignore[attr-defined]
        assert await anext(news.listen("acme", always, "script"))

    asyncio.run(listen())


def test_where_nobody_says_who_they_are_all_places_are_theirs() -> None:
    async def listen() -> None:
        news = News()
        news.start()
        streams = [news.listen(None, always) for _ in range(MAX_LISTENERS)]
        assert all([await anext(stream) for stream in streams])
        with pytest.raises(ApiError, match=str(MAX_LISTENERS)):
            news.listen(None, always)

    asyncio.run(listen())


def test_the_server_counts_by_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.serve.api.news.MAX_OF_ONE", 1)
    tokens = tuple(ApiToken(name, f"{name}-0123456789abcdef", Role.VIEWER) for name in ("ann", "bob"))
    with collecting(tmp_path, tokens=tokens) as collector:
        connection = http.client.HTTPConnection(collector.api.host, collector.api.port, timeout=30)
        connection.request("GET", "/api/v1/stream", headers={"Authorization": "Bearer ann-0123456789abcdef"})
        stream = connection.getresponse()
        assert (stream.status, stream.readline()[:5]) == (200, b"retry")
        second = http.client.HTTPConnection(collector.api.host, collector.api.port, timeout=30)
        second.request("GET", "/api/v1/stream", headers={"Authorization": "Bearer ann-0123456789abcdef"})
        refused = second.getresponse()
        assert refused.status == 503  # of a stream there would be no end to read to
        error = json.load(refused)["error"]
        assert (error["code"], "ann" in error["message"]) == ("unavailable", True)
        second.close()
        head = collector.request("HEAD", "/api/v1/stream", Authorization="Bearer bob-0123456789abcdef")
        assert head.status == 200
        connection.close()
