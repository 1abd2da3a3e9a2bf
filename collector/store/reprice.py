"""Price runs: stored calls get the figures of another card, and can get the ones of before back.

A run reads a snapshot, writes new segments beside the old ones and the replaced figures into a file of its own, and
then becomes part of the ledger in one transaction (`reprice_commit`). Until then nothing names what it has written, so
a run that is killed leaves nothing behind. It must not run beside `Store.maintain`, which replaces segments too.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.errors import StoreUnavailable
from collector.store import billed
from collector.store.append import Ledger
from collector.store.billed import BilledFile, BilledWriter
from collector.store.compare import differs
from collector.store.config import StoreConfig
from collector.store.errors import StoreError
from collector.store.figures import FIGURES, Price, Seqs
from collector.store.folding import Read
from collector.store.layout import Layout
from collector.store.manifest import Segment, path_of
from collector.store.reprice_account import Account
from collector.store.reprice_commit import Entry, Run, Undone, commit
from collector.store.reprice_reopened import Reopened
from collector.store.reprice_selection import PricedAgain, Selection
from collector.store.restating import Restated, Restatement, Restating, Swapped
from collector.store.statements import listed, query
from collector.store.swap import Outdated, Replaced, Write

_COUNTED_BY = ("cost_usd", "cost_status", "model")
"""Figures on which counters of budgets depend."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class PriceRunRefused(StoreError):
    """A run that cannot be made or undone; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run is about, and changes."""

    account: Account
    archived_spans: int
    """In files of the archive that may hold such calls: they are left as they are."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run to be made; without a name it gets one."""

    selection: Selection
    price: Price
    by: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done; `name` is None when there was nothing to change."""

    name: str | None
    preview: Preview


class Repricing:
    """Price runs over one ledger, one at a time. `cancelled` is asked between pieces of a few thousand rows."""

    def __init__(
        self, read: Read, write: Write, ledger: Ledger, layout: Layout, config: StoreConfig, replaced: Replaced
    ) -> None:
        self._read = read
        self._write = write
        self._ledger = ledger
        self._layout = layout
        self._config = config
        self._replaced = replaced

    def preview(self, selection: Selection, price: Price, cancelled: Callable[[], bool]) -> Preview:
        """What a run would change. Raises Cancelled, StoreUnavailable, OSError."""
        hot, archived_spans = self._segments(selection)
        account = Account()
        restating = self._restating(PricedAgain(selection, price), account, cancelled)
        for segment in hot:
            restating.look(segment)
        account.close()
        return Preview(account, archived_spans)

    def apply(self, order: Order, cancelled: Callable[[], bool]) -> Applied:
        """Make a run. Raises PriceRunRefused, Cancelled, StoreUnavailable, OSError; nothing was changed then."""
        name = self._new_name(order.name)
        hot, archived_spans = self._segments(order.selection)
        self._check_room(hot)
        account = Account()
        preview = Preview(account, archived_spans)
        with ExitStack() as stack:
            earlier = [stack.enter_context(BilledFile(path)) for path in self._in_force()]
            kept = stack.enter_context(BilledWriter(self._layout.price_runs, name, earlier))
            done = self._carry_out(hot, PricedAgain(order.selection, order.price), account, cancelled, kept)
            if not done.swapped:
                return Applied(None, preview)
            path = kept.finish()
            try:
                entry = _entry(order, name, preview, path, kept.rows)
                run = Run(done.swapped, entry, order.price.prices(), done.again, done.repriced)
                self._commit(run)
            except BaseException:
                self._remove_unnamed(path)
                raise
        return Applied(name, preview)

    def undo(self, name: str, by: str, cancelled: Callable[[], bool]) -> Preview:
        """Give the calls of a run the figures that they had before it. Raises as `apply` does."""
        path, batch = self._undoable(name)
        with BilledFile(path) as kept:
            restatement = _TakenBack(kept)
            hot = [segment for segment in self._live() if not segment.cold and kept.may_hold(segment)]
            self._refuse_what_is_out_of_reach(name, path, batch)
            self._check_room(hot)
            account = Account()
            done = self._carry_out(hot, restatement, account, cancelled, None)
        self._commit(Run(done.swapped, Undone(name, by), None, done.again, done.repriced))
        return Preview(account, 0)

    def tidy(self) -> None:
        """Remove the files of runs that were undone long enough ago."""
        sql = "SELECT file, undone_at FROM _ledger.price_run WHERE undone_at IS NOT NULL"
        billed.forget_undone(
            self._read(lambda reader: reader.rows(sql)), self._layout, self._config.segment_grace_seconds
        )

    def _restating(
        self, restatement: Restatement, told: Callable[[Restated], None], cancelled: Callable[[], bool]
    ) -> Restating:
        return Restating(self._layout.segments, self._read, restatement, told, cancelled)

    def _carry_out(
        self,
        segments: Sequence[Segment],
        restatement: Restatement,
        account: Account,
        cancelled: Callable[[], bool],
        kept: BilledWriter | None,
    ) -> _Done:
        """Write new segments. What was written goes when not all of it could be."""
        reopened = Reopened(self._read)
        repriced: list[Seqs] = [np.empty(0, np.int64)]

        def told(chosen: Restated) -> None:
            account(chosen)
            reopened(chosen)
            repriced.append(chosen.seqs[differs(chosen.before, chosen.after, _COUNTED_BY)])
            if kept is not None and chosen.differs.any():
                at = np.flatnonzero(chosen.differs)
                kept.write(chosen.seqs[at], chosen.before.take(pa.array(at)))

        restating = self._restating(restatement, told, cancelled)
        swapped: list[Swapped] = []
        try:
            swapped.extend(found for segment in segments if (found := restating.rewrite(segment)) is not None)
            account.close()
        except BaseException:
            for each in swapped:
                path_of(self._layout.segments, each.new.file).unlink(missing_ok=True)
            raise
        return _Done(tuple(swapped), reopened.traces(), np.concatenate(repriced))

    def _commit(self, run: Run) -> None:
        try:
            commit(run, self._read, self._write, self._ledger, self._layout.segments, self._replaced)
        except Outdated as error:
            raise StoreUnavailable(f"a segment went while it was written anew, try again: {error}") from error
        with suppress(StoreUnavailable):  # it is committed; a later checkpoint has it too
            self._write(lambda connection: connection.execute("CHECKPOINT"))

    def _live(self) -> list[Segment]:
        segments: list[Segment] = self._read(lambda reader: reader.segments)
        return segments

    def _segments(self, selection: Selection) -> tuple[list[Segment], int]:
        """Those that can be changed, and how many spans are in the archive's."""
        found = [segment for segment in self._live() if selection.may_be_in(segment)]
        return [each for each in found if not each.cold], sum(each.rows for each in found if each.cold)

    def _check_room(self, segments: Sequence[Segment]) -> None:
        needed_bytes = sum(segment.size_bytes for segment in segments)
        free_bytes = shutil.disk_usage(self._layout.segments).free
        if free_bytes < needed_bytes + 2 * self._config.free_space_floor_bytes:
            raise StoreUnavailable(
                f"{self._layout.segments}: {free_bytes >> 20} MiB of disk left, too little to write "
                f"{needed_bytes >> 20} MiB of segments anew"
            )

    def _in_force(self) -> list[Path]:
        rows = self._read(lambda reader: reader.rows(query("price_run_files")))
        return [self._layout.price_runs / file for (file,) in rows]

    def _new_name(self, wanted: str | None) -> str:
        taken = {row[0] for row in self._read(lambda reader: reader.rows("SELECT name FROM _ledger.price_run"))}
        if wanted is None:
            day = f"{datetime.now(UTC):%Y-%m-%d}"
            return next(name for n in range(1, len(taken) + 2) if (name := f"reprice-{day}-{n}") not in taken)
        if not _NAME.fullmatch(wanted):
            raise PriceRunRefused(f"{wanted!r} is no name: up to 64 letters, digits, dots, dashes and underscores")
        if wanted in taken:
            raise PriceRunRefused(f"there is a price run {wanted} already: choose another name")
        return wanted

    def _undoable(self, name: str) -> tuple[Path, int]:
        sql = "SELECT name, file, batch, undone_at FROM _ledger.price_run ORDER BY batch"
        runs = {row[0]: row[1:] for row in self._read(lambda reader: reader.rows(sql))}
        if name not in runs:
            known = ", ".join(runs) if runs else "there is none"
            raise PriceRunRefused(f"there is no price run {name} (price runs: {known})")
        file, batch, undone_at = runs[name]
        if undone_at is not None:
            raise PriceRunRefused(f"{name} was undone at {undone_at:%Y-%m-%dT%H:%M:%S}Z already")
        path = self._layout.price_runs / file
        if not path.is_file():
            raise PriceRunRefused(f"{path} is missing: what the calls of {name} cost before it is not known")
        return path, batch

    def _refuse_what_is_out_of_reach(self, name: str, path: Path, batch: int) -> None:
        """A later run of the same calls, calls that are in the archive by now, a segment that is missing."""
        later = "SELECT name, file FROM _ledger.price_run WHERE undone_at IS NULL AND batch > ? ORDER BY batch DESC"
        for other, file in self._read(lambda reader: reader.rows(later, [batch])):
            if shared := self._shared(path, [self._layout.price_runs / file]):
                raise PriceRunRefused(f"{other} came later and changed {shared:,} of the same calls: undo it first")
        cold = [path_of(self._layout.segments, each.file) for each in self._live() if each.cold]
        if cold and (shared := self._shared(path, cold)):
            raise PriceRunRefused(
                f"{shared:,} calls of {name} have gone to the archive since, whose files never change: it stays"
            )
        lost = self._read(lambda reader: reader.rows("SELECT file FROM _ledger.lost_segment"))
        if lost:
            raise PriceRunRefused(f"segment {lost[0][0]} is missing and may hold calls of {name}: put it back first")

    def _shared(self, path: Path, others: Sequence[Path]) -> int:
        """Rows of a run's file that others have too."""
        mine, theirs = (listed(paths) for paths in ([path], others))
        theirs = f"read_parquet({theirs}, hive_partitioning = false)"
        sql = f"SELECT count(*) FROM read_parquet({mine}) SEMI JOIN {theirs} USING (seq)"
        return int(self._read(lambda reader: reader.rows(sql))[0][0])

    def _remove_unnamed(self, path: Path) -> None:
        """After a commit that failed, which may have happened all the same."""
        sql = "SELECT 1 FROM _ledger.price_run WHERE file = ?"
        try:
            named = self._read(lambda reader: reader.rows(sql, [path.name]))
        except Exception:  # the next start removes what nobody names
            return
        if not named:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Done:
    swapped: tuple[Swapped, ...]
    again: pa.Table
    repriced: Seqs


