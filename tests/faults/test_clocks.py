"""Clocks that are wrong: those of senders, and the collector's own, which may jump while it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from collector.store.query import query_published
from tests.faults.clients import Answer, Sent, send_all
from tests.faults.ledger import Ledger, injected, wait_for, wait_until_applied
from tests.support.plain_calls import plain_calls

YEAR_SECONDS = 365 * 86_400


def test_clocks_that_jump_cost_no_span_that_a_clock_can_show(ledger: Ledger) -> None:
    """Spans from 1970, from 2262, of negative length, and of now are stored, and their resends recognised; times beyond
    that are refused one by one, and the sender is told."""
    request, costs = plain_calls(1)
    spans = request.resource_spans[0].scope_spans[0].spans
    times = (0, 1, 2**63 - 2, spans[0].start_time_unix_nano, 2**63 - 1, 2**64 - 1)
    for place, span in enumerate(spans):
        start_ns = times[place % len(times)]
        span.start_time_unix_nano, span.end_time_unix_nano = start_ns, max(0, start_ns - 10**9)
    kept = [span.span_id.hex() for span in spans if span.start_time_unix_nano < 2**63 - 1]
    assert 0 < len(kept) < len(spans)
    body = request.SerializeToString()
    answers: list[Answer] = []
    for transport, port in (("http", ledger.collector.http_port), ("grpc", ledger.collector.grpc_port)):
        send_all(iter([Sent(body, "", body)]), transport, port, lambda _, answer: answers.append(answer), 1)
    assert answers == [Answer(200, len(costs) - len(kept))] * 2
    ledger.send(*range(2, 20))
    assert ledger.collector.stop() == 0
    found = query_published(ledger.collector.database, "SELECT span_id FROM spans").column("span_id").to_pylist()
    assert sorted(found) == sorted([*kept, *ledger.costs])
    report = [sys.executable, "-m", "collector", "report", "--by", "day", "--db", str(ledger.collector.database)]
    done = subprocess.run(report, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clock_of_the_machine_that_jumps_stops_nothing_and_removes_nothing(tmp_path: Path) -> None:
    """Ten years ahead every span is too old to be kept: they stay, and the log says why. Back before the first span,
    and across a restart, spans are taken, applied and published as always."""
    with injected(tmp_path, store=", retention: {max_age: 1800d}") as collector:
        ledger = Ledger(collector)
        clock = tmp_path / "clock_seconds"
        ledger.send(*range(1, 10))
        wait_until_applied(collector)
        wait_for((collector.live / "clock").exists, "the time is believed")
        for first, years in ((10, 10), (20, -20)):
            clock.write_text(str(years * YEAR_SECONDS))
            assert {answer.status for answer in ledger.send(*range(first, first + 10))} == {200}
            wait_until_applied(collector)
            assert collector.health() == 200
            if years > 0:
                wait_for(lambda: "the clock went ahead while the collector ran" in collector.log, "the jump is told")
        clock.write_text(str(10 * YEAR_SECONDS))
        assert collector.stop() == 0
        collector.spawn()
        collector.wait_until_ready()
        assert {answer.status for answer in ledger.send(*range(30, 40))} == {200}
        wait_for(lambda: "far later than at the end of the last run" in collector.log, "the absence is told")
        assert collector.stop() == 0
        assert "Traceback" not in collector.log
    ledger.check()
