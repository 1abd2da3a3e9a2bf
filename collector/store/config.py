"""What the store needs to know before it opens a file."""

from __future__ import annotations

from dataclasses import dataclass
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
    memory_limit_mib: int = 1024
    threads: int = 2
    free_space_floor_bytes: int = 256 << 20
    """Below this much free disk, appends are refused as retryable: a checkpoint that runs out of space is far worse."""
    checkpoint_wal_bytes: int = 128 << 20
    """DuckDB checkpoints by itself at this size of its log; the writer does so earlier when it has nothing to do."""
    idle_checkpoint_spans: int = 20_000
    indexed_traces: int = 2_000_000
    """Traces that a late span can reopen without a scan, 16 bytes each. The oldest fall out."""
    seal_spans: int = 20_000
    """A publication copies at most about this many spans; beyond it they are sealed into a Parquet segment."""
    seal_bytes: int = 32 << 20
    """The same for their texts: spans that carry prompts take 100 KB and more each."""
    segment_bytes: int = 128 << 20
    """Segments of wide rows are not merged beyond so many bytes before compression: DuckDB holds the row groups that
    it writes in memory, several times over, and fails when that is more than `memory_limit_mib`."""
    segment_fanout: int = 8
    segment_grace_seconds: float = 3600.0
    """A segment that no publication names any more is kept this long for readers of an older one."""
    retention: Retention = Retention()
    """What is removed; nothing by default."""
    archive: Archive | None = None
    """Where old spans go; None: they stay beside the ledger."""
