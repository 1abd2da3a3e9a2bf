"""Adds up what the ledger's commits move, beside them, and shows it as counters that go on after a restart."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from collector.exposition import Exemplar, Family, Metric, Sample, histogram
from collector.metering import groups as grouping
from collector.metering import table
from collector.metering.config import MeteringConfig
from collector.metering.groups import Groups, Labels, columns_of
from collector.metering.series import OTHER, SpendSeries
from collector.store.moved import Moved
from collector.store.statements import query
from otel_cost.pricing.money import format_usd

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long moves wait to be added up together. Shorter: the fixed cost, half a millisecond, is paid more often."""
MAX_WAITING_ROWS = 200_000
"""Moves that wait, about 100 bytes each. Beyond them the commit that brings more adds them up itself."""
MAX_PROVIDERS = 50
"""Series of the histogram, of ten lines each; further providers are shown as other."""
_VERSION = 1


class Source(Protocol):
    """The store, as the meter sees it."""

    def read(self, work: Callable[[Any], Any]) -> Any:
        """Run `work` on a snapshot. Raises StoreUnavailable."""


class Meter:
    """`start()` after the store and before anything is committed; `moved` is called by the store's writer."""

    def __init__(self, config: MeteringConfig, source: Source, path: Path) -> None:
        self.columns = columns_of(config.labels)
        """What it has to know of calls."""
        self._config = config
        self._source = source
        self._path = path
        self._series = SpendSeries(config.labels, config.max_series)
        self._sizes: dict[str, _Sizes] = {}
        self._seq = 0  # of the last span that is added up
        self._waiting: list[tuple[int, Sequence[Moved]]] = []
        self._waiting_rows = 0
        self._queue = threading.Lock()  # over what waits
        self._adding = threading.Lock()  # over the numbers
        self._is_ready = False  # what the ledger had before is in the numbers
        self._unsaved = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel-cost-meter", daemon=True)

    def start(self) -> None:
        """Take up the numbers of before; what the ledger has beyond them is added in the background."""
        self._load()
        begun = threading.Event()
        threading.Thread(target=self._catch_up, args=(begun,), name="otel-cost-meter-start", daemon=True).start()
        begun.wait()
        self._thread.start()

    def stop(self) -> None:
        """Add up what waits, and keep the numbers for the next start."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._settle()
            with self._adding:
                self._save()

    def moved(self, last_seq: int, moves: Sequence[Moved]) -> None:
        """A commit is done; the ledger's last span is `last_seq`. Quick; never raises."""
        try:
            with self._queue:
                self._waiting.append((last_seq, moves))
                self._waiting_rows += sum(move.rows.num_rows for move in moves)
                is_much = self._waiting_rows > MAX_WAITING_ROWS
            if is_much and self._is_ready:
                self._settle()
        except Exception:
            logger.exception("spend of a commit is missing in the metrics")

    def families(self) -> Iterator[Family]:
        """All of it as it stands, with every commit that is done by now."""
        self._settle()
        with self._adding:
            if not self._is_ready:
                return
            self._save()
            series = list(self._series)
            lines: dict[str, list[Sample]] = {}
            for each in series:
                self._show(each.labels, each.shown, each.exemplar, lines)
            sizes = [(name, *found) for name, found in sorted(self._sizes.items())]
            counts = {"used": len(self._series), "bound": self._config.max_series + 1}
            other = self._series.other_calls
        for metric in dict.fromkeys(quantity.metric for quantity in table.QUANTITIES):
            yield metric, lines.get(metric.name, [])
        yield table.CALL_COST, [sample for each in sizes for sample in _histogram(each)]
        yield table.SPEND_SERIES, [Sample((("of", name),), str(count)) for name, count in counts.items()]
        yield table.SPEND_OTHER_CALLS, [Sample((), str(other))]

    def _show(
        self, labels: Labels, shown: Sequence[int], exemplar: Exemplar | None, lines: dict[str, list[Sample]]
    ) -> None:
        pairs = tuple(zip(self._config.labels, labels, strict=True))
        for quantity, amount in zip(table.QUANTITIES, shown, strict=True):
            if not amount and quantity.metric not in _ALWAYS:
                continue
            with_type = (*pairs, ("type", quantity.kind)) if quantity.kind else pairs
            value = format_usd(amount) if quantity.is_money else str(amount)
            example = exemplar if self._config.exemplars and quantity.metric is table.SPEND else None
            lines.setdefault(quantity.metric.name, []).append(Sample(with_type, value, exemplar=example))

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self._settle()

    def _settle(self) -> None:
        """Add up what waits."""
        with self._adding:
            if not self._is_ready:
                return
            with self._queue:
                waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
            if waiting:
                try:
                    self._add([move for _, moves in waiting for move in moves])
                except Exception:
                    logger.exception("spend of %d commits is missing in the metrics", len(waiting))
                self._seq = max(self._seq, waiting[-1][0])
                self._unsaved = True

    def _add(self, moves: Sequence[Moved]) -> None:
        now = time.time()
        counted = [(move, _counted(move.rows)) for move in moves]
        more: pa.Table | None = None
        for sign in (-1, 1):  # where a call stays in its series, that is not higher in between
            if more := _joined([calls for move, calls in counted if move.sign == sign]):
                self._series.add(grouping.groups(more, self._config.labels), sign)
        of_new = [calls for move, calls in counted if move.are_new]
        if new := more if len(of_new) == sum(move.sign == 1 for move in moves) else _joined(of_new):
            for labels, exemplar in grouping.examples(new, self._config.labels, now):
                self._series.example(labels, exemplar)
            for bucket in grouping.buckets(new, now):
                name = bucket.provider
                if name not in self._sizes and len(self._sizes) >= MAX_PROVIDERS:
                    name = OTHER
                self._sizes.setdefault(name, _Sizes.empty()).add(bucket, with_example=self._config.exemplars)

    def _catch_up(self, begun: threading.Event) -> None:
        """Add what the ledger has beyond the numbers: everything at the first start, else what was not saved."""

        def read(reader: Any) -> pa.Table:
            begun.set()  # commits from now on are not in this snapshot, and are told
            names = [table.LABELS[label] for label in self._config.labels]
            labels = ", ".join(f'"{name}" AS label{place}' for place, name in enumerate(names))
            keys = ", ".join(f"label{place}" for place in range(len(names)))
            return reader.table(query("metered_calls").format(labels=labels, keys=keys), [self._seq])

        try:
            found = self._source.read(read)
            with self._adding:
                self._take(found)
        except Exception:
            logger.exception("metrics of spend begin at what was saved: the ledger could not be asked for the rest")
        finally:
            begun.set()
            self._is_ready = True

    def _take(self, found: pa.Table) -> None:
        if not found.num_rows:
            return
        columns = {name: found.column(name).to_pylist() for name in found.column_names}
        cut = grouping.MAX_LABEL_CHARACTERS
        values = [columns[f"label{place}"] for place in range(len(self._config.labels))]
        labels = [tuple((each or "")[:cut] for each in key) for key in zip(*values, strict=True)]
        amounts = [[int(each or 0) for each in columns[quantity.name]] for quantity in table.QUANTITIES]
        self._series.add(Groups(labels, np.array(amounts, object).T), 1)
        self._seq = max([self._seq, *columns["last_seq"]])
        self._unsaved = True

    def _load(self) -> None:
        try:
            saved = json.loads(self._path.read_bytes())
            if saved["version"] != _VERSION or saved["labels"] != list(self._config.labels):
                return
            series = SpendSeries(self._config.labels, self._config.max_series)
            series.load(saved["series"])
            sizes = {str(name): _Sizes.of(each) for name, each in saved["sizes"].items()}
            series.other_calls, self._seq = int(saved["other_calls"]), int(saved["seq"])
            self._series, self._sizes = series, sizes
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("%s: cannot be read, metrics of spend begin anew: %s", self._path, error)

    def _save(self) -> None:
        """Before numbers are shown: what a start after a crash takes up is no less."""
        if not self._unsaved:
            return
        kept: Mapping[str, Any] = {
            "version": _VERSION,
            "labels": list(self._config.labels),
            "seq": self._seq,
            "other_calls": self._series.other_calls,
            "series": self._series.saved(),
            "sizes": {name: [found.counts, found.cost_pico_usd] for name, found in self._sizes.items()},
        }
        aside = self._path.with_name(self._path.name + ".new")
        try:
            aside.write_text(json.dumps(kept, separators=(",", ":")), encoding="utf-8")
            os.replace(aside, self._path)
            self._unsaved = False
        except OSError as error:
            logger.warning("%s: metrics of spend cannot be kept now: %s", self._path, error)


