"""One HTTP/1.1 connection: httptools parses, and what is here keeps its requests in order and its peer in bounds.

The design is uvicorn's; what a general server needs and OTLP does not is left out (scopes, tasks, applications), and
what it leaves to a proxy in front is added: bounds on heads, on silence anywhere, and on answers that nobody reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from math import inf
from typing import Protocol, cast

import httptools

from collector.decode.otlp_json import to_protobuf
from collector.decode.request import Outcome, Request
from collector.errors import MalformedRequest, MethodNotAllowed, Overloaded, StalledRequest
from collector.limits import MAX_SILENCE_SECONDS
from collector.receive import bounds
from collector.receive.answers import CONTINUE, Encoder
from collector.receive.descriptors import leaves_room
from collector.receive.exchange import HEADERS, Exchange
from collector.receive.intake import Intake
from collector.receive.senders import Sender
from collector.receive.status import JSON

log = logging.getLogger(__name__)

_SMALL_JSON_BYTES = 64 * 1024
"""JSON up to this size is converted on the event loop (a few ms); more goes to a thread."""


class Peer(Protocol):
    """What stands at our end of a TCP connection."""

    def check(self, now: float) -> None:
        """Ends what has gone on for too long; called every `SWEEP_SECONDS`, `now` in the loop's time."""

    def drain(self) -> None:
        """Ends as soon as the answers under way are given."""

    def abort(self) -> None:
        """Ends now."""


class Endpoint:
    """What the connections of one receiver share."""

    def __init__(self, intake: Intake, loop: asyncio.AbstractEventLoop, max_connections: int) -> None:
        self.intake = intake
        self.max_connections = max_connections
        self.loop = loop
        self.encoder = Encoder()
        self.peers: set[Peer] = set()
        self.converting = asyncio.Semaphore(1)  # as Python objects, JSON takes twenty times its size
        self.empty = asyncio.Event()
        self.empty.set()

    def is_full(self, descriptor: int) -> bool:
        """Whether there are more connections than there may be, this newest one included; that is counted."""
        full = len(self.peers) > self.max_connections or not leaves_room(descriptor)
        if full:
            self.intake.refused(Overloaded("too many connections are open"))
        return full

    def joined(self, peer: Peer) -> None:
        """A connection is open."""
        self.peers.add(peer)
        self.empty.clear()

    def left(self, peer: Peer) -> None:
        """A connection is closed."""
        self.peers.discard(peer)
        if not self.peers:
            self.empty.set()


