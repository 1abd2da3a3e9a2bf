"""From the journal into a real ledger: order, quarantine, patience, back-pressure, replay."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector import telemetry as metrics
from collector.applier import ApplierConfig
from collector.decode.columns import CallColumns, SpanBatch
from collector.decode.request import Request
from collector.errors import MalformedRequest, Overloaded
from collector.forward.job import ForwardJob
from collector.journal import Quarantine
from collector.normalise import normalise_columns
from collector.store import Appended
from collector.store.attribution import Attribute
from collector.units import Unit
from tests.collector.applying import LIMIT_SECONDS, POISON, Collector, SlowStore, crash_with, request, running
from tests.support.plain_calls import plain_calls


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours in the normaliser that one kind of span meets."""

    def failing(batch: SpanBatch) -> CallColumns:
        if POISON in batch.spans.column("name").to_pylist():
            raise ZeroDivisionError("a fault of ours")
        return normalise_columns(batch)

    monkeypatch.setattr("collector.pipeline.normalise_columns", failing)


def test_what_is_acknowledged_reaches_the_ledger_in_its_order(tmp_path: Path) -> None:
    """Groups are joined, spans and records keep their order, each record number is told to the ledger."""
    sent = [request(number) for number in range(1, 30)]
    with running(Collector(tmp_path)) as collector:
        collector.store.gate.clear()
        for each, _ in sent:
            collector.send(each)
        collector.store.gate.set()
        collector.settle()
        assert collector.span_ids() == [span_id for _, ids in sent for span_id in ids]
        assert collector.store.journals == sorted(collector.store.journals)
        assert collector.store.journals[-1] == 29
        assert len(collector.store.journals) < 29


def test_an_idle_collector_applies_at_once(tmp_path: Path) -> None:
    """With the longest linger imaginable, a single request still reaches the ledger."""
    config = ApplierConfig(longest_linger_seconds=3600.0, linger_factor=1e9)
    with running(Collector(tmp_path, config), stop_seconds=LIMIT_SECONDS) as collector:
        collector.send(request(1)[0])
        collector.settle()
        assert collector.span_ids() == request(1)[1]


def test_a_group_that_is_large_enough_waits_no_longer(tmp_path: Path) -> None:
    """The linger ends when the bound of a group is reached, and one append takes no more than that."""
    spans = [len(request(number)[1]) for number in range(1, 13)]
    config = ApplierConfig(longest_linger_seconds=3600.0, linger_factor=1e9, group_spans=sum(spans[1:]))
    with running(Collector(tmp_path, config)) as collector:
        collector.send(request(1)[0])
        collector.settle()
        for number in range(2, 13):
            assert collector.applier.applied == 1
            collector.send(request(number)[0])
        collector.settle()
        assert collector.store.sizes == [spans[0], sum(spans[1:])]


def test_small_requests_are_decoded_together_behind_the_acknowledgement(tmp_path: Path) -> None:
    """Without a request that needs decoding; with one, its group is decoded before, and all keep their order."""
    sent = [request(number) for number in range(1, 12)]
    with running(Collector(tmp_path)) as collector:
        collector.store.gate.clear()
        collector.send(sent[0][0])
        collector.until(lambda: bool(collector.store.sizes))
        before = collector.telemetry.value(metrics.DECODE_SECONDS)
        for each, ids in sent[1:10]:
            assert [outcome.accepted_spans for outcome in collector.send(each)] == [len(ids)]
        assert collector.telemetry.value(metrics.DECODE_SECONDS) == before
        outcomes = collector.send(Request(b"garbage", "default"), sent[10][0])
        assert isinstance(outcomes[0].error, MalformedRequest)
        assert outcomes[1].accepted_spans == len(sent[10][1])
        assert collector.telemetry.value(metrics.DECODE_SECONDS) > before
        collector.store.gate.set()
        collector.settle()
        assert collector.span_ids() == [span_id for _, ids in sent for span_id in ids]


