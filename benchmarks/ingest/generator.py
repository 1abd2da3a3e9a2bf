"""The load generator: a process of its own, so that its cost is nobody else's.

    python -m benchmarks.ingest.generator < plan.json

It says `ready` once its payload is made, starts when it reads another line, and prints what happened as JSON: a line
per interval if the plan asks for it, and one for the whole.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from array import array
from collections.abc import Iterator

import numpy as np
import uvloop

from benchmarks.ingest.clients import Client, GrpcClient, HttpClient, LaterError, LostError, RefusedError
from benchmarks.ingest.payload import BLOCK_SPANS, Block, Payload, Usage
from benchmarks.ingest.plan import Latency, Load, Plan

MAX_PREBUILT_SPANS = 300_000  # 240 MB; beyond it blocks are made as they are sent, 1.4 us a span
RESEND_SECONDS = 0.05
GIVE_UP_SECONDS = 120.0  # on one request


class _Meter:
    """Counts of an interval, or of everything."""

    def __init__(self) -> None:
        self.latencies_ms = array("f")
        self.later = self.lost = self.failed = 0
        self.error: str | None = None
        self.started = time.monotonic()
        self.cpu = time.process_time()

    def load(self, spans_per_request: int, origin: float, usage: Usage | None) -> Load:
        """Everything counted since it was made."""
        now = time.monotonic()
        values = np.frombuffer(self.latencies_ms, np.float32) if self.latencies_ms else np.zeros(1, np.float32)
        p50, p99, most = (round(float(value), 3) for value in np.percentile(values, (50, 99, 100)))
        return Load(
            at_seconds=now - origin,
            wall_seconds=now - self.started,
            acked_spans=len(self.latencies_ms) * spans_per_request,
            acked_requests=len(self.latencies_ms),
            later=self.later,
            lost=self.lost,
            failed=self.failed,
            latency=Latency(p50, p99, most),
            cpu_seconds=time.process_time() - self.cpu,
            error=self.error,
            usage=usage,
        )


class Generator:
    """Runs one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        payload = Payload(
            spans_per_request=plan.spans_per_request, shape=plan.shape, seed=plan.seed, customers=plan.customers
        )
        self._blocks: Iterator[Block] = payload.blocks()
        spans = (plan.requests or 0) * plan.spans_per_request
        if spans and spans <= MAX_PREBUILT_SPANS:
            self._blocks = iter([payload.block() for _ in range(-(-spans // BLOCK_SPANS))])
        self._usage = Usage()
        self._taken = 0
        self._bodies = self._source()

    def _source(self) -> Iterator[bytes]:
        """Bodies until the load has its end. A load that is ended by time ends with a whole block."""
        for block in self._blocks:
            if self._plan.seconds is not None and time.monotonic() - self._origin >= self._plan.seconds:
                return
            self._usage.add(block.usage)
            for body in block.bodies:
                if self._plan.requests is not None and self._taken >= self._plan.requests:
                    return
                self._taken += 1
                yield body

    async def run(self) -> Load:
        """Send everything."""
        plan = self._plan
        clients: list[Client]
        if plan.protocol == "grpc":
            clients = [GrpcClient(plan.port) for _ in range(plan.connections)]
        else:
            clients = [HttpClient(plan.port, plan.headers) for _ in range(plan.in_flight)]
        self._origin = time.monotonic()
        self._whole, self._interval = _Meter(), _Meter()
        ticker = asyncio.create_task(self._report()) if plan.interval_seconds else None
        await asyncio.gather(*(self._work(clients[number % len(clients)]) for number in range(plan.in_flight)))
        whole = self._whole.load(plan.spans_per_request, self._origin, self._usage)
        if ticker is not None:
            ticker.cancel()
        for client in clients:
            await client.close()
        return whole

    async def _report(self) -> None:
        interval = self._plan.interval_seconds
        assert interval is not None
        while True:
            await asyncio.sleep(self._interval.started + interval - time.monotonic())
            ended, self._interval = self._interval, _Meter()
            print(json.dumps(ended.load(self._plan.spans_per_request, self._origin, None).to_json()), flush=True)

    async def _work(self, client: Client) -> None:
        rate, pause = self._plan.requests_per_second, self._plan.pause_seconds
        for body in self._bodies:
            since = time.monotonic()
            if rate:
                due = self._origin + (self._taken - 1) / rate
                if due > since:
                    await asyncio.sleep(due - since)
                    since = time.monotonic()  # a timer that fires late is no latency of the server
                else:
                    since = due  # no connection was free in time: that is
            await self._send(client, body, since)
            if pause:
                await asyncio.sleep(pause)

    async def _send(self, client: Client, body: bytes, since: float) -> None:
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                await client.send(body)
            except (LaterError, LostError, RefusedError) as error:
                if not self._note(error) or time.monotonic() > give_up:
                    for meter in (self._whole, self._interval):
                        meter.failed += 1
                    return
                await asyncio.sleep(RESEND_SECONDS)
            else:
                took_ms = (time.monotonic() - since) * 1e3
                for meter in (self._whole, self._interval):
                    meter.latencies_ms.append(took_ms)
                return

    def _note(self, error: Exception) -> bool:
        """Count it; whether to send the same again."""
        for meter in (self._whole, self._interval):
            meter.error = meter.error or repr(error)
            meter.later += isinstance(error, LaterError)
            meter.lost += isinstance(error, LostError)
        return isinstance(error, LaterError) or (isinstance(error, LostError) and self._plan.resend)


def main() -> None:
    """See the module."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    generator = Generator(plan)
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    if sys.stdin.readline():
        load = uvloop.run(generator.run())
        print(json.dumps(load.to_json()), flush=True)


if __name__ == "__main__":
    main()
