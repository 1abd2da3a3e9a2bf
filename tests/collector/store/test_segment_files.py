"""How segments are written: what questions read most is cheap to read, look-ups by trace skip what they can."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks.ledger_rows import chunk
from collector.store import manifest
from collector.store.join import Joiner, Source
from collector.store.rows import ROW_SCHEMA

ROWS = manifest.SMALL_ROWS * 2


def _write(folder: Path, first_seq: int, seed: int) -> Path:
    rows = chunk(first_seq, 10**18, 10**18 + 10**12, seed, ROWS)
    return folder / manifest.write(folder, [rows]).file


def test_whole_numbers_are_written_as_differences_and_read_the_same(tmp_path: Path) -> None:
    """Money, tokens and times are packed; pyarrow and DuckDB read what was written."""
    rows = chunk(1, 10**18, 10**18 + 10**12, 1, ROWS)
    path = _write(tmp_path, 1, 1)
    found = duckdb.execute(
        "SELECT path_in_schema FROM parquet_metadata(?) WHERE contains(encodings, 'DELTA_BINARY_PACKED')", [str(path)]
    ).fetchall()
    assert {"seq", "start_time", "end_time", "input_tokens", "cost_usd"} <= {name for (name,) in found}
    table = parquet.read_table(path, columns=["cost_usd", "input_tokens", "end_time"])
    for name in table.column_names:
        assert table.column(name).equals(rows.column(name).cast(table.column(name).type))
    total = sum(cost for cost in rows.column("cost_usd").to_pylist() if cost is not None)
    assert duckdb.execute("SELECT sum(cost_usd) FROM read_parquet(?)", [str(path)]).fetchall() == [(total,)]


def test_row_groups_keep_their_filter_when_they_are_copied(tmp_path: Path) -> None:
    """A trace is found in the copied group that holds it, and the filter of the other one rules that out."""
    filters = "bloom_filter_options" in manifest.parquet_options(ROW_SCHEMA, traces=1)  # older pyarrow writes none
    files = [_write(tmp_path, 1, 1), _write(tmp_path, 1 + ROWS, 2)]
    joined = tmp_path / "joined.parquet"
    joiner = Joiner(joined)
    joiner.start()
    for path in files:
        with path.open("rb") as file:
            joiner.append(Source(file), 0)
    joiner.finish()
    for group, path in enumerate(files):
        traces = parquet.read_table(path, columns=["trace_id"]).column(0).unique().to_pylist()
        ruled_out = [0, 0]
        for trace in traces[:200]:
            probed = "SELECT row_group_id, bloom_filter_excludes FROM parquet_bloom_probe(?, 'trace_id', ?)"
            for number, excludes in duckdb.execute(probed, [str(joined), trace]).fetchall():
                ruled_out[number] += excludes
        assert ruled_out[group] == 0
        assert ruled_out[1 - group] > 150 or not filters
        assert duckdb.execute(
            "SELECT count(*) FROM read_parquet(?) WHERE trace_id = ?", [str(joined), traces[0]]
        ).fetchall() == [(8,)]


def test_a_filter_whose_length_is_unknown_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a row group is copied without it: still right, only read in vain sometimes."""
    with _write(tmp_path, 1, 1).open("rb") as file:
        source = Source(file)
        group = source.group(0)
        for column in group[1][1][1]:
            column[3][1].pop(15, None)
        monkeypatch.setattr(source, "group", lambda _: group)
        joiner = Joiner(tmp_path / "joined.parquet")
        joiner.start()
        joiner.append(source, 0)
        joiner.finish()
    lengths = duckdb.execute(
        "SELECT count(bloom_filter_offset) FROM parquet_metadata(?)", [str(tmp_path / "joined.parquet")]
    ).fetchall()
    assert lengths == [(0,)]
    assert parquet.read_table(tmp_path / "joined.parquet").num_rows == ROWS


def test_a_joined_footer_leaves_out_what_nobody_reads(tmp_path: Path) -> None:
    """Every statement parses the footers of all files. The rows are the same, and encoded as they were."""
    path = _write(tmp_path, 1, 1)
    joiner = Joiner(tmp_path / "joined.parquet")
    joiner.start()
    with path.open("rb") as file:
        joiner.append(Source(file), 0)
    joiner.finish()
    before, after = (parquet.ParquetFile(each) for each in (path, tmp_path / "joined.parquet"))
    assert after.metadata.serialized_size < 0.8 * before.metadata.serialized_size
    texts = [field.name for field in ROW_SCHEMA if pa.types.is_dictionary(field.type)]
    read = [parquet.read_table(each, read_dictionary=texts) for each in (path, tmp_path / "joined.parquet")]
    assert read[0].equals(read[1])
    described = "SELECT path_in_schema, encodings, stats_min, stats_max FROM parquet_metadata(?)"
    footers = [duckdb.execute(described, [str(each)]).fetchall() for each in (path, tmp_path / "joined.parquet")]
    assert footers[0] == footers[1]


def test_filters_are_sized_by_how_often_the_trace_changes() -> None:
    """Eight spans a trace need an eighth of the room of one span a trace."""
    assert manifest.traces_of_group(chunk(1, 10**18, 10**18 + 10**12, 1, ROWS)) == ROWS // 8
