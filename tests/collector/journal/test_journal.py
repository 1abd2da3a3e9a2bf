"""What is written to a journal is there after whatever end the process had; what was damaged costs itself only."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from collector.journal import Record
from tests.collector.journal.disks import RECEIVED_NS, bodies, config, everything, logs, opened, requests


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Bodies of any bytes, organisations of any letters, numbers from 1 on in the order of writing."""
    first, second = requests(b"", b"\x00\xff" * 10), requests(b"x" * 200_000, org_id="Bücher & Söhne")
    journal, _ = opened(config(tmp_path / "journal"))
    assert journal.append(first, RECEIVED_NS) == 1
    assert journal.append(second, RECEIVED_NS + 1) == 3
    expected = [
        Record(1, RECEIVED_NS, first[0]),
        Record(2, RECEIVED_NS, first[1]),
        Record(3, RECEIVED_NS + 1, second[0]),
    ]
    assert everything(journal) == expected
    again, reports = opened(config(tmp_path / "journal"))  # the first one was never closed, as after kill -9
    assert everything(again) == expected
    assert reports == []


def test_a_group_of_thousands_is_written_as_one(tmp_path: Path) -> None:
    """More buffers than one system call takes, with bodies too large to be copied together."""
    journal, _ = opened(config(tmp_path / "journal"))
    sent = [b"%d" % number * 50 for number in range(3_000)]
    journal.append(requests(*sent), RECEIVED_NS)
    assert bodies(journal) == sent


def test_only_what_is_behind_a_record_is_loaded(tmp_path: Path) -> None:
    """Replay starts where the ledger ends, and one group can be read again."""
    journal, _ = opened(config(tmp_path / "journal", file_bytes=100))
    for number in range(1, 10):
        journal.append(requests(b"%d" % number * 30), RECEIVED_NS)
    assert [record.number for record in journal.load(4, 6)] == [4, 5, 6]
    again, _ = opened(config(tmp_path / "journal"), applied=7)
    assert [record.number for record in everything(again, 8)] == [8, 9]


def test_files_are_deleted_once_all_of_their_records_are_applied(tmp_path: Path) -> None:
    """A file stays as long as one of its records is needed; the one that is written stays until the end."""
    journal, _ = opened(config(tmp_path / "journal", file_bytes=1))
    for number in range(1, 5):
        journal.append(requests(b"%d" % number, b"%d" % number), RECEIVED_NS)
    assert journal.file_count == 4
    journal.release(5)
    assert [record.number for record in everything(journal)] == [5, 6, 7, 8]
    journal.release(8)
    assert journal.file_count == 1
    journal.stop(8)
    assert (journal.file_count, journal.size_bytes, logs(tmp_path / "journal")) == (0, 0, [])


def test_numbers_go_on_behind_the_ledger_and_behind_the_files(tmp_path: Path) -> None:
    """A number is never given to two records that the ledger could take for one another."""
    journal, _ = opened(config(tmp_path / "journal"), applied=41)
    assert journal.append(requests(b"a"), RECEIVED_NS) == 42
    again, _ = opened(config(tmp_path / "journal"), applied=7)
    assert again.append(requests(b"b"), RECEIVED_NS) == 43
    assert bodies(again) == [b"a", b"b"]


def test_a_record_cut_short_anywhere_is_forgotten_without_a_word(tmp_path: Path) -> None:
    """At every byte at which a crash can stop a write, what was whole is there and writing goes on."""
    folder = tmp_path / "journal"
    journal, _ = opened(config(folder))
    journal.append(requests(b"whole"), RECEIVED_NS)
    whole_bytes = journal.size_bytes
    journal.append(requests(b"torn" * 5), RECEIVED_NS)
    (file,) = logs(folder)
    content = file.read_bytes()[: journal.size_bytes]
    for length in range(whole_bytes, len(content)):
        for behind in (b"", b"\x00" * 100):  # room that was allocated ahead
            file.write_bytes(content[:length] + behind)
            again, reports = opened(config(folder))
            assert (bodies(again), reports) == ([b"whole"], [])
    again.append(requests(b"next"), RECEIVED_NS)
    assert bodies(opened(config(folder))[0]) == [b"whole", b"next"]


@pytest.mark.parametrize("seed", range(20))
def test_damage_costs_the_record_that_it_hits_and_is_reported(tmp_path: Path, seed: int) -> None:
    """A bit flipped anywhere in the middle: every other record is replayed, the file is kept when it is released."""
    folder, chance = tmp_path / "journal", Random(seed)
    journal, _ = opened(config(folder))
    sent = [chance.randbytes(chance.randrange(200)) for _ in range(10)]
    for body in sent:
        journal.append(requests(body), RECEIVED_NS)
    (file,) = logs(folder)
    content = bytearray(file.read_bytes())
    starts = [content.find(content[:8], 0)]
    while (start := content.find(content[:8], starts[-1] + 1)) >= 0:
        starts.append(start)
    hit = chance.randrange(9)
    content[chance.randrange(starts[hit], starts[hit + 1])] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    again, reports = opened(config(folder))
    assert [record.number for record in everything(again)] == [number + 1 for number in range(10) if number != hit]
    assert bodies(again) == sent[:hit] + sent[hit + 1 :]
    assert len(reports) == 1
    assert f"bytes {starts[hit]} to {starts[hit + 1]} are damaged" in reports[0]
    again.release(10)
    assert [path.name for path in folder.iterdir()] == [file.with_suffix(".damaged").name]
    assert file.with_suffix(".damaged").read_bytes() == content


def test_the_end_of_an_older_file_is_damage_not_an_unfinished_write(tmp_path: Path) -> None:
    """Only the file that was written last can have been cut short by a crash."""
    folder = tmp_path / "journal"
    journal, _ = opened(config(folder, file_bytes=1))
    for body in (b"one", b"two", b"three"):
        journal.append(requests(body), RECEIVED_NS)
    older = logs(folder)[1]
    older.write_bytes(older.read_bytes()[:-1])
    again, reports = opened(config(folder))
    assert bodies(again) == [b"one", b"three"]
    assert [older.name in report for report in reports] == [True]


def test_a_body_cannot_pose_as_a_record(tmp_path: Path) -> None:
    """A copy of a record of another journal inside a damaged body is not taken for a record of this one."""
    other, _ = opened(config(tmp_path / "other"))
    other.append(requests(b"forged", org_id="victim"), RECEIVED_NS)
    forged = logs(tmp_path / "other")[0].read_bytes()[: other.size_bytes]
    journal, _ = opened(config(tmp_path / "journal"))
    journal.append(requests(b"before" + forged + b"behind"), RECEIVED_NS)
    journal.append(requests(b"last"), RECEIVED_NS)
    (file,) = logs(tmp_path / "journal")
    content = bytearray(file.read_bytes())
    content[content.find(b"before")] ^= 1
    file.write_bytes(content)
    assert bodies(opened(config(tmp_path / "journal"))[0]) == [b"last"]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A journal reads and deletes only what it wrote."""
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "notes.log").write_text("mine")
    journal, reports = opened(config(folder))
    journal.stop(100)
    assert [path.name for path in folder.iterdir()] == ["notes.log"]
    assert reports == []
