"""An app of many processes that make model calls at once under the guard: `python -m tests.budgets.calls PLAN`.

It forks its workers as a web server does, lets them go at the same moment, and each writes down what it did: a line of
JSON for each call begun and ended, and for each thing the collector said. Times are monotonic, one clock for all.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from threading import Lock, Thread
from typing import Any
from unittest.mock import patch

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Tracer

import otel_cost
from otel_cost import attributes as k
from otel_cost.guard import client, gate
from otel_cost.guard.client import ANSWER_SECONDS, Client
from otel_cost.pricing.money import format_usd, pico_usd
from tests.crash.workload import INPUT_PICO_USD, OUTPUT_PICO_USD

EXPORT_MILLISECONDS = 200
RESEND_SECONDS = 0.1
EXPORT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the app does."""

    api_url: str
    otlp_url: str
    folder: str  # where each process writes
    customers: tuple[str, ...]  # each call is for one of them
    processes: int
    threads: int  # of each process
    calls: int  # of each thread
    seed: int
    has_exact_estimates: bool = True
    most_call_seconds: float = 0.02
    pause_seconds: float = 0.0  # at most, between calls of a thread
    answer_seconds: float = ANSWER_SECONDS  # the guard waits so long for the collector


class Diary:
    """What a process did, in a file that survives it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = Lock()

    def note(self, kind: str, **said: object) -> None:
        """A line, written at once."""
        line = json.dumps({"kind": kind, "at": time.monotonic(), **said}) + "\n"
        with self._lock:
            os.write(self._descriptor, line.encode())


class UntilTaken(SpanExporter):
    """Sends spans again until the collector has them, so that a restart of it loses none."""

    def __init__(self, url: str) -> None:
        # A session of its own: the exporter would else import the library after the fork, in each process.
        self._exporter = OTLPSpanExporter(f"{url}/v1/traces", timeout=5, session=requests.Session())

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        ends_at = time.monotonic() + EXPORT_SECONDS
        while self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            if time.monotonic() > ends_at:
                return SpanExportResult.FAILURE
            time.sleep(RESEND_SECONDS)
        return SpanExportResult.SUCCESS


class Caller:
    """One process of the app."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan, self._number = plan, number
        self._diary = Diary(Path(plan.folder) / f"{number}.jsonl")
        self._provider = TracerProvider()
        exporter = BatchSpanProcessor(UntilTaken(plan.otlp_url), schedule_delay_millis=EXPORT_MILLISECONDS)
        self._provider.add_span_processor(exporter)

    def run(self) -> None:
        """All calls; then everything is told, given back and exported."""
        with (
            patch.object(Client, "post", _noting(Client.post, self._diary)),
            patch.multiple(client, ANSWER_SECONDS=self._plan.answer_seconds, CONNECT_SECONDS=self._plan.answer_seconds),
        ):
            gate.switch_on(self._plan.api_url)
            tracer = self._provider.get_tracer("app")
            threads = [Thread(target=self._calls, args=(tracer, n)) for n in range(self._plan.threads)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            gate.switch_off()
        self._provider.shutdown()
        self._diary.note("finished")

    def _calls(self, tracer: Tracer, thread: int) -> None:
        plan = self._plan
        chance = Random(f"{plan.seed}/{self._number}/{thread}")
        for call in range(plan.calls):
            try:
                self._call(tracer, chance, f"{plan.seed}-{self._number}-{thread}-{call}")
            except Exception:
                self._diary.note("failed", error=traceback.format_exc())
            time.sleep(chance.uniform(0.0, plan.pause_seconds))

    def _call(self, tracer: Tracer, chance: Random, name: str) -> None:
        plan, customer = self._plan, chance.choice(self._plan.customers)
        tokens = chance.randint(1, 20_000), chance.randint(1, 2_000)
        real = tokens[0] * INPUT_PICO_USD + tokens[1] * OUTPUT_PICO_USD
        claimed = real if plan.has_exact_estimates else int(real * chance.uniform(0.3, 1.5))
        guard = otel_cost.guard(
            model="gpt-4o", provider="openai", estimate_usd=format_usd(claimed), customer=customer,
            input_tokens=tokens[0], output_tokens=tokens[1],
        )  # fmt: skip
        about: dict[str, Any] = {"call": name, "customer": customer, "claimed": claimed, "real": real}
        try:
            with guard as guarded:
                self._diary.note("begun", lease=guarded.admission.lease, **about)
                said = {**_attributes(name, customer), **guarded.attributes}
                with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=said) as span:
                    time.sleep(chance.uniform(0.0, plan.most_call_seconds))
                    span.set_attributes(
                        {k.GEN_AI_USAGE_INPUT_TOKENS: tokens[0], k.GEN_AI_USAGE_OUTPUT_TOKENS: tokens[1]}
                    )
                guarded.settle(cost_usd=format_usd(real), tokens=sum(tokens))
            self._diary.note("ended", **about)
        except otel_cost.BudgetExceeded as refused:
            figures = {"limit": refused.limit, "spent": refused.spent, "leased": refused.leased}
            self._diary.note("blocked", why=str(refused), **figures, **about)


def _attributes(name: str, customer: str) -> dict[str, str]:
    return {
        k.GEN_AI_OPERATION_NAME: "chat",
        k.GEN_AI_PROVIDER_NAME: "openai",
        k.GEN_AI_REQUEST_MODEL: "gpt-4o",
        k.GEN_AI_RESPONSE_ID: f"chatcmpl-{customer}-{name}",
        k.OTEL_COST_CUSTOMER: customer,
    }


def _noting(post: Any, diary: Diary) -> Any:
    """The guard's client as it is, and what it asked and heard."""

    def noted(self: Client, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        asked_at = time.monotonic()
        try:
            answer: dict[str, Any] = post(self, what, body)
        except Exception as error:
            diary.note("unanswered", what=what, error=repr(error))
            raise
        told = body.get("settle", ()) if what == "lease" else [body] if what == "settle" else ()
        settled = [f"{each['lease']}/{call['call']}" for each in told for call in each["calls"]]
        if settled:
            diary.note("settled", calls=settled)
        if what == "lease":
            refusal = answer.get("refusal")
            claimed = pico_usd(body["estimate"]["usd"])
            customer = body["owners"]["customer"]
            if refusal is None:
                diary.note("granted", asked_at=asked_at, customer=customer, claimed=claimed)
            else:
                diary.note("refused", asked_at=asked_at, customer=customer, claimed=claimed, refusal=refusal)
        return answer

    return noted


def main() -> None:
    """Print the workers' process ids; let them go when a line comes; end when all have, with their exit statuses."""
    said = json.loads(sys.argv[1])
    plan = Plan(**{**said, "customers": tuple(said["customers"])})
    gun_read, gun_write = os.pipe()
    workers: list[int] = []
    for number in range(plan.processes):
        worker = os.fork()
        if not worker:
            os.close(gun_write)
            os.read(gun_read, 1)
            _work(plan, number)
        workers.append(worker)
    print(json.dumps(workers), flush=True)
    sys.stdin.readline()
    os.close(gun_write)
    print(json.dumps([os.waitpid(worker, 0)[1] for worker in workers]), flush=True)


def _work(plan: Plan, number: int) -> None:
    status = 1
    try:
        Caller(plan, number).run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def plan_json(plan: Plan) -> str:
    """For the command line."""
    return json.dumps(asdict(plan))


if __name__ == "__main__":
    main()
