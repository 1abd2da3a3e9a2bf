"""Spans sent to a collector under a fault, and whether the ledger has what was acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.store.query import query_published
from tests.faults.clients import Answer, Sent, send_all
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls

WAIT_SECONDS = 60.0


def soak(*values: Any) -> Any:
    """A case of `make soak` only."""
    return pytest.param(*values, marks=[pytest.mark.soak, pytest.mark.timeout(900)])


class Ledger:
    """What was acknowledged, and whether it is there."""

    def __init__(self, collector: CollectorProcess) -> None:
        self.collector = collector
        self.costs: dict[str, int] = {}

    def send(self, *numbers: int, transport: str = "http", clients: int = 4, padding_bytes: int = 0) -> list[Answer]:
        """The requests with these numbers; what is acknowledged is remembered."""
        sent = {}
        for number in numbers:
            request, costs = plain_calls(number)
            if padding_bytes:
                request.resource_spans[0].resource.attributes.add(key="padding").value.string_value = (
                    "x" * padding_bytes
                )
            sent[request.SerializeToString()] = costs
        answers: list[Answer] = []

        def check(request: Sent, answer: Answer) -> None:
            answers.append(answer)
            if answer.status == 200:
                self.costs.update(sent[request.body])

        port = self.collector.http_port if transport == "http" else self.collector.grpc_port
        send_all((Sent(body, "", body) for body in sent), transport, port, check, clients)
        return answers

    def check(self) -> None:
        """After a stop: every acknowledged span once, with its cost to the pico-dollar."""
        question = "SELECT span_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd FROM calls"
        rows = query_published(self.collector.database, question).to_pylist()
        assert len(rows) == len({row["span_id"] for row in rows}), "stored twice"
        found = {row["span_id"]: row["pico_usd"] for row in rows}
        assert {span_id: found.get(span_id) for span_id in self.costs} == self.costs


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until it holds."""
    deadline_seconds = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline_seconds, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.02)


def wait_until_applied(collector: CollectorProcess) -> None:
    """Return when everything that was acknowledged is in the ledger."""
    wait_for(lambda: collector.metric("otel_cost_unapplied_bytes") == 0, "acknowledged spans are applied")


def injected(folder: Path, **settings: Any) -> CollectorProcess:
    """A collector whose faults are files in `folder` (`tests.faults.injected`)."""
    return CollectorProcess(folder, program=("-m", "tests.faults.injected", str(folder)), **settings)
