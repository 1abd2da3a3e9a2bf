"""`otel-cost doctor`: what people and scripts see of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.collector.cli import scenario
from tests.collector.cli.test_docs import section


@pytest.fixture
def own_ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.duckdb"
    assert scenario.run("import", str(scenario.write(tmp_path)), "--db", str(path)).exit_code == 0
    return path


def test_a_healthy_ledger(ledger: str) -> None:
    """Exit code 0, the numbers that matter, and what was and was not checked."""
    result = scenario.run("doctor", ledger)
    assert result.exit_code == 0
    assert ": healthy" in result.output
    assert "13 spans" in result.output
    assert "not checked  the content of the files" in result.output
    assert scenario.run("doctor", ledger, "--deep").exit_code == 0


def test_a_problem_is_explained(own_ledger: Path) -> None:
    """Exit code 1; severity, meaning and action stand together."""
    next(Path(f"{own_ledger}.live", "segments").iterdir()).unlink()
    result = scenario.run("doctor", str(own_ledger))
    assert result.exit_code == 1
    assert "has problems" in result.output
    assert "is missing\n  means  13 spans that cost" in result.output
    assert "  do     put an intact copy" in result.output


def test_no_ledger_cannot_be_checked(tmp_path: Path) -> None:
    """Exit code 2: that is neither healthy nor ill."""
    result = scenario.run("doctor", str(tmp_path / "none.duckdb"))
    assert result.exit_code == 2
    assert "there is no ledger" in result.output


def test_what_could_not_be_digested_is_named(own_ledger: Path) -> None:
    """A warning: the ledger is whole, but some spans are in no report."""
    folder = Path(f"{own_ledger}.live", "quarantine")
    folder.mkdir()
    (folder / "00000000000000000007-1.pb").write_bytes(b"")
    found = scenario.run_json("doctor", str(own_ledger))
    assert found["healthy"]
    assert found["quarantined_requests"] == 1
    assert [finding["severity"] for finding in found["findings"]] == ["warning"]


def test_the_documented_object_is_the_real_one(ledger: str) -> None:
    """Every field that docs/cli.md shows is there, every finding has its four parts."""
    shown = json.loads(section("doctor").split("```json\n")[1].split("```")[0])
    real = scenario.run_json("doctor", ledger)
    assert set(shown) <= set(real)
    assert set(shown["published"]) == set(real["published"])
    assert set(shown["findings"][0]) == {"severity", "what", "meaning", "action"}
    assert {"manifest", "space", "journal", "quarantined_requests", "damaged_files", "backups"} <= set(real)
