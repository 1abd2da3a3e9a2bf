"""Lines of a log of leases done again, so that a collector that starts has the leases of the one before."""

from __future__ import annotations

from collector.budgets.held import Held
from collector.budgets.lease_lines import Line, SettledLine, StateLine, StoredLine, TimeLine
from collector.budgets.lease_table import LeaseTable


def replay(table: LeaseTable, line: Line, at_ns: int, offset_ns: int) -> None:
    """Do what was done at a time; `offset_ns`: from the clock of then to that of now."""
    if isinstance(line, TimeLine):
        return
    if isinstance(line, StateLine):
        held = Held.of_state(line.state, offset_ns)
        before = table.held.get(held.lease_id)
        if before is None:
            table.open(held)
            table.holder(held.holder, at_ns)
        elif held.job is not None:
            table.hold(before, held.job, held.ends_ns)
        return
    if isinstance(line, StoredLine):
        table.store(line.calls)
        return
    known = table.held.get(line.lease_id)
    if known is None:
        return
    if isinstance(line, SettledLine):
        table.settle(known, line.calls, at_ns)
    else:
        table.holder(known.holder, at_ns)
        table.release(known, line.under_way)
