"""What is wrong with a segment is told apart from what is wrong with the machine."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from pyarrow import parquet

from collector.errors import StoreUnavailable
from collector.store import manifest, segment_reader
from collector.store.segment_reader import SegmentReader, SegmentUnreadable
from tests.collector.store.ledger_rows import batch, call
from tests.collector.store.scratch_ledger import judged


def written(folder: Path) -> manifest.Segment:
    return manifest.write(folder, [judged(batch([call(1, 1)]), 1, 1)])


@pytest.mark.parametrize("known", [False, True], ids=["footer", "rows"])
def test_without_descriptors_a_file_is_not_taken_for_damaged(tmp_path: Path, known: bool) -> None:
    """Such a file would be set aside, and with it the ledger."""
    segment = written(tmp_path)
    reader = SegmentReader(tmp_path)
    groups = reader.groups(segment) if known else []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StoreUnavailable, match="Too many open files") as caught:
            reader.read(groups[0], ["seq"]) if known else reader.groups(segment)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not isinstance(caught.value, SegmentUnreadable)
    assert reader.read(reader.groups(segment)[0], ["seq"]).num_rows == 1


def test_a_file_that_is_gone_or_no_parquet_is_unreadable(tmp_path: Path) -> None:
    segment = written(tmp_path)
    (tmp_path / segment.file).write_bytes(b"nothing")
    with pytest.raises(SegmentUnreadable):
        SegmentReader(tmp_path).groups(segment)
    (tmp_path / segment.file).unlink()
    with pytest.raises(SegmentUnreadable):
        SegmentReader(tmp_path).groups(segment)


def test_footers_are_kept_by_their_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of many row groups takes the room of many files; where the groups are stays known without them."""
    monkeypatch.setattr(segment_reader, "_FOOTER_GROUPS", 5)
    monkeypatch.setattr(manifest, "GROUP_ROWS", 2)
    tables = [judged(batch([call(trace, number) for number in range(1, 7)]), 6 * trace + 1, 1) for trace in range(4)]
    segments = [manifest.write(tmp_path, [table]) for table in tables]
    read: list[str] = []
    read_metadata = parquet.read_metadata

    def noted(path: Path) -> parquet.FileMetaData:
        read.append(path.name)
        return read_metadata(path)

    monkeypatch.setattr(parquet, "read_metadata", noted)
    reader = SegmentReader(tmp_path)
    files = [segment.file for segment in segments]
    groups = [reader.groups(segment) for segment in segments]
    assert [len(found) for found in groups] == [3, 3, 3, 3]
    assert [reader.groups(segment) for segment in segments] == groups
    assert read == files
    assert reader.read(groups[3][2], ["seq"]).column(0).to_pylist() == [23, 24]
    assert read == files  # the newest footer is still there
    assert reader.read(groups[0][0], ["seq"]).column(0).to_pylist() == [1, 2]
    assert read == [*files, files[0]]
