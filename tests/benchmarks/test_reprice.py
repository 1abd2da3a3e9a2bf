"""The benchmark of pricing again does what it measures."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reprice import measure


def test_a_run_changes_every_call_and_undo_restores_them(tmp_path: Path) -> None:
    """On its smallest ledger, one row group; what a step may take follows from how many calls were asked for."""
    steps, restored = measure(tmp_path / "costs.duckdb", 1_000)
    assert restored
    assert [step.name for step in steps] == ["dry run", "run", "undo"]
    assert len({step.calls for step in steps}) == 1
    assert steps[0].calls > 100_000
    assert [step.most_cpu_seconds for step in steps] == [0.01, 0.03, 0.03]
    assert not any(step.held for step in steps)
