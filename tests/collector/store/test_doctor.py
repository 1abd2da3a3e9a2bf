"""The examination of a ledger: a sound one has no findings, each kind of damage has its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from collector.store import scrub as scrubbing
from collector.store.checkup import CannotCheck, Checkup, Copied, examine
from collector.store.manifest import live, parquet_options
from collector.store.rows import ROW_SCHEMA
from collector.store.store import Store
from tests.collector.store.ledger_rows import attribute, batch, call, span

OpenStore = Callable[..., Store]


@pytest.fixture
def filled(open_store: OpenStore, ledger_path: Path) -> Path:
    """Three batches; the last one changes the verdict on a call of the first."""
    store = open_store()
    store.append(batch([call(1, 2, 1), call(1, 3, 1), span(2, 1)]), attribute)
    store.append(batch([call(number, 1, org_id="acme") for number in range(10, 30)]), attribute)
    store.append(batch([span(1, 1, agent="planner")]), attribute)
    store.stop()
    return ledger_path


def deep(path: Path) -> Checkup:
    checkup, copied = examine(path)
    assert copied is not None
    scrubbing.scrub(checkup, copied, attribute)
    return checkup


def manifest_of(path: Path) -> Copied:
    copied = examine(path)[1]
    assert copied is not None
    return copied


def problems(checkup: Checkup) -> str:
    return "\n".join(finding.what for finding in checkup.findings if finding.severity == "problem")


def largest(path: Path) -> Path:
    """The file with most rows."""
    segment = max(manifest_of(path).segments, key=lambda each: each.rows)
    return Path(f"{path}.live") / "segments" / segment.file


def change(path: Path, column: str, to: Callable[[pa.ChunkedArray], Any]) -> None:
    """Write a file anew with one column changed."""
    table = parquet.read_table(path).cast(ROW_SCHEMA)
    index = ROW_SCHEMA.get_field_index(column)
    table = table.set_column(index, ROW_SCHEMA.field(index), to(table.column(column)))
    path.chmod(0o644)
    parquet.write_table(table, path, **parquet_options(ROW_SCHEMA))


def test_a_sound_ledger_has_no_findings(filled: Path) -> None:
    """Short and long look; every file is as it was, to the byte and the second."""
    folder = Path(f"{filled}.live")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder / "segments").iterdir()}
    ledger = (folder / "ledger.duckdb").read_bytes()
    checkup = deep(filled)
    assert checkup.findings == []
    assert checkup.healthy
    assert checkup.facts["manifest"]["spans"] == 24
    assert checkup.facts["manifest"]["amendments"] > 0
    assert checkup.facts["published"]["largest_organizations"][0] == {"org_id": "acme", "spans": 20}
    assert any("judged anew" in what for what in checkup.checked)
    after = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder / "segments").iterdir()}
    assert after == before
    assert (folder / "ledger.duckdb").read_bytes() == ledger


def test_beside_a_running_collector_the_rest_is_said_to_be_unchecked(open_store: OpenStore, ledger_path: Path) -> None:
    """The published file is looked at; the collector keeps its ledger and goes on."""
    store = open_store()
    store.append(batch([call(1, 1)]), attribute)
    store.publish()
    checkup, copied = examine(ledger_path)
    assert copied is None
    assert checkup.running
    assert checkup.healthy
    assert checkup.facts["published"]["spans"] == 1
    assert any("a collector holds it" in what for what in checkup.not_checked)
    assert store.append(batch([call(2, 1)]), attribute).accepted == 1


def test_a_collector_can_start_right_after(filled: Path, open_store: OpenStore) -> None:
    """The lock and the file are given back before the files are looked at."""
    examine(filled)
    assert open_store().append(batch([call(3, 1)]), attribute).accepted == 1


def test_nothing_there_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(CannotCheck, match="there is no ledger"):
        examine(tmp_path / "none.duckdb")


def test_a_missing_file_is_a_problem_with_its_cost(filled: Path) -> None:
    largest(filled).unlink()
    checkup = examine(filled)[0]
    found = [finding for finding in checkup.findings if "is missing" in finding.what]
    assert not checkup.healthy
    assert "20 spans that cost 0.25" in found[-1].meaning


def test_a_file_cut_short_is_a_problem(filled: Path) -> None:
    path = largest(filled)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-100])
    assert "cannot be read" in problems(examine(filled)[0])


def test_a_flipped_byte_is_found_by_the_long_look(filled: Path) -> None:
    """Size and footer are as they were; only reading the column shows it."""
    path = largest(filled)
    content = bytearray(path.read_bytes())
    metadata = parquet.read_metadata(path).row_group(0)
    column = metadata.column(ROW_SCHEMA.get_field_index("attributes"))
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(content)
    short = [finding for finding in examine(filled)[0].findings if str(path) in finding.what]
    assert short == []
    assert str(path) in problems(deep(filled))


@pytest.mark.parametrize(
    ("column", "to", "told"),
    [
        ("cost_usd", lambda values: pc.multiply(values, 2).cast(values.type), "cost 0.5"),
        ("seq", lambda values: values.combine_chunks()[::-1], "not in order"),
        ("seq", lambda values: pc.add(values, 1000), "outside of its range"),
        ("seq", lambda values: pc.subtract(values, 3), "outside of its range"),
        ("org_id", lambda values: pa.array(["x"] * len(values)).dictionary_encode(), "organisations"),
        ("start_time", lambda values: pc.add(values.cast("int64"), 10**15).cast(values.type), "outside of its ranges"),
        ("span_id", None, "stored more than once"),
    ],
)
def test_rows_that_contradict_the_manifest(
    filled: Path, column: str, to: Callable[[pa.ChunkedArray], Any] | None, told: str
) -> None:
    """Each fact that the manifest keeps of a file is held against every row of it."""
    path = largest(filled)
    if to is None:
        change(path, "trace_id", lambda values: pa.array(["1" * 32] * len(values)))
        change(path, column, lambda values: pa.array(["2" * 16] * len(values)))
    else:
        change(path, column, to)
    assert told in problems(deep(filled))


def test_verdicts_that_are_not_what_the_trace_says(filled: Path) -> None:
    """A sample is judged anew: calls counted otherwise are told, as a warning."""
    change(largest(filled), "counted", lambda values: pa.array([False] * len(values)))
    warnings = [finding.what for finding in deep(filled).findings if finding.severity == "warning"]
    assert any("judged otherwise today" in what for what in warnings)


def test_what_lies_around_is_named(filled: Path) -> None:
    """Files kept aside, backups, and files that belong to nothing."""
    folder = Path(f"{filled}.live")
    for name in ("damaged/1-2.parquet", "backups/v1.duckdb", "segments/9-9-stray.parquet"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    checkup = examine(filled)[0]
    told = {finding.severity: finding.what for finding in checkup.findings}
    assert checkup.healthy
    assert "damaged files were kept aside" in told["warning"]
    assert {finding.severity for finding in checkup.findings} == {"warning", "note"}
    assert checkup.facts["backups"] == [str(folder / "backups" / "v1.duckdb")]


def test_a_published_file_that_is_gone_is_a_problem(filled: Path) -> None:
    filled.unlink()
    assert "is missing" in problems(examine(filled)[0])


def test_batches_are_added_up_against_segments(filled: Path) -> None:
    """A manifest that has lost a segment's row: the sum of the batches says so."""
    with duckdb.connect(str(Path(f"{filled}.live") / "ledger.duckdb")) as connection:
        file = max(live(connection), key=lambda each: each.rows).file
        connection.execute("DELETE FROM _ledger.segment WHERE file = ?", [file])
    assert "batches promise 24 spans" in problems(examine(filled)[0])
