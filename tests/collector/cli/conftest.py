"""A ledger of known traces, made once: the commands under test only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.cli import scenario


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a ledger that `otel-cost import` filled with the scenario."""
    folder: Path = tmp_path_factory.mktemp("ledger")
    path = str(folder / "ledger.duckdb")
    result = scenario.run("import", str(scenario.write(folder)), "--db", path)
    assert result.exit_code == 0, result.output
    return path
