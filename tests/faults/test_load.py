"""More than there is room for: memory, descriptors, resends, senders that do not behave, targets that do not answer."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from collector.receive.bounds import RESERVED_DESCRIPTORS
from collector.store.query import query_published
from collector.tls import TlsFiles
from tests.collector.receive.certificates import make
from tests.faults.ledger import WAIT_SECONDS, Ledger, soak, wait_for, wait_until_applied
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls
from tests.support.ports import free_port


def test_memory_that_runs_out_loses_nothing_that_was_acknowledged(ledger: Ledger) -> None:
    """The address space is cut to little more than is in use, then lifted. Spans are refused; where a library is given
    no memory amid a step the process may end, and a new one goes on from the journal."""
    ledger.send(*range(1, 50))
    process = ledger.collector.process_id
    hard = resource.prlimit(process, resource.RLIMIT_AS)[1]
    resource.prlimit(process, resource.RLIMIT_AS, (ledger.collector.virtual_bytes() + (8 << 20), hard))
    try:
        assert {answer.status for answer in ledger.send(*range(50, 450), clients=16)} <= {200, 503}
    except* (OSError, EOFError, TimeoutError):
        wait_for(lambda: not ledger.collector.runs(), "senders are cut off only by the end of the process")
    if ledger.collector.runs():
        resource.prlimit(process, resource.RLIMIT_AS, (hard, hard))
    else:
        ledger.collector.spawn()
        ledger.collector.wait_until_ready()
    wait_for(lambda: {answer.status for answer in ledger.send(*range(50, 450))} == {200}, "spans are taken again")
    assert ledger.collector.stop() == 0
    ledger.check()


@pytest.mark.parametrize("count", [24, soak(2_000)])
def test_each_batch_five_times_in_any_order_across_restarts_counts_once(tmp_path: Path, count: int) -> None:
    """A storm of resends over both transports, with `kill -9` and clean ends in between."""
    chance = Random(7)
    storm = [number for number in range(1, count) for _ in range(5)]
    turn_size = len(storm) // 4
    chance.shuffle(storm)
    with CollectorProcess(tmp_path) as collector:
        ledger = Ledger(collector)
        for turn, start in enumerate(range(0, len(storm), turn_size)):
            for transport in ("grpc", "http"):
                half = storm[start : start + turn_size][transport == "grpc" :: 2]
                assert {answer.status for answer in ledger.send(*half, transport=transport)} == {200}
            if turn % 3 != 2:
                collector.kill() if turn % 2 else collector.stop()
                collector.spawn()
                collector.wait_until_ready()
        assert collector.stop() == 0
    ledger.check()
    total = query_published(collector.database, "SELECT count(*) AS spans, sum(cost_usd) AS usd FROM calls").to_pylist()
    assert total[0]["spans"] == len(ledger.costs)
    assert int(total[0]["usd"] * 10**12) == sum(ledger.costs.values())


def test_connections_leave_descriptors_to_the_ledger_and_to_who_asks_how_it_is(ledger: Ledger) -> None:
    """More come than there is room for: they are cut and counted; one that was there is served, and all is applied."""
    collector = ledger.collector
    with _few_descriptors(ledger, RESERVED_DESCRIPTORS + 20) as open_connection, ExitStack() as others:
        for _ in range(200):
            last = others.enter_context(socket.create_connection(("127.0.0.1", collector.http_port), WAIT_SECONDS))
        with suppress(ConnectionError):
            assert last.recv(1) == b""
        assert collector.metric("otel_cost_requests_refused_total") >= 100
        _send_by(open_connection, ledger, 1_000)
        wait_until_applied(collector)
        assert collector.health() == 200
        assert collector.metric("otel_cost_publish_failures_total") == 0
    assert collector.stop() == 0
    ledger.check()


def test_without_descriptors_nothing_is_lost_or_taken_for_damaged(ledger: Ledger) -> None:
    """No connection and no file can be opened; the one that is there is answered, and its spans wait in the journal."""
    collector = ledger.collector
    with _few_descriptors(ledger, -1_000) as open_connection:
        wait_for(lambda: collector.health() is None, "nobody gets in")
        _send_by(open_connection, ledger, 1_000)
        wait_for(lambda: "Too many open files" in collector.log, "a file could not be opened")
    wait_for(lambda: collector.health() is not None, "somebody gets in")
    assert {answer.status for answer in ledger.send(*range(30, 60))} == {200}
    wait_until_applied(collector)
    assert collector.health() == 200
    assert not (collector.live / "damaged").exists()
    assert collector.stop() == 0
    ledger.check()


@contextmanager
def _few_descriptors(ledger: Ledger, more: int) -> Iterator[socket.socket]:
    """A collector that has applied spans may open so many more files; a connection that was open before."""
    collector = ledger.collector
    ledger.send(*range(1, 30))
    wait_until_applied(collector)
    process = collector.process_id
    soft, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    with socket.create_connection(("127.0.0.1", collector.http_port), timeout=WAIT_SECONDS) as open_connection:
        _send_by(open_connection, ledger, 999)  # so it is accepted
        wait_until_applied(collector)
        resource.prlimit(process, resource.RLIMIT_NOFILE, (max(1, collector.descriptor_count() + more), hard))
        yield open_connection
        resource.prlimit(process, resource.RLIMIT_NOFILE, (soft, hard))


def _send_by(connection: socket.socket, ledger: Ledger, number: int) -> None:
    request, costs = plain_calls(number)
    body = request.SerializeToString()
    head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
    connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
    assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    ledger.costs.update(costs)


ODD = {
    "half a head": b"POST /v1/tra",
    "half a body": b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
    b"Content-Length: 1000\r\n\r\nhalf",
    "nothing": b"",
    "half a preface": b"PRI * HTTP/2.0\r\n",
}


def test_clients_that_never_finish_and_never_read_are_nobody_elses_concern(ledger: Ledger) -> None:
    """Three hundred of them, on both ports; the collector serves on and ends in time."""
    collector = ledger.collector
    question = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000
    with ExitStack() as clients:
        for port in (collector.http_port, collector.grpc_port, collector.metrics_port, collector.health_port):
            for start in ODD.values():
                for _ in range(20):
                    client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
                    client.sendall(start)
        never_reads = clients.enter_context(socket.create_connection(("127.0.0.1", collector.http_port)))
        never_reads.settimeout(1)
        try:
            for _ in range(50):
                never_reads.sendall(question)
        except OSError:
            pass  # it is cut, or its sending is no longer taken
        for transport in ("http", "grpc"):
            numbers = range(1, 30) if transport == "http" else range(30, 60)
            assert {answer.status for answer in ledger.send(*numbers, transport=transport)} == {200}
        assert collector.health() == 200
        assert collector.stop() == 0
    ledger.check()


@contextmanager
def never_answers() -> Iterator[int]:
    """The port of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_targets_that_are_down_or_silent_cost_a_bounded_queue_and_no_span_of_the_ledger(tmp_path: Path) -> None:
    """The oldest spans give way and are counted; the log has a line per target, and the stop does not wait for them."""
    with never_answers() as silent:
        targets = {"otlphttp/down": free_port(), "otlphttp/silent": silent}
        exporters = "\n".join(
            f'  {name}: {{endpoint: "http://127.0.0.1:{port}", sending_queue: {{queue_size_mib: 1}}}}'
            for name, port in targets.items()
        )
        with CollectorProcess(tmp_path, exporters=exporters) as collector:
            ledger = Ledger(collector)
            assert {answer.status for answer in ledger.send(*range(1, 600), clients=16)} == {200}
            wait_until_applied(collector)
            for name in targets:
                labels = f'{{exporter="{name}"}}'
                assert collector.metric(f"otel_cost_forward_dropped_spans_total{labels}") > 0
                assert collector.metric(f"otel_cost_forward_queue_bytes{labels}") <= 1 << 20
            assert collector.health() == 200
            assert collector.stop() == 0
            assert collector.log.count("otlphttp/down: not taking spans, will keep trying") == 1
    ledger.check()


def test_wrong_tls_stops_the_start_or_cuts_the_sender_and_nothing_else(tmp_path: Path) -> None:
    """Files that cannot be used are named by the start; a sender without TLS is cut, and the collector is well."""
    tls: TlsFiles = make(tmp_path)
    wrong = CollectorProcess(tmp_path, tls=f', tls: {{cert_file: "{tls.key_file}", key_file: "{tls.cert_file}"}}')
    wrong.spawn()
    assert wrong.wait() == 1
    assert "no certificate in PEM format" in wrong.log
    assert "Traceback" not in wrong.log
    right = f', tls: {{cert_file: "{tls.cert_file}", key_file: "{tls.key_file}"}}'
    with CollectorProcess(tmp_path, tls=right) as collector:
        for port in (collector.http_port, collector.grpc_port):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
                plain.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                with suppress(ConnectionError):
                    while plain.recv(1000):  # an alert of TLS, then the end
                        pass
        assert collector.health() == 200
