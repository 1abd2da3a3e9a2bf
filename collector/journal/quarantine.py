"""Requests that were acknowledged and that a later stage cannot digest: kept whole, out of everybody's way.

`<record>-<received ns>.pb` is the request as it was sent; `otel-cost import` takes it once a repaired version runs.
The `.json` beside it says why it is there and whose it is.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from collector.errors import StoreUnavailable
from collector.journal.disk import Disk
from collector.journal.record import Record


class Quarantine:
    """The folder. Belongs to one thread."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()

    @property
    def request_count(self) -> int:
        """Requests that lie there."""
        try:
            return sum(name.endswith(".pb") for name in os.listdir(self._folder))
        except FileNotFoundError:
            return 0

    def keep(self, record: Record, reason: str) -> Path:
        """Put a request aside; durable when this returns. The same record a second time replaces the first.

        Raises StoreUnavailable when the disk is full.
        """
        received = datetime.fromtimestamp(record.received_at_ns / 1e9, UTC).isoformat(timespec="microseconds")
        note = {"reason": reason, "org_id": record.request.org_id, "record": record.number, "received": received}
        if record.request.origin.token:
            note["ingest_token"] = record.request.origin.token
        path = self._folder / f"{record.number:020d}-{record.received_at_ns}.pb"
        try:
            self._folder.mkdir(exist_ok=True)
            self._disk.sync_folder(self._folder.parent)
            self._write(path.with_suffix(".json"), json.dumps(note, indent=1).encode())
            self._write(path, record.request.body)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise StoreUnavailable(f"{path}: cannot be written: {error}") from error
        return path

    def _write(self, path: Path, content: bytes) -> None:
        """The file as a whole, or not at all."""
        draft = path.with_name(path.name + ".new")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