class _TakenBack:
    """The restatement of `undo`: rows of a run get the figures that its file has."""

    columns: Sequence[str] = ()

    def __init__(self, kept: BilledFile) -> None:
        self._kept = kept

    def restate(self, rows: pa.Table, final: pa.Table) -> tuple[Seqs, pa.Table]:
        """See `Restatement`."""
        seqs = rows.column("seq").combine_chunks()
        found = self._kept.between(seqs[0].as_py(), seqs[-1].as_py())
        at = pc.index_in(seqs, value_set=found.column("seq").combine_chunks())
        places = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
        return places, found.select(FIGURES).take(at.drop_null())


def _entry(order: Order, name: str, preview: Preview, path: Path, rows: int) -> Entry:
    total, selection = preview.account.total, order.selection
    return Entry(
        name=name,
        by=order.by,
        card=order.price.card,
        cards_before=_joined(sorted(key[0] for key in preview.account.groups["cards_before"] if key[0])) or "",
        since_ns=selection.since_ns,
        until_ns=selection.until_ns,
        models=_joined(selection.models),
        providers=_joined(selection.providers),
        organizations=_joined(selection.organizations),
        calls=total.calls,
        changed_calls=total.changed,
        cost_before_usd=total.before_usd,
        cost_after_usd=total.after_usd,
        unpriced_before=total.unpriced_before,
        unpriced_after=total.unpriced_after,
        archived_spans=preview.archived_spans,
        file=path.name,
        file_bytes=path.stat().st_size,
        file_rows=rows,
    )


def _joined(names: Sequence[str]) -> str | None:
    return ", ".join(names) or None
