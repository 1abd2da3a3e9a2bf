"""HTTP on raw sockets, on both event loops: what a client may do."""

from __future__ import annotations

import logging
import socket
import threading

import pytest

from collector.errors import MalformedRequest
from collector.receive import bounds
from collector.receive.status import PROTOBUF
from tests.collector.receive.raw_http import BODY, Answers, codes, head, is_closed, post, send, send_what_is_taken
from tests.collector.receive.support import Hold, Running

CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(193)


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
        sending = threading.Thread(target=send_what_is_taken, args=(client, start))
        sending.start()
        answer = Answers(client).next()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        client.shutdown(socket.SHUT_WR)
        assert is_closed(client)
        sending.join(30)
    assert receivers.pipeline.refused == [MalformedRequest]
    assert not [record for record in caplog.records if record.name != "urllib3.connectionpool" and record.levelno > 10]
    assert send(receivers, BODY) == 200


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
