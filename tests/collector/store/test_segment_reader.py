"""What is wrong with a segment is told apart from what is wrong with the machine."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from collector.errors import StoreUnavailable
from collector.store import manifest
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
