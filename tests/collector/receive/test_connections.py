"""HTTP on raw sockets, on both event loops: what a client may do, and what it cannot do to others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import pytest
import requests
import uvloop

from collector.errors import MalformedRequest, Overloaded, StalledRequest
from collector.receive import ReceiverConfig, bounds
from collector.receive.status import JSON, PROTOBUF
from tests.collector.receive.support import Hold, Running, request_of, running

BODY = request_of(["a", "b"]).SerializeToString()
ANYWHERE = ReceiverConfig("127.0.0.1", 0)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(193)


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Each event loop in turn."""
    return LOOPS[request.param]


@pytest.fixture
def receivers(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Running]:
    """Receivers of the test's own."""
    with running(ANYWHERE, new_loop) as one:
        yield one


def head(*lines: str, method: str = "POST", path: str = "/v1/traces", media_type: str = PROTOBUF) -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", f"Content-Type: {media_type}", *lines, "", ""]).encode()


def post(body: bytes = BODY, *lines: str) -> bytes:
    """A whole request."""
    return head(f"Content-Length: {len(body)}", *lines) + body


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Answers:
    """Reads answers one after the other."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._read = b""

    def line(self) -> str:
        """The next line, without its end."""
        while b"\r\n" not in self._read:
            self._more()
        line, _, self._read = self._read.partition(b"\r\n")
        return line.decode()

    def next(self, method: str = "POST") -> Answer:
        """The next answer, to a request of that method."""
        status = int(self.line().split()[1])
        headers = dict(line.split(": ", 1) for line in iter(self.line, ""))
        size_bytes = 0 if method == "HEAD" else int(headers["content-length"])
        while len(self._read) < size_bytes:
            self._more()
        body, self._read = self._read[:size_bytes], self._read[size_bytes:]
        return Answer(status, headers, body)

    def _more(self) -> None:
        part = self._client.recv(65536)
        assert part, "the connection was closed"
        self._read += part


def codes(client: socket.socket, number: int) -> list[int]:
    """The codes of the next answers."""
    answers = Answers(client)
    return [answers.next().status for _ in range(number)]


def is_closed(client: socket.socket) -> bool:
    """Whether our end closes the connection."""
    with contextlib.suppress(ConnectionError):
        while client.recv(65536):
            pass
    return True


def send(receivers: Running, body: bytes) -> int:
    """The code that an ordinary client gets."""
    return requests.post(receivers.url(), data=body, headers={"content-type": PROTOBUF}, timeout=60).status_code


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about."""
    deadline_seconds = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_seconds
        time.sleep(0.005)


def test_a_connection_serves_many_requests(receivers: Running) -> None:
    """One after the other, each with the time of day."""
    with receivers.connect() as client:
        answers = Answers(client)
        for _ in range(3):
            client.sendall(post())
            answer = answers.next()
            assert (answer.status, answer.headers["content-type"], answer.headers["content-length"]) == (
                200,
                PROTOBUF,
                "0",
            )
            assert answer.headers["date"].endswith("GMT")
    assert len(receivers.pipeline.spans) == 6


def test_pipelined_requests_are_answered_in_their_order(receivers: Running) -> None:
    """Also when a later one is refused at once and an earlier one waits for its commit; and more than may wait."""
    number = 4 * bounds.MAX_PIPELINED
    hold = Hold(receivers)
    with receivers.connect() as client:
        client.sendall((post() + head(path="/nothing", method="GET") + post(b"")) * number)
        assert hold.entered.wait(10)
        hold.release()
        assert codes(client, 3 * number) == [200, 404, 200] * number
    assert len(receivers.pipeline.spans) == 2 * number


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_request_may_arrive_in_any_pieces(receivers: Running, step: int) -> None:
    """Chunked, and chunks of any size; trailers are ignored."""
    chunks = b"".join(
        b"%x;ext=1\r\n%s\r\n" % (len(BODY[at : at + 5]), BODY[at : at + 5]) for at in range(0, len(BODY), 5)
    )
    request = head("Transfer-Encoding: chunked") + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    with receivers.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), step):
            client.sendall(request[at : at + step])
        assert codes(client, 1) == [200]
    assert [span["name"] for span in receivers.pipeline.spans] == ["a", "b"]


