"""Disks that are full or fail: a group is refused as a whole, what was acknowledged stays, and writing goes on."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.errors import StoreUnavailable
from tests.collector.journal.disks import (
    EIO,
    ENOSPC,
    RECEIVED_NS,
    FaultyDisk,
    FullDisk,
    bodies,
    config,
    logs,
    opened,
    requests,
)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """The kernel writes up to the limit and refuses the rest, as it does when a disk becomes full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_below_the_floor_of_free_space_nothing_is_taken(tmp_path: Path) -> None:
    """What is acknowledged must still find room in the ledger."""
    journal, _ = opened(config(tmp_path / "journal", free_space_floor_bytes=1_001), disk=FullDisk())
    with pytest.raises(StoreUnavailable, match="disk left"):
        journal.append(requests(b"x"), RECEIVED_NS)
    assert logs(tmp_path / "journal") == []


def test_a_write_that_the_kernel_refuses_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    """A real half-written group: refused, cut off, and what follows is whole, also for the next start."""
    folder = tmp_path / "journal"
    journal, _ = opened(config(folder))
    journal.append(requests(b"before" * 100), RECEIVED_NS)
    with files_of_at_most(journal.size_bytes + 50_000), pytest.raises(StoreUnavailable):
        journal.append(requests(b"a" * 30_000, b"b" * 100_000), RECEIVED_NS)
    assert logs(folder)[0].stat().st_size == journal.size_bytes
    journal.append(requests(b"after"), RECEIVED_NS)
    assert bodies(journal) == [b"before" * 100, b"after"]
    assert bodies(opened(config(folder))[0]) == [b"before" * 100, b"after"]


def test_a_write_that_fails_is_cut_off(tmp_path: Path) -> None:
    """Half of a group is not acknowledged, so nothing of it is replayed."""
    disk = FaultyDisk(write=(1, ENOSPC))
    journal, reports = opened(config(tmp_path / "journal"), disk=disk)
    with pytest.raises(StoreUnavailable, match="No space left"):
        journal.append(requests(b"refused" * 9, b"refused too"), RECEIVED_NS)
    journal.append(requests(b"taken"), RECEIVED_NS)
    assert (bodies(journal), reports) == ([b"taken"], [])
    assert len(logs(tmp_path / "journal")) == 1


def test_a_sync_that_fails_is_never_asked_again_of_the_same_file(tmp_path: Path) -> None:
    """The kernel forgets pages that it could not write: the group goes into a new file, and is acknowledged there."""
    disk = FaultyDisk()
    journal, reports = opened(config(tmp_path / "journal"), disk=disk)
    journal.append(requests(b"before"), RECEIVED_NS)
    disk.faults["sync"] = (1, EIO)
    disk.calls.clear()
    journal.append(requests(b"again"), RECEIVED_NS)
    assert [call for call in disk.calls if call in ("write", "sync", "create")] == [
        "write", "sync", "create", "write", "sync",
    ]  # fmt: skip
    assert len(reports) == 1
    assert bodies(opened(config(tmp_path / "journal"))[0]) == [b"before", b"again"]


def test_when_every_sync_fails_the_group_is_refused_and_later_ones_are_taken(tmp_path: Path) -> None:
    """A broken disk that comes back: nothing acknowledged is lost, nothing refused is there."""
    disk = FaultyDisk(sync=(2, EIO))
    journal, _ = opened(config(tmp_path / "journal"), disk=disk)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        journal.append(requests(b"refused"), RECEIVED_NS)
    journal.append(requests(b"taken"), RECEIVED_NS)
    again, reports = opened(config(tmp_path / "journal"))
    assert (bodies(again), reports) == ([b"taken"], [])


def test_a_file_that_cannot_be_cut_is_given_up(tmp_path: Path) -> None:
    """The next group begins in a new file, so that no garbage stands before it."""
    disk = FaultyDisk()
    journal, reports = opened(config(tmp_path / "journal"), disk=disk)
    journal.append(requests(b"before"), RECEIVED_NS)
    disk.faults.update(write=(1, EIO), truncate=(2, EIO))
    journal.append(requests(b"in the new file"), RECEIVED_NS)
    assert bodies(opened(config(tmp_path / "journal"))[0]) == [b"before", b"in the new file"]
    assert len(logs(tmp_path / "journal")) == 2
    assert len(reports) == 1


@pytest.mark.parametrize("error", [ENOSPC, EIO])
def test_a_file_that_cannot_be_created_refuses_the_group(tmp_path: Path, error: int) -> None:
    """And is created for the next one."""
    journal, _ = opened(config(tmp_path / "journal"), disk=FaultyDisk(create=(1, error)))
    with pytest.raises(StoreUnavailable):
        journal.append(requests(b"refused"), RECEIVED_NS)
    journal.append(requests(b"taken"), RECEIVED_NS)
    assert bodies(journal) == [b"taken"]


def test_a_file_system_that_cannot_allocate_ahead_is_good_enough(tmp_path: Path) -> None:
    """Room ahead is for speed only."""
    journal, _ = opened(config(tmp_path / "journal"), disk=FaultyDisk(allocate=(1_000, EIO)))
    for number in range(50):
        journal.append(requests(b"%d" % number), RECEIVED_NS)
    assert bodies(opened(config(tmp_path / "journal"))[0]) == [b"%d" % number for number in range(50)]


def test_a_file_that_cannot_be_deleted_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its records are in the ledger; the next start tries again."""
    journal, _ = opened(config(tmp_path / "journal", file_bytes=1))
    for body in (b"one", b"two"):
        journal.append(requests(body), RECEIVED_NS)

    def refuse(path: Path) -> None:
        raise PermissionError(f"{path}: not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        journal.release(1)
    assert "cannot be deleted" in caplog.text
    journal.append(requests(b"three"), RECEIVED_NS)
    again, _ = opened(config(tmp_path / "journal"), applied=3)
    again.release(3)
    assert logs(tmp_path / "journal") == []
