"""Receivers on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.collector.receive.raw_http import ANYWHERE, LOOPS
from tests.collector.receive.support import Running, running


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Each event loop in turn."""
    return LOOPS[request.param]


@pytest.fixture
def receivers(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Running]:
    """Receivers of the test's own."""
    with running(ANYWHERE, new_loop) as one:
        yield one
