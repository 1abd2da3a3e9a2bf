"""The cold archive: any Parquet reader's, still the ledger's, and never in a state between."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset
import pytest

from collector.store import archive, maintenance
from collector.store.upkeep import Archive, Keep, Retention
from tests.collector.store.ledger_rows import call
from tests.collector.store.scratch_ledger import ScratchLedger
from tests.collector.store.test_retention import DAY, NOW_NS, aged


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cold" / "spans"


@pytest.fixture
def ledger(tmp_path: Path, root: Path) -> ScratchLedger:
    made = ScratchLedger(tmp_path / "it's a ledger.duckdb", archive=Archive(root, 30 * DAY))
    made.append([aged(1, 40), aged(2, 40, "a/b=c d"), aged(3, 35, team="red")])
    made.append([aged(4, 38), call(5, 1, start_time_ns=NOW_NS + 10**18, end_time_ns=NOW_NS + 10**18)])
    made.append([aged(6, 29)])
    return made


def day(days: float) -> str:
    return f"{datetime.fromtimestamp(NOW_NS // 10**9, UTC) - timedelta(days=days):%Y-%m-%d}"


def test_old_rows_move_by_organisation_and_day(ledger: ScratchLedger, root: Path) -> None:
    """They are the same rows, still part of the ledger; what says it is from the future stays beside it."""
    before = ledger.ask("SELECT * FROM spans ORDER BY seq")
    assert ledger.settle() == ["archived 4 spans in 5 files"]
    assert ledger.ask("SELECT * FROM spans ORDER BY seq") == before
    folders = {str(path.parent.relative_to(root)) for path in root.rglob("*.parquet")}
    assert folders == {
        f"org_id=default/day={day(40)}",
        f"org_id=a%2Fb%3Dc%20d/day={day(40)}",
        f"org_id=default/day={day(35)}",
        f"org_id=default/day={day(38)}",
    }
    cold = [segment for segment in ledger.live if segment.cold]
    assert all(Path(segment.file).is_absolute() for segment in cold)
    assert [segment.rows for segment in ledger.live if not segment.cold] == [1, 1]
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_any_parquet_reader_reads_the_folder_alone(ledger: ScratchLedger, root: Path) -> None:
    """DuckDB and Arrow, with the partitions as columns; nothing else in the folder looks like data."""
    ledger.settle()
    sql = "SELECT seq, org_id, day::VARCHAR FROM read_parquet(?, hive_partitioning = true) ORDER BY seq"
    rows = duckdb.execute(sql, [f"{root}/**/*.parquet"]).fetchall()
    assert rows == [
        (1, "default", day(40)), (2, "a/b=c d", day(40)), (3, "default", day(35)), (4, "default", day(38)),
    ]  # fmt: skip
    table = pyarrow.dataset.dataset(root, partitioning="hive", exclude_invalid_files=True).to_table()
    assert sorted(table.column("seq").to_pylist()) == [1, 2, 3, 4]


def test_verdicts_are_taken_along(ledger: ScratchLedger) -> None:
    """What was amended before stands in the archived row."""
    ledger.amend("seq = 4", team="'blue'")
    ledger.settle()
    assert ledger.ask("SELECT team FROM spans WHERE seq IN (3, 4) ORDER BY seq") == [("red",), ("blue",)]
    assert ledger.connection.execute("SELECT count(*) FROM _ledger.amendment").fetchall() == [(0,)]


def test_small_segments_wait_for_company(tmp_path: Path, root: Path) -> None:
    """Rows that are old enough since an hour stay another day, so that one file a day is written, not one an hour."""
    ledger = ScratchLedger(tmp_path / "ledger.duckdb", archive=Archive(root, 30 * DAY))
    ledger.append([aged(1, 30.1)])
    assert ledger.settle() == []
    ledger.append([aged(2, 31.5)])
    assert ledger.settle() == ["archived 2 spans in 2 files"]


def test_an_export_that_dies_is_done_again_without_traces(ledger: ScratchLedger, root: Path) -> None:
    """Killed after the files were named and before the ledger knew them: the next export removes them first."""

    class Killed(BaseException):
        """As if the process had ended here: nothing that follows may clean up."""

    def die(work: Callable[[Any], None]) -> None:
        raise Killed

    def unreadable(work: Callable[[Any], Any]) -> Any:
        answer = ledger.read(work)
        if answer == [] and list(root.rglob("*.parquet")):
            raise Killed
        return answer

    with pytest.raises(Killed):
        maintenance.maintain(unreadable, die, ledger.layout.segments, ledger.config, lambda old, new: None)
    left = set(root.rglob("*.parquet"))
    assert len(left) == 4
    assert ledger.settle() == ["archived 4 spans in 5 files"]
    assert left.isdisjoint(root.rglob("*.parquet"))
    assert not (ledger.layout.folder / archive.INTENT).exists()
    named = {segment.file for segment in ledger.live}
    beside = {path.name for path in ledger.layout.segments.iterdir()} - named
    retired = ledger.connection.execute("SELECT file FROM _ledger.segment WHERE retired_at IS NOT NULL").fetchall()
    assert beside == {file for (file,) in retired}


def test_a_torn_note_of_an_export_is_no_obstacle(ledger: ScratchLedger, root: Path) -> None:
    """The crash hit the note itself; and a note never removes what the ledger names."""
    ledger.settle()
    kept = next(segment.file for segment in ledger.live if segment.cold)
    ledger.append([aged(9, 50)])
    (ledger.layout.folder / archive.INTENT).write_text(json.dumps(kept) + '\n"/half of a pa')
    assert ledger.settle() == ["archived 1 spans in 1 files"]
    assert Path(kept).exists()


def test_an_archive_that_is_not_mounted_stops_nothing_else(ledger: ScratchLedger, root: Path) -> None:
    """It is said, nothing is written into the empty mount point, merging goes on; back again, archiving does too."""
    ledger.settle()
    away = root.rename(root.with_name("away"))
    root.mkdir()
    ledger.append([aged(20, 50)])
    for number in range(16):
        ledger.append([aged(30 + number, 1)])
    work = ledger.maintain()
    assert work.did == "merged 17 segments of 17 spans, 0 verdicts taken in" or work.did.startswith("merged")
    idle = ledger.maintain()
    assert idle.did == ""
    (problem,) = idle.problems
    assert "is its disk mounted?" in problem
    assert "4 of its files" in problem
    assert list(root.iterdir()) == []
    assert len(archive.missing(ledger.live, ledger.layout.segments)) == 4
    root.rmdir()
    away.rename(root)
    assert archive.missing(ledger.live, ledger.layout.segments) == []


def test_retention_reaches_the_archive(ledger: ScratchLedger, root: Path) -> None:
    """A day of an organisation goes as a whole, once all of it is too old; its file follows when readers are done."""
    ledger.settle()
    object.__setattr__(ledger.config, "retention", Retention(Keep(max_age_seconds=37 * DAY)))
    ledger.settle()
    assert [row[0] for row in ledger.ask("SELECT seq FROM spans ORDER BY seq")] == [3, 5, 6]
    promised, accounted = ledger.balance()
    assert promised == accounted


def test_many_partitions_need_few_open_files(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More days than files may be open: each is written in turn, no row is lost."""
    monkeypatch.setattr(archive, "OPEN_FILES", 2)
    monkeypatch.setattr(archive, "GROUP_BYTES", 2_000)
    ledger = ScratchLedger(tmp_path / "ledger.duckdb", archive=Archive(root, 30 * DAY))
    for turn in range(3):
        ledger.append([aged(10 * turn + number, 40 + number) for number in range(5)])
    ledger.settle()
    assert ledger.ask("SELECT count(*), count(DISTINCT seq) FROM spans") == [(15, 15)]
    assert all(segment.cold for segment in ledger.live)


def test_an_archive_is_made_where_there_is_none(tmp_path: Path) -> None:
    """The first export makes the folder; one that cannot be made is an error that names it."""
    (tmp_path / "file").write_text("")
    ledger = ScratchLedger(tmp_path / "ledger.duckdb", archive=Archive(tmp_path / "file" / "below", 30 * DAY))
    ledger.append([aged(1, 50)])
    with pytest.raises(OSError, match="below"):
        ledger.maintain()
    ledger.config = replace(ledger.config, archive=Archive(tmp_path / "new" / "deep", 30 * DAY))
    assert ledger.settle() == ["archived 1 spans in 1 files"]
