"""Passing received spans on to one OTLP target, without ever holding back the ledger.

A forwarder has its own bounded queue and its own thread. A slow or absent target fills its queue, then spans give way
and are counted; nobody waits for it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from threading import Thread
from time import monotonic

from collector import telemetry as metrics
from collector.exposition import Metric
from collector.forward.config import ForwardConfig
from collector.forward.delivery import Client, Delivery, Verdict
from collector.forward.grpc_client import GrpcClient
from collector.forward.http_client import HttpClient
from collector.forward.job import ForwardJob
from collector.forward.queue import ForwardQueue
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)

MAX_MERGED_BYTES = 2 * 1024 * 1024
"""Waiting requests are sent as one up to this size. gRPC servers refuse 4 MiB by default; the attributes that are added
and the target's own decoding need room below it."""
MAX_MERGED_JOBS = 256

_Timed = tuple[float, ForwardJob]


class OtlpForwarder:
    """One exporter. `offer` may be called from any thread and never waits."""

    def __init__(self, config: ForwardConfig, telemetry: Telemetry) -> None:
        self.config = config
        self._telemetry = telemetry
        self._queue = ForwardQueue(config.queue_bytes, config.drop_oldest)
        self._client: Client = GrpcClient(config) if config.protocol == "grpc" else HttpClient(config)
        self._failing = False
        self._thread = Thread(target=self._run, name=f"otel-cost-{config.name}", daemon=True)

    def start(self) -> None:
        """Start sending. The target need not be there."""
        self._telemetry.gauge(metrics.FORWARD_QUEUE_BYTES, lambda: self._queue.size_bytes, self.config.name)
        self._thread.start()

    def offer(self, job: ForwardJob) -> None:
        """Queue a request; when the queue is full, spans are dropped and counted."""
        self._drop(self._queue.offer(job))

    def stop(self, deadline_seconds: float) -> bool:
        """Send what waits, each request tried once; whether the queue was emptied before the deadline."""
        self._queue.close()
        if self._thread.ident is not None:
            self._thread.join(deadline_seconds)
        left = self._queue.clear()
        self._drop(left)
        return not left and not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._queue.take(MAX_MERGED_BYTES, MAX_MERGED_JOBS):
            try:
                self._deliver(batch)
            except Exception:
                logger.exception("%s: %d requests cannot be sent", self.config.name, len(batch))
                self._count(metrics.FORWARD_FAILED_SPANS, _spans(batch))
        self._client.close()

    def _deliver(self, batch: Sequence[_Timed]) -> None:
        payload = b"".join(
            job.payload() for _, job in batch
        )  # concatenated protobuf messages are one message with all their items
        delivery = self._send_until_answered(payload, batch)
        if delivery.verdict is Verdict.DELIVERED:
            self._count(metrics.FORWARDED_SPANS, _spans(batch) - delivery.rejected_spans)
            self._count(metrics.FORWARD_FAILED_SPANS, delivery.rejected_spans)
        elif delivery.verdict is Verdict.REFUSED and len(batch) > 1:
            for job in batch:
                self._deliver([job])
        else:
            logger.warning("%s: gave up %d spans: %s", self.config.name, _spans(batch), delivery.message)
            self._count(metrics.FORWARD_FAILED_SPANS, _spans(batch))

    def _send_until_answered(self, payload: bytes, batch: Sequence[_Timed]) -> Delivery:
        """Send until the target takes or refuses it, or it is too old; back-off doubles, hints are honoured."""
        retry = self.config.retry
        wait_seconds = retry.initial_interval_seconds
        while True:
            delivery = self._client.send(payload)
            self._note_health(delivery)
            if delivery.verdict is not Verdict.RETRY or self._queue.closed:
                return delivery
            pause_seconds = max(wait_seconds * random.uniform(0.8, 1.2), delivery.retry_after_seconds)
            age_seconds = monotonic() + pause_seconds - batch[0][0]
            if retry.max_elapsed_seconds and age_seconds > retry.max_elapsed_seconds:
                return delivery
            self._telemetry.add(metrics.FORWARD_RETRIES, 1, self.config.name)
            self._queue.pause(pause_seconds)
            wait_seconds = min(wait_seconds * 2, retry.max_interval_seconds)

    def _note_health(self, delivery: Delivery) -> None:
        """One log line when a target goes and one when it comes back, not one per request."""
        failing = delivery.verdict is Verdict.RETRY
        if failing and not self._failing:
            logger.warning("%s: not taking spans, will keep trying: %s", self.config.name, delivery.message)
        elif self._failing and not failing:
            logger.warning("%s: taking spans again", self.config.name)
        self._failing = failing

    def _drop(self, jobs: Sequence[ForwardJob]) -> None:
        self._count(metrics.FORWARD_DROPPED_SPANS, sum(job.span_count for job in jobs))

    def _count(self, metric: Metric, spans: int) -> None:
        self._telemetry.add(metric, spans, self.config.name)


def _spans(batch: Sequence[_Timed]) -> int:
    return sum(job.span_count for _, job in batch)
