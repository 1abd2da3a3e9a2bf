"""A loopback HTTP server that sends exactly the pieces it is told, one by one if the client is to say when."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Framing = Literal["length", "chunked", "until_close"]
Ending = Literal["whole", "cut", "reset"]
RESET = struct.pack("ii", 1, 0)
GATE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. `is_gated`: each chunk after the first is sent when the client has asked for it.

    `ending`: the body as it should be, its last chunk missing and the connection closed, or the same with a reset.
    """

    chunks: tuple[bytes, ...]
    framing: Framing = "chunked"
    is_gzip: bool = False
    ending: Ending = "whole"
    is_gated: bool = False
    status: int = 200
    content_type: str = "text/event-stream"
    location: str | None = None

    @property
    def body(self) -> bytes:
        """What a client gets that reads to the end, decoded."""
        return b"".join(self.chunks if self.ending == "whole" else self.chunks[:-1])

    def pieces(self) -> Iterator[bytes]:
        """What goes over the wire: the head, then one piece per chunk."""
        encoded = list(_gzip_pieces(self.chunks)) if self.is_gzip else list(self.chunks)
        head = [f"HTTP/1.1 {self.status} Said", f"Content-Type: {self.content_type}"]
        head += ["Content-Encoding: gzip"] if self.is_gzip else []
        head += [f"Location: {self.location}"] if self.location else []
        if self.framing == "length":
            head.append(f"Content-Length: {sum(map(len, encoded))}")
        head += ["Transfer-Encoding: chunked"] if self.framing == "chunked" else []
        head.append("Connection: close")
        yield ("\r\n".join(head) + "\r\n\r\n").encode()
        for piece in encoded if self.ending == "whole" else encoded[:-1]:
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" and piece else piece
        if self.framing == "chunked" and self.ending == "whole":
            yield b"0\r\n\r\n"


def _gzip_pieces(chunks: tuple[bytes, ...]) -> Iterator[bytes]:
    """Each chunk flushed, so that a client can decode it when it arrives; joined they are one gzip stream."""
    compress = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for number, chunk in enumerate(chunks, 1):
        last = number == len(chunks)
        yield compress.compress(chunk) + compress.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


@dataclass(slots=True)
class ScriptedServer:
    """Answers the connections that it gets with its scripts in turn; the last one repeats."""

    scripts: list[Script]
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    sent: int = 0  # pieces after the head, of the answer under way
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _turn: int = 0

    def more(self) -> None:
        """The client has got what was sent, and asks for the next chunk."""
        self.gate.release()

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue  # the client hung up

    def _answer(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._read_request(connection):
            return
        script = self.scripts[min(self._turn, len(self.scripts) - 1)]
        self._turn += 1
        self.sent = 0
        head, *pieces = script.pieces()
        if not script.is_gated:
            connection.sendall(head + b"".join(pieces))
        else:
            connection.sendall(head)
            for number, piece in enumerate(pieces):
                if number and not self.gate.acquire(timeout=GATE_SECONDS):
                    return
                connection.sendall(piece)
                self.sent += 1
        if script.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _read_request(self, connection: socket.socket) -> bool:
        read = b""
        while b"\r\n\r\n" not in read:
            if not (more := connection.recv(65536)):
                return False
            read += more
        head, _, body = read.partition(b"\r\n\r\n")
        lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
        length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
        while len(body) < length:
            if not (more := connection.recv(65536)):
                return False
            body += more
        self.bodies.append(gzip.decompress(body) if b"content-encoding: gzip" in head.lower() else body)
        return True


@contextmanager
def serving(*scripts: Script) -> Iterator[ScriptedServer]:
    """A server for one test, on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = ScriptedServer(list(scripts), f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread = threading.Thread(target=server.serve, args=(listening,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            server.gate.release(1000)
            thread.join(GATE_SECONDS)