class HttpConnection(asyncio.Protocol):
    """Requests are answered in their order. A refused body is read to its end: its sender must get to the answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._intake = endpoint.intake
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._head_open = False
        self._head_without_offer = b""
        self._unseen_bytes = 0  # fed to the parser since it last said anything
        self._unanswered: deque[Exchange] = deque()  # oldest first
        self._arriving: Exchange | None = None  # its body is not complete; it may be answered all the same
        self._ending = False  # nothing more is read
        self._paused = False
        self._began_at = 0.0  # the request that arrives
        self._moved_at = 0.0  # the last bytes arrived
        self._until = inf  # what has not arrived then is not waited for
        self._stuck_at: float | None = None  # the peer has not read its answers since

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._moved_at = self._endpoint.loop.time()
        self._endpoint.joined(self)
        if self._endpoint.is_full(transport.get_extra_info("socket").fileno()) or self._intake.draining:
            self._ending = True
            self.abort()

    def data_received(self, data: bytes) -> None:
        self._moved_at = self._endpoint.loop.time()
        while data and not self._ending and self._parser is not None:
            self._unseen_bytes += len(data)
            rest = b""
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = self._head_without_offer + data[upgrade.args[0] :]
            except httptools.HttpParserCallbackError as error:
                self._refuse(error.__context__ or error)
            except httptools.HttpParserError as error:
                self._refuse(MalformedRequest(f"not HTTP/1.1: {error}"))
            if self._unseen_bytes > bounds.MAX_HEAD_BYTES or self._head_bytes > bounds.MAX_HEAD_BYTES:
                self._refuse(MalformedRequest(f"the head has more than {bounds.MAX_HEAD_BYTES} bytes"))
            data = rest
        self._flush()

    def eof_received(self) -> bool:
        """A peer that has only stopped sending may still wait for answers."""
        if self._arriving is not None and self._arriving in self._unanswered:
            self._settle(self._arriving, _left_early())
        if not self._unanswered:
            return False
        self._unanswered[-1].last = True
        self._ending = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.answer is None:
            arriving.fail(self._intake, _left_early())
        self._ending = True
        self._parser = None
        self._unanswered.clear()
        self._endpoint.left(self)

    def pause_writing(self) -> None:
        self._stuck_at = self._endpoint.loop.time()
        self._pace()

    def resume_writing(self) -> None:
        self._stuck_at = None
        self._pace()

    # the parser's side

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._head_bytes = 0
        self._head_open = True
        self._began_at = self._moved_at

    def on_url(self, part: bytes) -> None:
        self._unseen_bytes = 0
        self._target += part
        if len(self._target) > bounds.MAX_TARGET_BYTES:
            raise MalformedRequest(f"the request's target has more than {bounds.MAX_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unseen_bytes = 0
        self._head_bytes += len(name) + len(value)
        name = name.lower()
        if name in HEADERS:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._head_open = False
        if self._ending or self._parser is None or self._head_bytes > bounds.MAX_HEAD_BYTES:
            return
        method = self._parser.get_method()
        if self._parser.should_upgrade():
            self._decline(method)
            return
        last = not self._parser.should_keep_alive() or self._parser.get_http_version() == "1.0"
        exchange = Exchange(self._headers, method, last)
        self._unanswered.append(exchange)
        self._arriving = exchange
        try:
            exchange.open(self._intake, method, self._target, self._headers)
        except Exception as error:
            exchange.last |= exchange.expects  # whether its body still comes, nobody knows
            exchange.fail(self._intake, error)
        else:
            self._encourage()

    def _decline(self, method: bytes) -> None:
        """Java's client offers HTTP/2 with each first request. The parser would take the body for something that is no
        longer HTTP, and the request for an empty one; so it gets the head again, without the offer."""
        if method == b"CONNECT":
            self._refuse(MethodNotAllowed("CONNECT is not POST"))
            return
        headers = b"".join(b"%s: %s\r\n" % header for header in self._headers.items())
        self._head_without_offer = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, self._target, headers)

    def on_body(self, chunk: bytes) -> None:
        self._unseen_bytes = 0
        exchange = self._arriving
        if exchange is None or exchange.lease is None or exchange.answer is not None:
            return
        try:
            exchange.reader.feed(chunk)
            exchange.lease.hold(exchange.reader.held_bytes)
        except Exception as error:
            exchange.fail(self._intake, error)

    def on_message_complete(self) -> None:
        self._unseen_bytes = 0
        exchange, self._arriving = self._arriving, None
        if exchange is None:
            return
        exchange.complete = True
        if exchange.answer is None:
            try:
                self._hand_over(exchange)
            except Exception as error:
                exchange.fail(self._intake, error)

    # requests and answers

    def _hand_over(self, exchange: Exchange) -> None:
        body = exchange.reader.finish()
        assert exchange.lease is not None
        if exchange.lease.signal != "traces" or not body:
            exchange.conclude(self._intake, Outcome(0))  # OTLP answers a request without spans with success
            return
        if exchange.media_type == JSON:
            future = asyncio.ensure_future(self._convert(body, exchange.sender))
        else:
            future = asyncio.ensure_future(self._intake.submit(Request(body, *exchange.sender)))
        future.add_done_callback(partial(self._stored, exchange))

    async def _convert(self, body: bytes, sender: Sender) -> Outcome:
        """Large bodies one at a time."""
        if len(body) <= _SMALL_JSON_BYTES:
            body = to_protobuf(body)
        else:
            async with self._endpoint.converting:
                body = await asyncio.to_thread(to_protobuf, body)
        return await self._intake.submit(Request(body, *sender)) if body else Outcome(0)

    def _stored(self, exchange: Exchange, future: asyncio.Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except (Exception, asyncio.CancelledError) as error:
            exchange.fail(self._intake, error)
        else:
            exchange.conclude(self._intake, outcome)
        self._flush()

    def _settle(self, exchange: Exchange, error: BaseException) -> None:
        """Answers a request that has not wholly arrived; nothing more is read."""
        exchange.last = True
        exchange.fail(self._intake, error)
        self._flush()

    def _refuse(self, error: BaseException) -> None:
        """Answers what cannot be read on: in the place of the request that arrives, or of one that was about to."""
        if self._ending:
            return
        exchange = self._arriving
        self._ending = True
        if exchange is None:
            exchange = Exchange({}, b"", last=True)
            self._unanswered.append(exchange)
        if exchange.answer is None:
            self._settle(exchange, error)
        elif exchange in self._unanswered:
            exchange.last = True
        else:
            self._end(lingering=True)

    def _encourage(self) -> None:
        """Tells a sender that waits for it to send its body, once all before it are answered."""
        first = self._unanswered[0] if self._unanswered else None
        if first is not None and first.expects and first.answer is None:
            first.expects = False
            self._transport.write(CONTINUE)

    def _flush(self) -> None:
        """Writes the answers whose turn it is."""
        while self._unanswered and (answer := self._unanswered[0].answer) is not None:
            exchange = self._unanswered.popleft()
            last = exchange.last or (self._intake.draining and not self._unanswered)
            self._transport.write(self._endpoint.encoder.encode(answer, last, exchange.head_only))
            if last:
                self._end(lingering=not exchange.complete)
                return
            self._encourage()
        self._pace()

    def _end(self, lingering: bool) -> None:
        """Closes. A peer that is still sending is listened to for a while: cut off, it would lose the answer."""
        self._ending = True
        self._unanswered.clear()
        self._moved_at = self._endpoint.loop.time()
        if not lingering:
            self._transport.close()
        elif not self._transport.is_closing():
            if self._paused:
                self._transport.resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()

    # bounds

    def _pace(self) -> None:
        """Reads no more from a peer that does not read, or that has enough waiting."""
        paused = self._stuck_at is not None or len(self._unanswered) > bounds.MAX_PIPELINED
        if paused != self._paused and not self._ending and not self._transport.is_closing():
            self._paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._moved_at = self._endpoint.loop.time()
                self._transport.resume_reading()

    def check(self, now: float) -> None:
        """Ends what has gone on for too long."""
        quiet_seconds = now - self._moved_at
        if self._stuck_at is not None:
            if now - self._stuck_at > bounds.UNREAD_SECONDS:
                self.abort()
        elif self._ending and not self._unanswered:
            if quiet_seconds > bounds.CLOSE_SECONDS or now - self._began_at > bounds.MAX_BODY_SECONDS:
                self.abort()
        elif self._head_open or self._arriving is not None:
            longest_seconds = MAX_SILENCE_SECONDS if self._head_open else bounds.MAX_BODY_SECONDS
            late = quiet_seconds > MAX_SILENCE_SECONDS or now - self._began_at > longest_seconds
            if now > self._until or (late and not self._paused):
                self._refuse(StalledRequest("the request stopped arriving before it was complete"))
        elif not self._unanswered and quiet_seconds > bounds.IDLE_SECONDS:
            self._end(lingering=False)

    def drain(self) -> None:
        """Closes when idle, else after the answers under way."""
        if not self._unanswered and self._arriving is None:
            self._end(lingering=False)
        self._until = self._endpoint.loop.time() + bounds.CLOSE_SECONDS

    def abort(self) -> None:
        """Cuts the connection."""
        self._transport.abort()


def _left_early() -> MalformedRequest:
    return MalformedRequest("the connection closed before the body was complete")
