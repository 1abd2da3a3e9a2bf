"""A request that cannot be applied is kept so that a person can look at it and a repaired version can take it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.decode.request import Request
from collector.errors import StoreUnavailable
from collector.journal import Quarantine, Record
from tests.collector.journal.disks import RECEIVED_NS

RECORD = Record(7, RECEIVED_NS, Request(b"\x0a\x00", "acme"))


def test_the_request_is_kept_as_it_was_sent_beside_the_reason(tmp_path: Path) -> None:
    """The body byte for byte, and whose it is, when it came, and why it is here."""
    quarantine = Quarantine(tmp_path / "quarantine")
    assert quarantine.request_count == 0
    path = quarantine.keep(RECORD, "ValueError: odd")
    assert path.read_bytes() == b"\x0a\x00"
    note = json.loads(path.with_suffix(".json").read_text())
    assert note["reason"] == "ValueError: odd"
    assert (note["org_id"], note["record"], note["received"]) == ("acme", 7, "2026-01-01T00:00:00.000000+00:00")
    assert quarantine.request_count == 1


def test_the_same_record_again_is_one_request_and_another_one_never_replaces_it(tmp_path: Path) -> None:
    """A replay after a crash changes nothing; a number given anew after a loss of files is another record."""
    quarantine = Quarantine(tmp_path / "quarantine")
    quarantine.keep(RECORD, "first")
    quarantine.keep(RECORD, "again")
    assert quarantine.request_count == 1
    quarantine.keep(Record(7, RECEIVED_NS + 1, Request(b"other", "acme")), "other")
    assert quarantine.request_count == 2


def test_a_folder_that_cannot_be_written_is_tried_again_later(tmp_path: Path) -> None:
    """The request is still in the journal."""
    (tmp_path / "quarantine").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        Quarantine(tmp_path / "quarantine").keep(RECORD, "x")
