"""HTTP on raw sockets, on both event loops: what a client cannot do to others."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from random import Random

import pytest
import requests

from collector.errors import MalformedRequest, Overloaded, StalledRequest
from collector.receive import ReceiverConfig
from collector.receive.status import JSON
from tests.collector.receive.raw_http import BODY, codes, head, is_closed, post, send, send_what_is_taken, until
from tests.collector.receive.support import Hold, Running, request_of, running


def test_a_head_that_stops_arriving_is_given_up(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it trickles."""
    monkeypatch.setattr("collector.receive.connection.MAX_SILENCE_SECONDS", 0.2)
    with receivers.connect() as client, receivers.connect() as trickling:
        client.sendall(b"POST /v1/tra")
        trickling.sendall(b"POST /")
        stopped = threading.Event()

        def trickle() -> None:
            while not stopped.wait(0.05):
                send_what_is_taken(trickling, b"x")

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
            send_what_is_taken(client, b"x")
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
