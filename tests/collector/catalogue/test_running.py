"""A running collector and its prices: a newer card is for new spans, and what was billed stays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import duckdb

from collector.catalogue.shelf import cards, open_card
from collector.pipeline import Pipeline
from collector.service import Service
from otel_cost.pricing import default_card
from tests.collector.cli.test_prices import changed_card
from tests.collector.test_service import applied, config, run
from tests.crash.sender import HttpTransport
from tests.support.plain_calls import plain_calls

PATIENCE_SECONDS = 60


def send(port: int, number: int) -> int:
    """A request of calls to gpt-4o; what they cost by the shipped card, in pico-USD."""
    request, costs = plain_calls(number)
    transport = HttpTransport(port)
    assert transport.send(request.SerializeToString()) == ""
    transport.close()
    return sum(costs.values())


async def using(pipeline: Pipeline, digest: str) -> None:
    """Return when new spans are priced with this card."""
    deadline_seconds = time.monotonic() + PATIENCE_SECONDS
    while pipeline.cards.base.digest != digest:
        assert time.monotonic() < deadline_seconds
        await asyncio.sleep(0.01)


def test_a_newer_card_prices_what_comes_then_without_a_restart(tmp_path: Path) -> None:
    """Spans before keep their price and their card; both cards can be looked up in the ledger and on disk."""
    settings = config(tmp_path)
    folder = tmp_path / "costs.duckdb.live" / "prices"
    wanted: dict[str, int] = {}

    async def scenario() -> None:
        service = Service(settings)
        service._prices._look_seconds = 0.02
        addresses = await service.start()
        assert addresses.http is not None
        try:
            wanted[default_card().digest] = await asyncio.to_thread(send, addresses.http.port, 1)
            await applied(service)
            newer = changed_card(folder, "gpt-4o", 3)
            await using(service._applier._pipeline, newer)
            wanted[newer] = 3 * await asyncio.to_thread(send, addresses.http.port, 2)
            await applied(service)
        finally:
            await service.stop()

    run(scenario)
    with duckdb.connect(str(settings.store.path), read_only=True) as ledger:
        paid = ledger.execute(
            "SELECT card, (sum(cost_usd) * 1000000000000)::HUGEINT FROM calls GROUP BY card"
        ).fetchall()
        known = ledger.execute("SELECT DISTINCT card FROM prices").fetchall()
    assert dict(paid) == wanted
    assert {card for (card,) in known} == wanted.keys()
    assert {open_card(folder, digest).digest for digest in wanted} == wanted.keys()
    assert [version.path is not None for version in cards(folder)] == [True, True]
