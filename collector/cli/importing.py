"""Files into the ledger through the collector's own pipeline, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from collector import telemetry as metrics
from collector.catalogue.shelf import newest_card
from collector.cli.otlp_files import Piece, UnreadableFile, detect, opened, pieces, size_of
from collector.decode.otlp_json import to_protobuf
from collector.decode.request import DecodeLimits, Request
from collector.errors import RequestError
from collector.normalise import ESSENTIAL_KEYS
from collector.pipeline import Pipeline
from collector.receive.senders import DEFAULT_ORGANIZATION
from collector.store import Store, StoreConfig
from collector.telemetry import Telemetry
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards, Overrides

GROUP_BYTES = 16 * 1024 * 1024
GROUP_REQUESTS = 1_024
"""Requests that are committed together; a commit has a fixed cost of milliseconds."""

Progress = Callable[[Path, int, int], None]
"""Told the file, how far into it everything is stored, and its size, in bytes."""


@dataclass(slots=True)
class Tally:
    """What became of the files. `problems` are sentences that begin with the place."""

    files: int = 0
    requests: int = 0
    stored_spans: int = 0
    duplicate_spans: int = 0
    rejected_spans: int = 0
    rejected_requests: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request that can be stored, and where it came from."""

    piece: Piece
    request: Request


class Importer:
    """Holds the ledger from `start()` to `stop()`; `take` may be called for any number of files between."""

    def __init__(
        self,
        ledger: Path,
        overrides: Overrides | None = None,
        org_id: str = DEFAULT_ORGANIZATION,
        *,
        estimates: bool = True,
    ) -> None:
        self._org_id = org_id
        self._store = Store(StoreConfig(path=ledger))
        self._telemetry = Telemetry()
        limits = DecodeLimits(essential_keys=ESSENTIAL_KEYS)
        cards = Cards(default_card(), overrides)
        self._pipeline = Pipeline(self._store, cards, limits, (), self._telemetry, estimates=estimates)
        self.tally = Tally()

    def start(self) -> None:
        """Open the ledger.

        Raises:
            StartupError: a collector holds it, it is damaged, or it is newer than this program.
            StoreUnavailable: the disk is full.
        """
        self._store.start()
        self._pipeline.use(newest_card(self._store.layout.prices))

    def stop(self) -> None:
        """Publish what was stored and close the ledger."""
        self._store.stop()

    def take(self, path: Path, progress: Progress) -> None:
        """Store the spans of one file; what cannot be read is noted in `tally` and the rest is stored.

        Raises:
            StoreUnavailable: the ledger cannot commit; what was stored before stays.
        """
        self.tally.files += 1
        try:
            with opened(path) as content:
                size = size_of(content)
                for group in _groups(self._readable(pieces(path, content, detect(content)))):
                    self._commit(group)
                    progress(path, group[-1].piece.end, size)
                progress(path, size, size)
        except UnreadableFile as error:
            self.tally.rejected_requests += 1
            self.tally.problems.append(str(error))

    def _readable(self, found: Iterator[Piece]) -> Iterator[_Ready]:
        """Pieces as protobuf requests; the others are noted."""
        for piece in found:
            self.tally.requests += 1
            if piece.error:
                self._refused(piece, piece.error)
                continue
            try:
                body = to_protobuf(piece.body) if piece.is_json else piece.body
            except RequestError as error:
                self._refused(piece, str(error))
                continue
            yield _Ready(piece, Request(body, self._org_id))

    def _commit(self, group: list[_Ready]) -> None:
        before = self._stored()
        outcomes = self._pipeline.process([ready.request for ready in group])
        stored, duplicates = self._stored()
        self.tally.stored_spans += stored - before[0]
        self.tally.duplicate_spans += duplicates - before[1]
        for ready, outcome in zip(group, outcomes, strict=True):
            if outcome.error is not None:
                self._refused(ready.piece, str(outcome.error))
            elif outcome.rejected_spans:
                self.tally.rejected_spans += outcome.rejected_spans
                self.tally.problems.append(
                    f"{ready.piece.place}: {outcome.rejected_spans} of its spans refused: {outcome.reason}"
                )

    def _refused(self, piece: Piece, reason: str) -> None:
        self.tally.rejected_requests += 1
        self.tally.problems.append(f"{piece.place}: {reason}")

    def _stored(self) -> tuple[int, int]:
        read = self._telemetry.value
        return int(read(metrics.SPANS_STORED)), int(read(metrics.SPANS_DUPLICATE))


def _groups(ready: Iterator[_Ready]) -> Iterator[list[_Ready]]:
    """Requests in groups of a bounded size, in order."""
    group: list[_Ready] = []
    size_bytes = 0
    for each in ready:
        if group and (size_bytes + len(each.request.body) > GROUP_BYTES or len(group) >= GROUP_REQUESTS):
            yield group
            group, size_bytes = [], 0
        group.append(each)
        size_bytes += len(each.request.body)
    if group:
        yield group
