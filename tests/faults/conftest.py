"""A collector for one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.support.collector_process import CollectorProcess


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of a collector that runs and is well."""
    with CollectorProcess(tmp_path) as collector:
        yield Ledger(collector)