class _Sizes:
    """One histogram."""

    def __init__(self, counts: list[int], cost_pico_usd: int) -> None:
        self.counts = counts
        self.cost_pico_usd = cost_pico_usd
        self.examples: list[Exemplar | None] = [None] * len(counts)

    @staticmethod
    def empty() -> _Sizes:
        return _Sizes([0] * (len(table.CALL_COST.buckets) + 1), 0)

    @staticmethod
    def of(saved: Sequence[Any]) -> _Sizes:
        counts, cost = saved
        if len(counts) != len(table.CALL_COST.buckets) + 1:
            raise ValueError("of another version")
        return _Sizes([*map(int, counts)], int(cost))

    def add(self, bucket: grouping.Bucket, *, with_example: bool) -> None:
        self.counts[bucket.place] += bucket.calls
        self.cost_pico_usd += bucket.cost_pico_usd
        if with_example:
            self.examples[bucket.place] = bucket.example

    def __iter__(self) -> Iterator[Any]:
        return iter((list(self.counts), self.cost_pico_usd, list(self.examples)))


def _histogram(each: Sequence[Any]) -> Iterator[Sample]:
    name, counts, cost, examples = each
    return histogram(table.CALL_COST, counts, format_usd(cost), (("provider", name),), examples)


def _counted(rows: pa.Table) -> pa.Table:
    counted = rows.column("counted")
    return rows.slice(0, 0) if counted.null_count == len(counted) else rows.filter(counted)


def _joined(tables: Sequence[pa.Table]) -> pa.Table | None:
    """Dictionary-encoded or plain, as they come; None: no row."""
    some = [each for each in tables if each.num_rows]
    if len(some) <= 1:
        return some[0] if some else None
    if any(each.schema != some[0].schema for each in some):
        some = [_plain(each) for each in some]
    return pa.concat_tables(some).unify_dictionaries()


def _plain(rows: pa.Table) -> pa.Table:
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.Table.from_arrays(columns, names=rows.column_names)


_ALWAYS: frozenset[Metric] = frozenset({table.SPEND, table.CALLS, table.UNPRICED_CALLS, table.FAILED_CALLS})
"""Shown of every series, nothing or not: a rate sees the first one."""
