"""The pages for machines: what they say, and that no client keeps them from the others."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus

import pytest

from collector.config.parts import Endpoint
from collector.errors import CannotListen
from collector.serve import probes
from collector.serve.probes import Pages, ProbeServer, health_pages


@contextmanager
def serving(pages: Pages, *digests: bytes) -> Iterator[Endpoint]:
    """The pages on a port of their own."""
    server = ProbeServer("test", Endpoint("127.0.0.1", 0), pages, digests)
    try:
        yield server.start()
    finally:
        server.stop()
        until(lambda: probe_threads() == 0)


def get(endpoint: Endpoint, path: str = "/", **headers: str) -> tuple[int, str]:
    """Status and body of a page."""
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def connect(endpoint: Endpoint) -> socket.socket:
    """A raw connection."""
    return socket.create_connection((endpoint.host, endpoint.port), timeout=30)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what a thread of the server brings about."""
    deadline_seconds = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_seconds
        time.sleep(0.01)


def probe_threads() -> int:
    """Connections that are served now."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("said", [None, "Bearer other-0123456789", "Basic scraper-0123456789", "Bearer", "\xff"])
def test_pages_with_tokens_are_for_those_who_show_one(said: str | None) -> None:
    """For any path: also what there is not."""
    with serving(health_pages(lambda: None), sha256(b"scraper-0123456789").digest()) as endpoint:
        headers = {} if said is None else {"Authorization": said}
        assert get(endpoint, **headers)[0] == get(endpoint, "/other", **headers)[0] == 401
        assert get(endpoint, Authorization="Bearer scraper-0123456789")[0] == 200


def test_health_tells_the_reason_while_spans_are_not_taken() -> None:
    """503 with it as the status, then 200 again."""
    reasons: list[str | None] = [None, "the disk is full", None]
    with serving(health_pages(lambda: reasons.pop(0))) as endpoint:
        answers = [get(endpoint) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 503, 200]
    assert [json.loads(body)["status"] for _, body in answers] == [
        "Server available",
        "the disk is full",
        "Server available",
    ]


def test_a_page_that_cannot_be_made_is_an_error_and_the_next_is_served(caplog: pytest.LogCaptureFixture) -> None:
    """500, with the reason in the log only."""

    def broken() -> str | None:
        raise ZeroDivisionError("secret")

    with serving(health_pages(broken)) as endpoint:
        for _ in range(2):
            status, body = get(endpoint)
            assert status == 500
            assert "secret" not in body
        assert get(endpoint, "/other")[0] == 404
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "sent",
    [b"\x00\xff\r\n\r\n", b"x" * 100_000, os.urandom(3000), b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n"],
    ids=["garbage", "long line", "random", "many headers"],
)
def test_garbage_is_answered_or_cut(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Without a line in the log, and others are served."""
    with serving(health_pages(lambda: None)) as endpoint:
        for _ in range(5):
            with connect(endpoint) as client, contextlib.suppress(OSError):  # cut at any moment
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        assert get(endpoint)[0] == 200
    assert caplog.records == []


def test_silent_clients_give_way_to_those_that_ask() -> None:
    """Ten times as many as there may be; the threads stay few."""
    with serving(health_pages(lambda: None)) as endpoint:
        clients = [connect(endpoint) for _ in range(10 * probes.MAX_CONNECTIONS)]
        assert get(endpoint)[0] == 200
        until(lambda: probe_threads() <= probes.MAX_CONNECTIONS)
        for client in clients:
            client.close()


def test_a_client_that_trickles_or_never_reads_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread ends, whatever it does."""
    monkeypatch.setattr(probes, "CONNECTION_SECONDS", 0.3)
    page = probes.Page(HTTPStatus.OK, "text/plain", "x" * 50_000_000)
    with serving({"/": lambda _: page}) as endpoint:
        with connect(endpoint) as unread, connect(endpoint) as trickling:
            unread.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while probe_threads():
                with contextlib.suppress(OSError):
                    trickling.sendall(b"x")
                time.sleep(0.01)
        assert get(endpoint, "/other")[0] == 404


def test_stopping_does_not_wait_for_clients() -> None:
    """Those that are connected and silent."""
    with serving(health_pages(lambda: None)) as endpoint:
        clients = [connect(endpoint) for _ in range(5)]
    with pytest.raises(OSError):
        connect(endpoint)
    for client in clients:
        client.close()


def test_an_address_in_use_is_told() -> None:
    """With the name of the part and the address."""
    with serving({}) as endpoint, pytest.raises(CannotListen, match=rf"metrics: cannot listen on .*{endpoint.port}"):
        ProbeServer("metrics", endpoint, {}).start()
