"""The load generator, against a real server in this process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import grpc
import pytest

from benchmarks.ingest import processes
from benchmarks.ingest.clients import EXPORT, parse_response
from benchmarks.ingest.drive import Drive
from benchmarks.ingest.payload import Usage, count_spans
from benchmarks.ingest.plan import Latency, Load, Plan
from benchmarks.ingest.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A server that counts."""
    one = Sink()
    one.start()
    yield one
    one.stop()


def test_http_acknowledgements_are_spans_that_arrived(sink: Sink) -> None:
    """Every span that the report counts was received, over as many connections as asked."""
    with Drive(Plan("http", sink.port, spans_per_request=8, in_flight=3, requests=70)) as drive:
        load = drive.run()
    assert (load.acked_requests, load.acked_spans, load.failed) == (70, 560, 0)
    assert sink.spans == 560
    assert load.latency.p50_ms <= load.latency.p99_ms <= load.latency.max_ms


def test_a_load_that_is_ended_by_time_reports_the_usage_of_exactly_what_was_acknowledged(sink: Sink) -> None:
    """Whole blocks are sent, so that the expected cost is that of the acknowledged spans; intervals add up."""
    plan = Plan("http", sink.port, spans_per_request=64, in_flight=4, seconds=0.6, interval_seconds=0.2)
    with Drive(plan) as drive:
        *intervals, whole = drive.reports()
    assert whole.usage is not None
    assert whole.acked_spans == sink.spans
    assert sum(count for count, *_ in whole.usage.sums.values()) == whole.acked_spans * 7 // 8
    assert intervals
    assert sum(one.acked_spans for one in intervals) <= whole.acked_spans


def test_a_fixed_rate_is_kept(sink: Sink) -> None:
    """Requests are spread over the time that they should take."""
    plan = Plan("http", sink.port, spans_per_request=1, in_flight=8, requests=50, requests_per_second=100)
    with Drive(plan) as drive:
        load = drive.run()
    assert load.acked_requests == 50
    assert load.wall_seconds >= 0.45  # 49 pauses of 10 ms; the first request may leave a moment late


class _Later:
    """Refuses every other request once, as a server under pressure does; counts what it takes."""

    def __init__(self) -> None:
        self.spans = self.calls = 0

    def export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        if self.calls % 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "full: later")
        self.spans += count_spans(body)
        return b""


def test_grpc_requests_are_sent_again_when_the_server_asks_for_it() -> None:
    """What is refused for now is resent and counted; what is acknowledged arrived."""
    handler = _Later()
    service, _, method = EXPORT.strip("/").partition("/")
    methods = {method: grpc.unary_unary_rpc_method_handler(handler.export)}
    server = grpc.server(ThreadPoolExecutor(1), handlers=(grpc.method_handlers_generic_handler(service, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Drive(Plan("grpc", port, spans_per_request=8, connections=1, in_flight=1, requests=4)) as drive:
        load = drive.run()
    server.stop(None).wait()
    assert (load.acked_spans, load.later, load.failed) == (32, 4, 0)
    assert handler.spans == 32


def test_requests_lost_with_a_connection_are_resent_when_the_plan_says_so() -> None:
    """A server that hangs up once: the same bytes come again."""
    bodies: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"):
            connection, _ = listener.accept()
            head, _, body = connection.recv(1 << 20).partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(1 << 20)
            bodies.append(body)
            connection.sendall(answer)
            connection.close()

    thread = Thread(target=serve)
    thread.start()
    port = int(listener.getsockname()[1])
    with Drive(Plan("http", port, spans_per_request=8, in_flight=1, requests=1, resend=True)) as drive:
        load = drive.run()
    thread.join()
    listener.close()
    assert (load.acked_requests, load.lost, load.failed) == (1, 1, 0)
    assert bodies[0] == bodies[1]


def test_a_plan_needs_an_end() -> None:
    """Nothing is sent for ever by mistake."""
    with pytest.raises(ValueError, match="end"):
        Plan("http", 1)


def test_reports_survive_the_pipe() -> None:
    """A load is the same after JSON."""
    usage = Usage({(1, 2): (3, 4, 5, 6)}, [(1, 2, 3, 4, 5)])
    load = Load(1.0, 1.0, 8, 1, 0, 0, 0, Latency(1.0, 2.0, 3.0), 0.5, None, usage)
    assert Load.from_json(json.loads(json.dumps(load.to_json()))) == load


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", (200, b"ab")),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\na", None),
        (b"HTTP/1.1 200 OK\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", (200, b"")),
        (b"HTTP/1.1 204 No\r\n\r\n", (204, b"")),
    ],
)
def test_responses_are_taken_once_they_are_complete(data: bytes, parsed: tuple[int, bytes] | None) -> None:
    """Lengths and chunks decide; an incomplete response is waited for."""
    assert parse_response(data) == parsed


def test_cpu_of_a_tree_includes_children_that_ended_and_those_that_run(tmp_path: Path) -> None:
    """A child's work counts for its parent, before and after it has ended."""
    burn = "import time\nwhile time.process_time() < 0.4: pass\n"
    program = tmp_path / "parent.py"
    program.write_text(
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}], check=True)\n"
        f"child = subprocess.Popen([sys.executable, '-c', {burn + 'print(1, flush=True); input()'!r}])\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        assert len(processes.tree(parent.pid)) == 2
        assert processes.cpu_seconds(parent.pid) >= 0.7  # of 0.8, in ticks of 0.01
        assert processes.peak_rss_bytes(parent.pid) >= processes.rss_bytes(parent.pid) > 0
        children = [stat.pid for stat in processes.tree(parent.pid) if stat.pid != parent.pid]
        processes.kill(parent.pid)
        parent.wait()
    assert processes.wait_until(lambda: not any(_runs(pid) for pid in children), 10)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_waiting_ends_in_time() -> None:
    """What never becomes true is given up."""
    started = time.monotonic()
    assert not processes.wait_until(lambda: False, 0.2, every=0.01)
    assert time.monotonic() - started >= 0.2
