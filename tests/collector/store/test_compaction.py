"""Merging segments: every row stays, later verdicts are taken in, few files remain, rows are rewritten seldom."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from collector.store import compaction, folding, maintenance, manifest, rewrite
from collector.store.compaction import plan
from collector.store.footer import KEY_VALUES, NUM_ROWS, ROW_GROUPS, Footer
from collector.store.join import Joiner, NotJoinable, Source
from collector.store.manifest import Segment
from collector.store.rewrite import encoded, union
from collector.store.rows import DERIVED_BITS, ROW_SCHEMA, own
from collector.store.thrift import I64, STRUCT, parse, serialize
from collector.store.upkeep import Keep, Retention
from tests.collector.store.ledger_rows import batch, call, span
from tests.collector.store.scratch_ledger import ScratchLedger, judged
from tests.collector.store.test_retention import DAY, aged


@pytest.fixture
def ledger(tmp_path: Path) -> ScratchLedger:
    return ScratchLedger(tmp_path / "it's a ledger.duckdb")


def segment(first_seq: int, rows: int, **values: Any) -> Segment:
    last_seq = first_seq + rows - 1
    made = Segment(f"{first_seq}", first_seq, last_seq, rows, 110 * rows, Decimal(0), ((0, 1),), ("default",))
    return replace(made, **values)


def appended(sizes: list[int]) -> list[Segment]:
    starts = np.cumsum([1, *sizes])[:-1].tolist()
    return [segment(start, size) for start, size in zip(starts, sizes, strict=True)]


def simulate(sizes: list[int]) -> tuple[list[Segment], float]:
    """Append segments of so many rows with merging after each; what is live, and how often a row was written."""
    live: list[Segment] = []
    written = seq = 0
    for size in sizes:
        live.append(segment(seq + 1, size))
        seq, written = seq + size, written + size
        while merge := plan(live, {}):
            first, last = live.index(merge.segments[0]), live.index(merge.segments[-1])
            live[first : last + 1] = [segment(merge.segments[0].first_seq, merge.rows)]
            written += merge.rows
    return live, written / seq


def test_merging_keeps_every_row_and_the_sum(ledger: ScratchLedger) -> None:
    """Sixteen neighbours become one file with the same rows in order of seq; the old files stay for readers."""
    old = [ledger.append([call(trace, 1), span(trace, 2)]) for trace in range(16)]
    before = ledger.ask("SELECT * FROM spans ORDER BY seq")
    assert ledger.settle() == ["merged 16 segments of 32 spans, 0 verdicts taken in"]
    (new,) = ledger.live
    assert ledger.ask("SELECT * FROM spans") == before
    assert (new.first_seq, new.last_seq, new.rows, new.cost_usd) == (1, 32, 32, 16 * Decimal("0.0125"))
    assert new.size_bytes == (ledger.layout.segments / new.file).stat().st_size
    assert ledger.swaps == [(tuple(old), [new])]
    assert all((ledger.layout.segments / each.file).exists() for each in old)
    starts = [row[0] for row in ledger.ask("SELECT epoch_ns(start_time) FROM spans")]
    assert all(any(low <= start <= high for low, high in new.start_ranges_ns) for start in starts)


def test_large_row_groups_are_copied_byte_by_byte(ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large enough is never decoded again, and reads the same in DuckDB and in Arrow."""
    monkeypatch.setattr(rewrite, "COPIED_ROWS", 3)
    for trace in range(16):
        ledger.append([call(trace, number) for number in range(1, 5 if trace % 2 else 3)])
    before = ledger.ask("SELECT * FROM spans ORDER BY seq")
    files = [ledger.layout.segments / each.file for each in ledger.live]
    ledger.settle()
    assert ledger.ask("SELECT * FROM spans") == before
    path = ledger.layout.segments / ledger.live[0].file
    merged = parquet.read_metadata(path)
    assert [merged.row_group(number).num_rows for number in range(merged.num_row_groups)] == [2, 4] * 8
    assert files[1].read_bytes()[4:2000] in path.read_bytes()
    table = parquet.read_table(path)
    assert table.column("seq").to_pylist() == list(range(1, 49))
    assert merged.row_group(5).column(0).statistics.max == 18


