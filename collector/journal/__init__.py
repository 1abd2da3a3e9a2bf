"""What was acknowledged and is not yet in the ledger: an append-only log of requests that outlives any crash.

`journal` writes and reads it, `quarantine` keeps the requests that no stage can digest.
"""

from collector.journal.journal import Journal, JournalConfig
from collector.journal.quarantine import Quarantine
from collector.journal.record import Record

__all__ = ["Journal", "JournalConfig", "Quarantine", "Record"]
