"""What the store needs to know before it opens a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from collector.store.upkeep import Archive, Retention


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the ledger lives and how much it may take.

    `path` is the file that users open: a read-only publication, replaced as a whole. The ledger that the collector
    writes lies in the folder `<path>.live` beside it (`collector.store.layout`).
    """

    path: Path
    publish_interval_seconds: float = 5.0
    lock_wait_seconds: float = 3.0
    """A command that looks at the ledger may hold its lock for a moment when a collector starts."""
    memory_limit_mib: int = 256
    """Of DuckDB, which holds the manifest only. Too low: a start that reads many amendments fails."""
    threads: int = 2
    free_space_floor_bytes: int = 256 << 20
    """Below this much free disk, appends are refused as retryable: a checkpoint that runs out of space is far worse."""
    checkpoint_wal_bytes: int = 128 << 20
    """DuckDB checkpoints by itself at this size of its log; the writer does so earlier when it has nothing to do."""
    idle_checkpoint_spans: int = 20_000
    indexed_traces: int = 1_000_000
    """Traces whose place is known, so that a late span can reopen them, and as many response ids: 16 bytes each. Those
    that have been quiet for longest fall out; a resend of their spans is still found, by its start time, on disk."""
    recent_bytes: int = 32 << 20
    """Newest rows kept in memory, about 400 bytes each without their texts. Too low: traces that are still under way
    are read back from disk for each of their batches."""
    segment_grace_seconds: float = 600.0
    """A file of spans that was merged into another is kept this long for readers of an older publication."""
    retired_bytes: int = 1 << 30
    """Of such files at most: at full rate they come at several MB a second. The oldest go first."""
    retention: Retention = field(default_factory=Retention)
    """What is removed; nothing by default."""
    archive: Archive | None = None
    """Where old spans go; None: they stay beside the ledger."""