@pytest.mark.parametrize("path", ["/v1/traces/", "/v1/traces?x=1", "/v1/%74races", "http://collector:4318/v1/traces"])
def test_other_spellings_of_the_path_are_understood(receivers: Running, path: str) -> None:
    """A slash at the end, a query, escapes, a whole URL as proxies send it."""
    with receivers.connect() as client:
        client.sendall(head(f"Content-Length: {len(BODY)}", path=path) + BODY)
        assert codes(client, 1) == [200]


def test_a_sender_that_asks_first_is_told_to_go_on(receivers: Running) -> None:
    """`Expect: 100-continue`; one that would be refused is told so instead, and its connection is closed."""
    with receivers.connect() as client:
        client.sendall(head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        answers = Answers(client)
        assert [answers.line(), answers.line()] == ["HTTP/1.1 100 Continue", ""]
        client.sendall(BODY)
        assert answers.next().status == 200
        client.sendall(head("Content-Length: 99999999999", "Expect: 100-continue"))
        refusal = answers.next()
        assert (refusal.status, refusal.headers["connection"]) == (413, "close")
        assert is_closed(client)


@pytest.mark.parametrize(
    "request_bytes",
    [post(BODY, "Connection: close"), post().replace(b"HTTP/1.1", b"HTTP/1.0")],
    ids=["close", "HTTP/1.0"],
)
def test_a_connection_closes_when_its_client_wants_that(receivers: Running, request_bytes: bytes) -> None:
    """After the answer."""
    with receivers.connect() as client:
        client.sendall(request_bytes)
        answer = Answers(client).next()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert is_closed(client)


def test_an_answer_to_head_has_no_body(receivers: Running) -> None:
    """Else the next answer would be read from the wrong place."""
    with receivers.connect() as client:
        client.sendall(head(method="HEAD") + post())
        answers = Answers(client)
        assert (answers.next("HEAD").status, answers.next().status) == (405, 200)


def test_an_offer_of_http2_is_not_taken_up(receivers: Running) -> None:
    """Java's client makes it with its first request, and goes on in HTTP/1.1; the body of that request is not lost."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    with receivers.connect() as client:
        client.sendall(post(BODY, *offer) + post(b"", *offer) + post())
        assert codes(client, 3) == [200, 200, 200]
        client.sendall(head("Transfer-Encoding: chunked", *offer) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
        client.sendall(head(method="CONNECT", path="x:1"))
        assert codes(client, 2) == [200, 405]
        assert is_closed(client)
    assert len(receivers.pipeline.spans) == 6


def test_a_client_that_only_stops_sending_gets_its_answer(receivers: Running) -> None:
    """Half-closed is not gone."""
    hold = Hold(receivers)
    with receivers.connect() as client:
        client.sendall(post())
        client.shutdown(socket.SHUT_WR)
        assert hold.entered.wait(10)
        hold.release()
        assert codes(client, 1) == [200]
        assert is_closed(client)


@pytest.mark.parametrize(
    "start",
    [
        b"GET /" + b"x" * 4_000 + b" HTTP/1.1\r\n\r\n",
        head("X: " + "y" * 40_000),
        head(*(f"X-{number}: {'y' * 100}" for number in range(1_000))),
        head("X: ")[:-4] + b"y" * 1_000_000,
        head("Transfer-Encoding: chunked") + b"1;" + b"x" * 1_000_000,
        head("Transfer-Encoding: chunked") + b"0\r\nX: " + b"y" * 1_000_000,
        b"\r\n" * 500_000,
        b"\x00\xff garbage\r\n\r\n",
        CLIENT_HELLO,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        head("Content-Length: 1", "Content-Length: 2"),
        head("Content-Length: 5", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: chunked") + b"zz\r\n",
    ],
    ids=[
        *("target", "header", "headers", "endless header", "endless chunk head", "endless trailer", "endless newlines"),
        *("garbage", "TLS", "HTTP/2", "two lengths", "length and chunks", "chunk size"),
    ],
)
def test_what_is_not_a_request_is_told_so_and_costs_nothing(
    receivers: Running, start: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400, the connection is closed, it is counted, and there is no line in the log; others are served."""
    with receivers.connect() as client, caplog.at_level(logging.DEBUG):
        sending = threading.Thread(target=_send_what_is_taken, args=(client, start))
        sending.start()
        answer = Answers(client).next()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        client.shutdown(socket.SHUT_WR)
        assert is_closed(client)
        sending.join(30)
    assert receivers.pipeline.refused == [MalformedRequest]
    assert not [record for record in caplog.records if record.name != "urllib3.connectionpool" and record.levelno > 10]
    assert send(receivers, BODY) == 200


def _send_what_is_taken(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def test_a_request_that_fails_inside_is_to_be_sent_again_and_told_of(
    receivers: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug costs one request, and its traceback is in the log."""

    def broken(self: object, chunk: bytes) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("collector.receive.inflate.BodyReader.feed", broken)
        with receivers.connect() as client:
            client.sendall(post())
            assert codes(client, 1) == [503]
    assert "ZeroDivisionError" in caplog.text
    assert send(receivers, BODY) == 200


def test_a_head_that_stops_arriving_is_given_up(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it trickles."""
    monkeypatch.setattr("collector.receive.connection.MAX_SILENCE_SECONDS", 0.2)
    with receivers.connect() as client, receivers.connect() as trickling:
        client.sendall(b"POST /v1/tra")
        trickling.sendall(b"POST /")
        stopped = threading.Event()

        def trickle() -> None:
            while not stopped.wait(0.05):
                _send_what_is_taken(trickling, b"x")

        trickler = threading.Thread(target=trickle)
        trickler.start()
        assert codes(client, 1) == [503]
        assert codes(trickling, 1) == [503]
        stopped.set()
        trickler.join(30)
    assert receivers.pipeline.refused == [StalledRequest] * 2


def test_a_body_that_trickles_is_given_up(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not hold a place for good."""
    monkeypatch.setattr("collector.receive.bounds.MAX_BODY_SECONDS", 0.2)
    with receivers.connect() as client:
        client.sendall(head("Content-Length: 1000000"))
        client.settimeout(0.05)
        answer = b""
        while not answer:
            _send_what_is_taken(client, b"x")
            try:
                answer = client.recv(1000)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 503 ")
    assert receivers.pipeline.refused == [StalledRequest]


def test_an_idle_connection_is_closed_in_the_end(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it ever had a request or not; nothing is counted."""
    monkeypatch.setattr("collector.receive.bounds.IDLE_SECONDS", 0.2)
    with receivers.connect() as client, receivers.connect() as used:
        used.sendall(post(b""))
        assert codes(used, 1) == [200]
        assert is_closed(client)
        assert is_closed(used)
    assert receivers.pipeline.refused == []


def test_a_client_that_leaves_amid_its_body_gives_back_its_place(receivers: Running) -> None:
    """And is counted."""
    intake = receivers.http._intake
    with receivers.connect() as client:
        client.sendall(post()[:-5])
        until(lambda: intake.in_flight_bytes > 0)
    until(lambda: intake.idle.is_set())
    assert (intake.in_flight_bytes, receivers.pipeline.refused) == (0, [MalformedRequest])


def test_a_client_that_leaves_before_its_answer_is_stored_all_the_same(receivers: Running) -> None:
    """It sends again, and deduplication is for that."""
    hold = Hold(receivers)
    with receivers.connect() as client:
        client.sendall(post())
        assert hold.entered.wait(10)
    hold.release()
    until(lambda: receivers.http._intake.idle.is_set())
    assert len(receivers.pipeline.spans) == 2


def test_a_client_that_never_reads_is_cut(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is owed does not pile up here, and others are served meanwhile."""
    with receivers.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        request, sent_bytes, full_since = head(method="GET", path="/nothing") * 100, 0, time.monotonic()
        while time.monotonic() - full_since < 0.5:
            try:
                sent_bytes += client.send(request)
                full_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert send(receivers, b"") == 200
        monkeypatch.setattr("collector.receive.bounds.UNREAD_SECONDS", 0.0)
        endpoint = receivers.http._endpoint
        assert endpoint is not None
        until(lambda: len(endpoint.peers) <= 1)
    assert sent_bytes < 64 * 1024 * 1024


def test_stopping_does_not_wait_for_a_client_that_never_reads(receivers: Running) -> None:
    """Its answers are given; taking them is its affair."""
    with receivers.connect() as client:
        client.setblocking(False)
        request, full_since = head(method="GET", path="/nothing") * 100, time.monotonic()
        while time.monotonic() - full_since < 0.3:
            try:
                client.send(request)
                full_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert receivers.stop(receivers.http, 20) < 10


@pytest.mark.parametrize("start", [b"", b"POST /v1/tra", head("Content-Length: 10")], ids=["silent", "head", "body"])
def test_stopping_does_not_wait_for_half_open_connections(receivers: Running, start: bytes) -> None:
    """However many; the answer under way is given."""
    clients = [receivers.connect() for _ in range(50)]
    for client in clients:
        client.sendall(start)
    hold = Hold(receivers)
    with receivers.connect() as waiting:
        waiting.sendall(post())
        assert hold.entered.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(receivers.http.stop(30), receivers.loop)
        hold.release()
        started_seconds = time.monotonic()
        stopping.result(60)
        assert time.monotonic() - started_seconds < 10
        assert codes(waiting, 1) == [200]
    for client in clients:
        assert is_closed(client)
        client.close()


def test_stopping_ends_at_the_deadline_whatever_waits(receivers: Running) -> None:
    """A commit that does not come; its sender is cut and sends again."""
    hold = Hold(receivers)
    with receivers.connect() as client:
        client.sendall(post())
        assert hold.entered.wait(10)
        assert receivers.stop(receivers.http, 0.2) < 10
        assert is_closed(client)
        hold.release()
        until(lambda: receivers.http._intake.idle.is_set())


def test_a_thousand_idle_connections_are_nobodys_concern(receivers: Running) -> None:
    """A request is served among them, and stopping closes them all."""
    clients = [receivers.connect() for _ in range(1_000)]
    assert send(receivers, BODY) == 200
    assert receivers.stop(receivers.http, 20) < 10
    for client in clients:
        assert is_closed(client)
        client.close()


def test_connections_beyond_the_bound_are_cut_and_counted(receivers: Running) -> None:
    """Those that are open are served."""
    endpoint = receivers.http._endpoint
    assert endpoint is not None
    endpoint.max_connections = 2
    with receivers.connect() as first, receivers.connect() as second:
        until(lambda: len(endpoint.peers) == 2)
        with receivers.connect() as third:
            assert is_closed(third)
        for client in (first, second):
            client.sendall(post())
            assert codes(client, 1) == [200]
    assert receivers.pipeline.refused == [Overloaded]


def test_many_large_bodies_share_one_budget(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Some are stored, some are to be sent again; never more is held than the budget and one piece of each."""
    names = ["x" * 1_000_000]
    large = request_of(names * 3).SerializeToString()
    with running(ReceiverConfig("127.0.0.1", 0, max_in_flight_bytes=10_000_000), new_loop) as receivers:
        hold = Hold(receivers)
        seen: list[int] = []

        def send_one() -> None:
            seen.append(send(receivers, large))

        senders = [threading.Thread(target=send_one) for _ in range(12)]
        for sender in senders:
            sender.start()
        until(lambda: len(seen) + receivers.http._intake.in_flight_bytes // len(large) >= 12)
        assert receivers.http._intake.in_flight_bytes <= 10_000_000
        hold.release()
        for sender in senders:
            sender.join(60)
        assert sorted(set(seen)) == [200, 503]
        assert len(receivers.pipeline.spans) == 3 * seen.count(200)
        until(lambda: receivers.http._intake.idle.is_set())
        assert receivers.http._intake.in_flight_bytes == 0


def test_random_bytes_and_mutated_requests_never_break_the_receiver(receivers: Running) -> None:
    """Whatever comes, it is answered or closed, and the next request is served."""
    random = Random(7)
    valid = post() + head("Transfer-Encoding: chunked") + b"5\r\nabcde\r\n0\r\n\r\n"
    for number in range(200):
        data = bytearray(valid)
        for _ in range(random.randrange(1, 6)):
            data[random.randrange(len(data))] = random.randrange(256)
        sent = os.urandom(300) if number % 10 == 0 else bytes(data)
        with receivers.connect() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert is_closed(client)
    until(lambda: receivers.http._intake.idle.is_set())
    answer = requests.post(receivers.url(), data=b"{}", headers={"content-type": JSON}, timeout=30)
    assert json.loads(answer.content) == {}