def test_a_request_that_was_taken_for_sound_by_mistake_is_kept_aside(tmp_path: Path) -> None:
    """What of it can be stored is stored, and so is everything around it; the whole of it lies in the quarantine."""
    sent = [request(number) for number in range(1, 4)]
    message = ExportTraceServiceRequest.FromString(sent[1][0].body)
    message.resource_spans[0].scope_spans[0].spans[0].span_id = b"short"
    mistaken = Request(message.SerializeToString(), "default")
    with running(Collector(tmp_path)) as collector:
        requests = (sent[0][0], mistaken, sent[2][0])
        first = collector.journal.append(requests, 1)
        collector.applier.hand_over(Unit(first, first + 2, 1, 30, None, requests))
        collector.settle()
        assert collector.span_ids() == [*sent[0][1], *sent[1][1][1:], *sent[2][1]]
        assert len(list(collector.quarantine.iterdir())) == 2


def test_only_accepted_spans_are_journalled(tmp_path: Path) -> None:
    """Garbage is refused, a request without spans needs nothing, and neither takes room in the journal."""
    empty = Request(ExportTraceServiceRequest().SerializeToString(), "default")
    bad_only, _ = plain_calls(2)
    for span in bad_only.resource_spans[0].scope_spans[0].spans:
        span.trace_id = b"short"
    with running(Collector(tmp_path)) as collector:
        garbage, nothing, rejected, good = collector.send(
            Request(b"\xff\xff", "default"), empty, Request(bad_only.SerializeToString(), "default"), request(1)[0]
        )
        assert isinstance(garbage.error, MalformedRequest)
        assert (nothing.error, nothing.accepted_spans, good.error) == (None, 0, None)
        assert rejected.accepted_spans == 0
        assert rejected.rejected_spans > 0
        assert collector.journal.last == 1
        collector.settle()
        assert collector.span_ids() == request(1)[1]


@pytest.mark.usefixtures("poison")
def test_a_request_that_cannot_be_applied_is_put_aside_and_harms_no_other(tmp_path: Path) -> None:
    """It is found among its neighbours, kept whole with the reason, counted, and passed over."""
    sent = [request(number, poisonous=number == 6) for number in range(1, 14)]
    with running(Collector(tmp_path)) as collector:
        assert [outcome.error for outcome in collector.send(*(each for each, _ in sent))] == [None] * 13
        collector.settle()
        collector.send(request(99)[0])
        collector.settle()
        expected = [span_id for number, (_, ids) in enumerate(sent, 1) if number != 6 for span_id in ids]
        assert collector.span_ids() == expected + request(99)[1]
        (kept,) = collector.quarantine.glob("*.pb")
        assert kept.read_bytes() == sent[5][0].body
        assert "a fault of ours" in json.loads(kept.with_suffix(".json").read_text())["reason"]
        assert collector.telemetry.value(metrics.QUARANTINED_REQUESTS) == 1
        assert collector.store.journal == 14


