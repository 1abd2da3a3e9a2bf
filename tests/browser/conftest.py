"""A browser, and a collector with twenty days of made-up history that nothing but the tests of a live page adds to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the page is walked through with playwright")

from playwright.sync_api import Browser

from tests.browser.chromium import chromium, program
from tests.support.collector_process import CollectorProcess

DAYS, CALLS_PER_DAY = "20", "60"
REVENUE = ", revenue: [{customers: {acme: 200 USD/month, globex: 0.01 USD/month}}]"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests; each opens pages of its own."""
    if program() is None:
        pytest.skip("no Chromium is installed; OTEL_COST_CHROMIUM names one")
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A real one, over a ledger of the demo."""
    folder = tmp_path_factory.mktemp("page")
    serving = CollectorProcess(folder, folder / "demo.duckdb", has_api=True, api=REVENUE)
    made = serving.command("demo", "--days", DAYS, "--calls-per-day", CALLS_PER_DAY, "--db", str(serving.database))
    assert made.returncode == 0, made.stderr
    with serving:
        yield serving


@pytest.fixture
def empty_collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A real one that has seen nothing."""
    with CollectorProcess(tmp_path, has_api=True) as serving:
        yield serving
