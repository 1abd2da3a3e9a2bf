"""Small bodies that unfold into large ones: refused, with the memory of the process flat."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import requests

from collector.receive.status import PROTOBUF
from tests.collector.receive.support import TRACE_EXPORT, request_of
from tests.support.wire import field

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024
BOMB_BYTES = 200 * MIB
ALLOWED_GROWTH_MIB = 90
"""Above the warm process: the cap of 20 MiB held twice (inflated, and copied for the pipeline) and room to spare."""

PEAK_MIB = 500
"""With a body of 18 MiB of empty messages: the body twice, and one level of it as offsets."""


@dataclass(frozen=True)
class Server:
    """The process and its ports."""

    process: subprocess.Popen[str]
    grpc_port: int
    http_port: int

    def peak_mib(self) -> float:
        """The highest resident size so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def post(self, body: bytes, encoding: str = "identity") -> int:
        headers = {"content-type": PROTOBUF, "content-encoding": encoding}
        url = f"http://127.0.0.1:{self.http_port}/v1/traces"
        return requests.post(url, data=body, headers=headers, timeout=60).status_code

    def call(self, body: bytes) -> grpc.StatusCode:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            try:
                channel.unary_unary(TRACE_EXPORT)(body, timeout=60)
            except grpc.RpcError as error:
                code: grpc.StatusCode = error.code()
                return code
        return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A warm server: one good request over each transport has been served."""
    command = [sys.executable, "-m", "tests.collector.receive.bomb_server"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        grpc_port, http_port = map(int, process.stdout.readline().split())
        running = Server(process, grpc_port, http_port)
        good = request_of(["a"]).SerializeToString()
        assert running.post(good) == 200
        assert running.call(good) is grpc.StatusCode.OK
        yield running
        process.stdin.close()
        assert process.wait(30) == 0


def _zeros(wbits: int, size_bytes: int = BOMB_BYTES) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    block = bytes(MIB)
    return b"".join(packer.compress(block) for _ in range(size_bytes // MIB)) + packer.flush()


def _bomb_of_members() -> bytes:
    return gzip.compress(bytes(MIB)) * 200


@pytest.mark.parametrize(
    ("make", "encoding"),
    [(lambda: _zeros(31), "gzip"), (lambda: _zeros(15), "deflate"), (_bomb_of_members, "gzip")],
    ids=["gzip", "deflate", "members"],
)
def test_compressed_zeros_are_refused_and_memory_stays_flat(
    server: Server, make: Callable[[], bytes], encoding: str
) -> None:
    """200 MiB in 200 KB, five times, over both transports."""
    body = make()
    assert len(body) < MIB
    before = server.peak_mib()
    for _ in range(5):
        assert server.post(body, encoding) == 413
    assert server.peak_mib() - before < ALLOWED_GROWTH_MIB
    if encoding == "gzip":
        assert server.call(body) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.peak_mib() - before < ALLOWED_GROWTH_MIB
    assert server.post(request_of(["after"]).SerializeToString()) == 200


@pytest.mark.parametrize("level", ["resources", "scopes", "spans"])
def test_empty_messages_by_the_million_are_refused(server: Server, level: str) -> None:
    """2 bytes on the wire and hundreds in columns: counted before they are opened."""
    body = b"\x12\x00" * (9 * MIB)
    if level == "resources":
        body = b"\x0a\x00" * (9 * MIB)
    elif level == "scopes":
        body = field(1, body)
    else:
        body = field(1, field(2, body))
    assert server.post(body) == 413
    assert server.peak_mib() < PEAK_MIB


@pytest.mark.parametrize("number", [9, 11, 13], ids=["attributes", "events", "links"])
def test_one_span_of_millions_of_parts_is_refused(server: Server, number: int) -> None:
    """Attributes, events and links too are counted before they are opened."""
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + bytes([number << 3 | 2, 0]) * (9 * MIB)
    assert server.post(field(1, field(2, field(2, span)))) == 413
    assert server.peak_mib() < PEAK_MIB
