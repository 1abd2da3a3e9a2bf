"""One collector for all tests that only look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.collector.serve.api.full import Collector, collecting, some_calls


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """With 75 calls of the last 29 hours."""
    with collecting(tmp_path_factory.mktemp("views"), jaeger="http://jaeger.test/trace/{trace_id}") as running:
        running.send(*some_calls(time.time_ns()))
        running.wait_for(75)
        yield running