def test_amendments_become_part_of_the_rows(ledger: ScratchLedger) -> None:
    """Verdict columns take the later value, everything else stays; the amendment is gone in the same transaction."""
    for trace in range(16):
        ledger.append([call(trace, 1, team="red"), call(trace, 2), span(trace, 3)])
    ledger.amend("seq IN (2, 7)", agent="'critic'", counted="false", not_counted_reason="'duplicate'", attempt="2")
    before = ledger.ask("SELECT * EXCLUDE (revision, counted, not_counted_reason, attempt, agent, derived) FROM spans")
    ledger.settle()
    changed = "SELECT seq, revision, counted, not_counted_reason, attempt, agent, derived FROM spans"
    assert ledger.ask(f"{changed} WHERE seq IN (1, 2, 7)") == [
        (1, 1, True, None, 1, None, 0),
        (2, 17, False, "duplicate", 2, "critic", DERIVED_BITS["agent"]),
        (7, 17, False, "duplicate", 2, "critic", DERIVED_BITS["agent"]),
    ]
    assert (
        ledger.ask("SELECT * EXCLUDE (revision, counted, not_counted_reason, attempt, agent, derived) FROM spans")
        == before
    )
    assert ledger.connection.execute("SELECT count(*) FROM _ledger.amendment").fetchall() == [(0,)]


