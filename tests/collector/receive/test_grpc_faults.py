"""gRPC on raw sockets: what a client cannot do to the others, and to a stop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import grpc
import pytest

from collector.receive import ReceiverConfig
from tests.collector.receive.raw_http import is_closed, until
from tests.collector.receive.support import TRACE_EXPORT, Hold, Running, request_of, running

BODY = request_of(["a", "b"]).SerializeToString()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
STARTS = {"silent": b"", "half a preface": PREFACE[:10], "preface": PREFACE, "settings": PREFACE + SETTINGS}


@pytest.fixture
def receivers() -> Iterator[Running]:
    """Receivers of the test's own."""
    with running() as one:
        yield one


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_stopping_does_not_wait_for_half_open_connections(receivers: Running, start: bytes) -> None:
    """However many; the answer under way is given."""
    clients = [receivers.connect(receivers.grpc.port) for _ in range(20)]
    for client in clients:
        client.sendall(start)
    hold = Hold(receivers)
    with receivers.channel() as channel:
        answer = channel.unary_unary(TRACE_EXPORT).future(BODY, timeout=30)
        assert hold.entered.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(receivers.grpc.stop(30), receivers.loop)
        hold.release()
        assert answer.result(20) == b""
        stopping.result(10)
    for client in clients:
        assert is_closed(client)
        client.close()


def test_stopping_ends_at_the_deadline_whatever_waits(receivers: Running) -> None:
    """A commit that does not come; its sender is told to send again."""
    hold = Hold(receivers)
    with receivers.channel() as channel:
        answer = channel.unary_unary(TRACE_EXPORT).future(BODY, timeout=30)
        assert hold.entered.wait(10)
        assert receivers.stop(receivers.grpc, 0.2) < 10
        assert answer.exception(20).code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        until(lambda: receivers.grpc._intake.idle.is_set())
        hold.release()


def test_what_comes_while_stopping_is_to_be_sent_again(receivers: Running) -> None:
    """The port still answers while an answer is under way."""
    hold = Hold(receivers)
    with receivers.channel() as channel:
        call = channel.unary_unary(TRACE_EXPORT)
        first = call.future(BODY, timeout=30)
        assert hold.entered.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(receivers.grpc.stop(30), receivers.loop)
        until(lambda: receivers.grpc._intake.draining)
        with pytest.raises(grpc.RpcError) as caught:
            call(BODY, timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        hold.release()
        assert first.result(20) == b""
        stopping.result(20)


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(2000), PREFACE + SETTINGS + b"\xff" * 1000],
    ids=["HTTP/1.1", "garbage", "wrong frame"],
)
def test_what_is_not_grpc_is_cut(receivers: Running, sent: bytes) -> None:
    """And others are served."""
    for _ in range(10):
        with receivers.connect(receivers.grpc.port) as client:
            client.sendall(sent)
            assert is_closed(client)
    assert receivers.call(BODY) == b""


def test_five_hundred_idle_connections_are_nobodys_concern(receivers: Running) -> None:
    """A request is served among them, and stopping closes them all."""
    clients = [receivers.connect(receivers.grpc.port) for _ in range(500)]
    assert receivers.call(BODY) == b""
    assert receivers.stop(receivers.grpc, 20) < 10
    for client in clients:
        assert is_closed(client)
        client.close()


def test_many_large_bodies_share_one_budget() -> None:
    """Some are stored, some are to be sent again, and nothing stays held."""
    large = request_of(["x" * 1_000_000] * 3).SerializeToString()
    with running(ReceiverConfig("127.0.0.1", 0, max_in_flight_bytes=10_000_000)) as receivers:
        hold = Hold(receivers)
        seen: list[grpc.StatusCode] = []

        def send() -> None:
            try:
                receivers.call(large)
                seen.append(grpc.StatusCode.OK)
            except grpc.RpcError as error:
                seen.append(error.code())

        senders = [threading.Thread(target=send) for _ in range(12)]
        for sender in senders:
            sender.start()
        until(lambda: len(seen) >= 9)
        assert receivers.grpc._intake.in_flight_bytes <= 10_000_000
        hold.release()
        for sender in senders:
            sender.join(60)
        assert seen.count(grpc.StatusCode.OK) == 3
        assert seen.count(grpc.StatusCode.UNAVAILABLE) == 9
        assert len(receivers.pipeline.spans) == 9
        assert receivers.grpc._intake.in_flight_bytes == 0


def test_a_client_that_gives_up_gives_back_its_place(receivers: Running) -> None:
    """Cancelled while its commit waits."""
    hold = Hold(receivers)
    with receivers.channel() as channel:
        answer = channel.unary_unary(TRACE_EXPORT).future(BODY, timeout=30)
        assert hold.entered.wait(10)
        answer.cancel()
        until(lambda: receivers.grpc._intake.idle.is_set())
    assert receivers.pipeline.refused == [asyncio.CancelledError]
    hold.release()