def test_a_fault_of_the_store_is_found_by_halving_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stage a request breaks, it is put aside."""
    target = request(3)[1][0]
    append = SlowStore.submit

    def failing(store: SlowStore, batch: pa.Table, attribute: Attribute, journal: int = 0) -> Future[Appended]:
        if target in batch.column("span_id").to_pylist():
            broken: Future[Appended] = Future()
            broken.set_exception(ZeroDivisionError("in the store"))
            return broken
        return append(store, batch, attribute, journal)

    monkeypatch.setattr(SlowStore, "submit", failing)
    with running(Collector(tmp_path)) as collector:
        collector.send(*(request(number)[0] for number in range(1, 6)))
        collector.settle()
        assert collector.span_ids() == [span_id for number in (1, 2, 4, 5) for span_id in request(number)[1]]
        assert [path.read_bytes() for path in collector.quarantine.glob("*.pb")] == [request(3)[0].body]


def test_what_the_store_refuses_for_now_is_tried_until_it_is_stored(tmp_path: Path) -> None:
    """A full disk behind the acknowledgement: nothing is put aside, nothing is lost, nothing is stored twice."""
    with running(Collector(tmp_path, ApplierConfig(retry_seconds=(0.001, 0.002)))) as collector:
        collector.store.refusals = 7
        collector.send(request(1)[0])
        collector.send(request(2)[0])
        collector.settle()
        assert collector.span_ids() == request(1)[1] + request(2)[1]
        assert collector.telemetry.value(metrics.APPLY_RETRIES) == 7
        assert not collector.quarantine.exists()


def test_when_too_much_waits_acknowledgements_wait_and_then_are_refused(tmp_path: Path) -> None:
    """Memory stays bounded; once the ledger has caught up, requests are taken again, and nothing taken was lost."""
    config = ApplierConfig(unapplied_bytes=200_000)
    taken: list[str] = []
    with running(Collector(tmp_path, config, room_seconds=0.01)) as collector:
        collector.store.gate.clear()
        for number in range(1, 1_000):
            each, ids = request(number)
            try:
                collector.send(each)
            except Overloaded:
                break
            taken += ids
        assert 200_000 <= collector.telemetry.value(metrics.UNAPPLIED_BYTES) < 400_000
        assert collector.telemetry.value(metrics.APPLY_LAG_SECONDS) > 0
        collector.store.gate.set()
        collector.until(lambda: collector.applier.wait_for_room(0.01))
        each, ids = request(5_000)
        collector.send(each)
        collector.settle()
        assert collector.span_ids() == taken + ids
        assert collector.telemetry.value(metrics.UNAPPLIED_BYTES) == 0
        assert collector.telemetry.value(metrics.APPLY_LAG_SECONDS) == 0


def test_what_was_acknowledged_before_a_crash_is_applied_by_the_next_start(tmp_path: Path) -> None:
    """In its order, before what comes now."""
    crash_with(tmp_path, *(request(number)[0] for number in range(1, 8)))
    with running(Collector(tmp_path)) as collector:
        collector.send(request(8)[0])
        collector.settle()
        assert collector.span_ids() == [span_id for number in range(1, 9) for span_id in request(number)[1]]
        collector.until(lambda: collector.telemetry.value(metrics.REPLAYED_REQUESTS) == 7)
    assert not list((collector.store.layout.folder / "journal").iterdir())


def test_a_record_stays_in_the_journal_until_the_ledger_has_it(tmp_path: Path) -> None:
    """When one group is stored, the files of those behind it are still needed."""
    with running(Collector(tmp_path, ApplierConfig(group_spans=1)), stop_seconds=0.0) as collector:
        collector.store.gate.clear()
        for number in (1, 2, 3):
            collector.send(request(number)[0])
        collector.until(lambda: collector.store.journals == [1])
        collector.store.refusals = 1_000_000
        collector.store.gate.set()
        collector.until(lambda: collector.applier.applied == 1)
        assert collector.journal.file_count >= 2
    with running(Collector(tmp_path)) as collector:
        collector.settle()
        assert collector.span_ids() == [span_id for number in (1, 2, 3) for span_id in request(number)[1]]


def test_a_replay_of_what_the_ledger_has_changes_nothing(tmp_path: Path) -> None:
    """A crash between the commit and the deletion of the file: the same records once more are duplicates."""

    def keep_everything(collector: Collector) -> None:
        collector.journal.release = lambda applied: None  # type: ignore[method-assign]

    with running(Collector(tmp_path, first=keep_everything)) as collector:
        for number in range(1, 6):
            collector.send(request(number)[0])
        collector.settle()
        expected = collector.span_ids()
    with running(Collector(tmp_path, applied=0)) as collector:
        collector.settle()
        assert collector.span_ids() == expected
        collector.until(lambda: collector.telemetry.value(metrics.REPLAYED_REQUESTS) == 5)
        assert collector.telemetry.value(metrics.SPANS_DUPLICATE) == len(expected)


@pytest.mark.usefixtures("poison")
def test_a_replay_puts_aside_what_cannot_be_applied(tmp_path: Path) -> None:
    """A poisonous request does not keep a collector from starting."""
    crash_with(tmp_path, request(1)[0], request(2, poisonous=True)[0], request(3)[0])
    with running(Collector(tmp_path)) as collector:
        collector.settle()
        assert collector.span_ids() == request(1)[1] + request(3)[1]
        assert len(list(collector.quarantine.glob("*.pb"))) == 1


def test_a_stop_applies_what_was_acknowledged(tmp_path: Path) -> None:
    """A normal end leaves nothing for the next start."""
    with running(Collector(tmp_path, ApplierConfig(longest_linger_seconds=3600.0, linger_factor=1e9))) as collector:
        for number in range(1, 10):
            collector.send(request(number)[0])
        assert collector.applier.stop(LIMIT_SECONDS)
        assert collector.span_ids() == [span_id for number in range(1, 10) for span_id in request(number)[1]]


def test_a_stop_while_the_store_refuses_is_quick_and_loses_nothing(tmp_path: Path) -> None:
    """What cannot be applied stays in the journal, and the next start applies it."""
    with running(Collector(tmp_path, ApplierConfig(retry_seconds=(1_000.0, 1_000.0)))) as collector:
        collector.store.refusals = 1_000_000
        collector.send(request(1)[0])
        collector.until(lambda: collector.telemetry.value(metrics.APPLY_RETRIES) > 0)
        assert not collector.applier.stop(0.0)
        collector.applier.stop(LIMIT_SECONDS)
    with running(Collector(tmp_path)) as collector:
        collector.settle()
        assert collector.span_ids() == request(1)[1]


def test_a_fault_of_the_applier_stops_acknowledgements_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If even putting aside fails in a way that nobody foresaw, requests are refused and the journal keeps the rest."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    with monkeypatch.context() as patched:
        patched.setattr("collector.pipeline.normalise_columns", broken)
        patched.setattr(Quarantine, "keep", broken)
        with running(Collector(tmp_path)) as collector:
            collector.send(request(1)[0])
            collector.until(lambda: collector.applier.failure is not None)
            with pytest.raises(Overloaded):
                collector.send(request(2)[0])
    assert "nobody foresaw this" in caplog.text
    with running(Collector(tmp_path)) as collector:
        collector.settle()
        assert collector.span_ids() == request(1)[1]


class Forwarded:
    """A forwarder that keeps what it is offered."""

    def __init__(self) -> None:
        self.jobs: list[ForwardJob] = []

    def offer(self, job: ForwardJob) -> None:
        """Keep it."""
        self.jobs.append(job)

    def span_ids(self) -> list[str]:
        """All spans that were offered."""
        found = [ExportTraceServiceRequest.FromString(job.payload()) for job in self.jobs]
        return [span.span_id.hex() for each in found for span in each.resource_spans[0].scope_spans[0].spans]


def test_requests_are_forwarded_once_they_are_in_the_ledger(tmp_path: Path) -> None:
    """Also those that a former run acknowledged, with what the ledger says of them."""
    crash_with(tmp_path, request(1)[0])
    forwarded = Forwarded()
    with running(Collector(tmp_path, forwarders=[forwarded])) as collector:
        collector.send(request(2)[0])
        collector.settle()
        collector.until(lambda: len(forwarded.jobs) == 2)
        assert forwarded.span_ids() == request(1)[1] + request(2)[1]
        assert b"otel_cost.cost_usd" in forwarded.jobs[0].payload()
        assert b"otel_cost.cost_usd" in forwarded.jobs[1].payload()