def test_verdicts_change_inside_large_row_groups(ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the verdict columns of such a group are written anew; all others keep their bytes."""
    monkeypatch.setattr(rewrite, "COPIED_ROWS", 2)
    for trace in range(16):
        ledger.append([call(trace, 1), span(trace, 2), call(trace, 3, response_id="r")])
    bytes_before = (ledger.layout.segments / ledger.live[2].file).read_bytes()
    column = (
        parquet.read_metadata(ledger.layout.segments / ledger.live[2].file)
        .row_group(0)
        .column(ROW_SCHEMA.get_field_index("trace_id"))
    )
    ledger.amend("seq IN (7, 9, 48)", agent="'critic'", counted="false", not_counted_reason="'duplicate'")
    same = "SELECT * EXCLUDE (revision, counted, not_counted_reason, agent, derived) FROM spans"
    before = ledger.ask(same)
    assert ledger.settle() == ["merged 16 segments of 48 spans, 3 verdicts taken in"]
    assert ledger.ask(same) == before
    assert ledger.ask("SELECT seq, revision, not_counted_reason, agent FROM spans WHERE seq IN (7, 8, 9, 10)") == [
        (7, 17, "duplicate", "critic"),
        (8, None, None, None),
        (9, 17, "duplicate", "critic"),
        (10, 4, None, None),
    ]
    start = column.data_page_offset
    path = ledger.layout.segments / ledger.live[0].file
    assert bytes_before[start : start + 60] in path.read_bytes()
    table = parquet.read_table(path, columns=["seq", "agent", "counted"])
    assert table.column("counted").to_pylist()[47] is False
    assert ledger.connection.execute("SELECT count(*) FROM _ledger.amendment").fetchall() == [(0,)]


def test_an_amendment_that_changes_during_the_merge_stays(ledger: ScratchLedger) -> None:
    """The writer re-judges a call after the merge has read it: the newer verdict is neither lost nor overwritten."""
    for trace in range(16):
        ledger.append([call(trace, 1)])
    ledger.amend("seq = 3", agent="'first'")
    merge = plan(ledger.live, {})
    assert merge is not None
    new, amendments = compaction.merged(merge, ledger.read, ledger.layout.segments)
    ledger.amend("seq = 3", agent="'second'")
    ledger.connection.begin()
    manifest.replace(ledger.connection, merge.segments, [new])
    folding.delete_folded(ledger.connection, amendments.folded)
    ledger.connection.commit()
    assert ledger.ask("SELECT agent FROM spans WHERE seq = 3") == [("first",)]
    assert ledger.connection.execute("SELECT seq, agent FROM _ledger.amendment").fetchall() == [(3, "second")]


def test_what_a_duplicate_has_filled_in_becomes_part_of_the_row(
    ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row still tells what its span said: a resend is compared with it, and traces are judged again from it."""
    for trace in range(16):
        ledger.append([call(trace, 1, provider=None)])
    said = own(ledger.rows())
    ledger.amend("seq IN (5, 6)", response_id="'from the duplicate'", provider="'openai'", cache_read_tokens="7")
    ledger.settle()
    ledger.amend("seq = 6", response_id="NULL", cache_read_tokens="8")
    monkeypatch.setattr(compaction, "MOST_AMENDMENTS", 0)
    monkeypatch.setattr(compaction, "WORTH_FOLDING", 1)
    ledger.append([call(16, 1)])
    ledger.settle()
    filled = "SELECT response_id, provider, cache_read_tokens FROM spans WHERE seq IN (5, 6)"
    assert ledger.ask(filled) == [("from the duplicate", "openai", 7), (None, "openai", 8)]
    assert ledger.connection.execute("SELECT count(*) FROM _ledger.amendment").fetchall() == [(0,)]
    names = [name for name in said.column_names if name != "revision"]
    assert own(ledger.rows()).slice(0, 16).select(names).to_pylist() == said.select(names).to_pylist()


def test_too_many_amendments_rewrite_the_segment_that_has_most(
    ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound, and only once."""
    monkeypatch.setattr(compaction, "MOST_AMENDMENTS", 4)
    monkeypatch.setattr(compaction, "WORTH_FOLDING", 2)
    for trace in range(3):
        ledger.append([call(trace, number) for number in range(1, 7)])
    ledger.amend("seq BETWEEN 8 AND 12", team="'red'")
    ledger.amend("seq = 7", response_id="'filled'")
    assert ledger.settle() == ["merged 1 segments of 6 spans, 6 verdicts taken in"]
    assert ledger.ask("SELECT seq FROM spans WHERE team = 'red' ORDER BY seq") == [(n,) for n in range(8, 13)]
    assert ledger.settle() == []


def test_a_merge_that_cannot_be_recorded_leaves_no_file(ledger: ScratchLedger) -> None:
    """The transaction fails: the ledger is as it was, the new file is gone, and the next call does the work."""
    for trace in range(16):
        ledger.append([call(trace, 1)])
    files = set(ledger.layout.segments.iterdir())

    def fail(work: Callable[[Any], None]) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        maintenance.maintain(ledger.read, fail, ledger.layout.segments, ledger.config, lambda old, new: None)
    assert set(ledger.layout.segments.iterdir()) == files
    assert len(ledger.live) == 16
    assert ledger.settle() != []
    assert len(ledger.live) == 1


def test_a_disk_that_is_nearly_full_is_left_to_the_spans(ledger: ScratchLedger) -> None:
    """No merge, said in a sentence; what removes spans still runs."""
    for number in range(16):
        ledger.append([aged(number, 100 if number == 0 else 1)])
    ledger.config = replace(
        ledger.config, free_space_floor_bytes=1 << 60, retention=Retention(Keep(max_age_seconds=90 * DAY))
    )
    work = ledger.maintain()
    assert work.did == "removed 1 spans by age"
    assert "too little to merge" in work.problems[0]
    ledger.append([aged(99, 1)])
    assert ledger.maintain().did == ""
    assert len(ledger.live) == 16


def test_a_segment_that_lacks_rows_is_not_merged_away(ledger: ScratchLedger) -> None:
    """The file holds fewer rows than the manifest says: better no merge than a ledger that forgets."""
    for trace in range(16):
        ledger.append([call(trace, 1), call(trace, 2)])
    path = ledger.layout.segments / ledger.live[4].file
    path.unlink()
    parquet.write_table(judged(batch([call(4, 1)]), 9, 1), path)
    with pytest.raises(OSError, match="31 rows were read of 32"):
        ledger.maintain()
    assert len(ledger.live) == 16
    assert not list(ledger.layout.segments.glob(".*"))


def test_old_batches_become_one_row(ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums, the last seq and the journal position stay; recent batches keep their own rows."""
    monkeypatch.setattr(maintenance, "MOST_BATCHES", 5)
    monkeypatch.setattr(maintenance, "KEPT_BATCHES", 2)
    for trace in range(6):
        ledger.append([call(trace, 1), span(trace, 2)])
    sums = "SELECT sum(spans), sum(cost_usd), max(batch), max(first_seq + spans - 1), max(committed_at)"
    before = ledger.connection.execute(f"{sums} FROM _ledger.batch").fetchall()
    assert ledger.settle() == ["batches up to 4 became one row"]
    assert ledger.connection.execute(f"{sums} FROM _ledger.batch").fetchall() == before
    rows = ledger.connection.execute("SELECT batch, first_seq, spans FROM _ledger.batch ORDER BY batch").fetchall()
    assert rows == [(4, 1, 8), (5, 9, 2), (6, 11, 2)]


@pytest.mark.parametrize(
    ("sizes", "most_files", "most_writes"),
    [
        ([1] * 20_000, 60, 5.5),
        ([100] * 5_000, 60, 5.0),
        ([20_000] * 1_000, 60, 4.0),
        ([65_536] * 1_600, 100, 3.5),
        ([65_536, 3, 1, 500] * 400, 100, 4.0),
    ],
)
def test_steady_ingest_needs_few_files_and_few_rewrites(sizes: list[int], most_files: int, most_writes: float) -> None:
    """Whatever the size of the batches: the number of live files, and how often a row is written, stay small."""
    live, writes = simulate(sizes)
    assert len(live) <= most_files, len(live)
    assert writes <= most_writes
    assert sum(each.rows for each in live) == sum(sizes)
    assert all(each.rows <= compaction.FULL_ROWS for each in live)


def test_segments_of_wide_rows_are_full_by_bytes() -> None:
    """Rows of 100 KB: 16 files of 100 MiB are not one file of 1.6 GB."""
    live = [segment(1 + 1000 * number, 1000, size_bytes=100 << 20) for number in range(16)]
    merge = plan(live, {})
    assert merge is None or sum(each.size_bytes for each in merge.segments) <= compaction.FULL_BYTES


def test_the_archive_is_never_merged() -> None:
    """Cold files lie in folders that others read; they stay as they are."""
    assert plan([segment(number, 1, cold=True) for number in range(1, 40)], {}) is None


def test_ranges_are_joined_at_the_smallest_gaps() -> None:
    """At most four remain, and nothing falls out of them."""
    assert union([(0, 5), (3, 8), (10, 11), (100, 110), (500, 510), (505, 600), (2000, 2001)]) == (
        (0, 11),
        (100, 110),
        (500, 600),
        (2000, 2001),
    )


def test_a_footer_survives_being_parsed(tmp_path: Path) -> None:
    """Every field of a real footer comes out of the codec as it went in, byte by byte."""
    content = bytes(encoded(judged(batch([call(1, 1), span(1, 2)]), 1, 1)))
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    assert serialize(parse(footer)) == footer


def test_a_footer_is_read_one_row_group_at_a_time(tmp_path: Path) -> None:
    """In order, again from the start, or not at all; what stands behind the groups is kept."""
    path = tmp_path / "groups.parquet"
    rows = judged(batch([call(1, number) for number in range(1, 41)]), 1, 1)
    parquet.write_table(rows, path, row_group_size=10, **manifest.parquet_options(ROW_SCHEMA))
    content = path.read_bytes()
    data = content[-8 - int.from_bytes(content[-8:-4], "little") : -8]
    whole = parse(data)
    groups = whole[ROW_GROUPS][1][1]
    footer = Footer(data)
    assert [footer.group(number) for number in (0, 2, 3, 1)] == [groups[number] for number in (0, 2, 3, 1)]
    with pytest.raises(ValueError, match="4 row groups, no 4"):
        footer.group(4)
    kept = {field: value for field, value in whole.items() if field != KEY_VALUES}
    for asked in (footer, Footer(data)):
        again = parse(asked.with_groups([serialize(group) for group in groups[1:]], 30))
        assert again == {**kept, NUM_ROWS: (I64, 30), ROW_GROUPS: (whole[ROW_GROUPS][0], (STRUCT, groups[1:]))}


def test_a_merge_gives_way_after_every_row_group(ledger: ScratchLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits between the parts decides by how much CPU each took; the result is the same."""
    monkeypatch.setattr(rewrite, "COPIED_ROWS", 2)
    for trace in range(1, 17):
        ledger.append([call(trace, 1), call(trace, 2)])
    took: list[float] = []
    merge = compaction.plan(ledger.live, {})
    assert merge is not None
    merged, _ = compaction.merged(merge, ledger.read, ledger.layout.segments, took.append)
    assert merged.rows == 32
    assert len(took) == 16
    assert min(took) > 0


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\xff" * 40, b"x" * 30 + (9).to_bytes(4, "little") + b"PAR1"])
def test_a_file_that_is_no_parquet_is_told(damage: bytes) -> None:
    """A damaged footer is NotJoinable, whatever it looks like."""
    with pytest.raises(NotJoinable):
        _ = Source(io.BytesIO(damage)).schema


def test_row_groups_of_another_schema_are_not_copied(tmp_path: Path) -> None:
    """A file of an older program is decoded instead."""
    other = io.BytesIO()
    parquet.write_table(pa.table({"seq": [1]}), other)
    joiner = Joiner(tmp_path / "joined")
    joiner.start()
    joiner.append_bytes(encoded(judged(batch([call(1, 1)]), 1, 1)))
    with pytest.raises(NotJoinable, match="another schema"):
        joiner.append_bytes(other.getvalue())
    joiner.finish()
    assert parquet.read_table(tmp_path / "joined").num_rows == 1


def test_wide_rows_are_merged_without_holding_them_all(tmp_path: Path) -> None:
    """Rows of 200 KB that are too small a group to copy: read and written in pieces of bounded size."""
    wide = [call(1, number, attributes='{"prompt":"' + "x" * 200_000 + f'{number}"}}') for number in range(1, 41)]
    path = tmp_path / "wide.parquet"
    parquet.write_table(judged(batch(wide), 1, 1), path, **manifest.parquet_options(ROW_SCHEMA))
    with path.open("rb") as file:
        parts = [part.num_rows for part in rewrite.read(file, parquet.ParquetFile(file).metadata, 0)]
    assert sum(parts) == 40
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall() == [(40,)]
