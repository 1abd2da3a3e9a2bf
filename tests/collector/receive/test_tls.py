"""TLS: wrong files stop the start with a reason; clients that speak something else harm nobody."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import requests
import uvloop

from collector.errors import CannotListen, MalformedRequest, StalledRequest
from collector.receive import GrpcReceiver, HttpReceiver, ReceiverConfig, TlsFiles
from collector.receive.status import PROTOBUF
from tests.collector.receive.certificates import make, make_expired
from tests.collector.receive.raw_http import LOOPS, is_closed, post, until
from tests.collector.receive.support import TRACE_EXPORT, Pipeline, Running, request_of, running

BODY = request_of(["secret"]).SerializeToString()
GARBAGE = "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A pair that works."""
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=LOOPS)
def receivers(request: pytest.FixtureRequest, files: TlsFiles) -> Iterator[Running]:
    """Receivers with TLS, on each event loop in turn."""
    with running(ReceiverConfig("127.0.0.1", 0, tls=files), LOOPS[request.param]) as one:
        yield one


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


WRONG: dict[str, tuple[Callable[[TlsFiles, Path], TlsFiles], str]] = {
    "no certificate": (lambda good, here: replace(good, cert_file=here / "a.pem"), "a.pem: No such file"),
    "no key": (lambda good, here: replace(good, key_file=here / "a.key"), "a.key: No such file"),
    "folder": (lambda good, here: replace(good, cert_file=here), "Is a directory"),
    "other key": (lambda good, here: replace(good, key_file=make(here).key_file), "key.pem: not the key of the certif"),
    "swapped": (lambda good, here: TlsFiles(good.key_file, good.cert_file), "key.pem: no certificate in PEM format"),
    "empty": (lambda good, here: replace(good, cert_file=_written(here / "e.pem", "")), "e.pem: no certificate in PEM"),
    "garbage": (lambda good, here: replace(good, cert_file=_written(here / "g.pem", GARBAGE)), "g.pem: no certificate"),
    "garbage key": (lambda good, here: replace(good, key_file=_written(here / "g.key", "x")), "g.key: no private key"),
    "encrypted key": (lambda good, here: make(here, "-passout", "pass:secret"), "passphrase"),
    "expired": (lambda good, here: make_expired(here), "cert.pem: certificate has expired"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", [GrpcReceiver, HttpReceiver])
def test_wrong_files_stop_the_start_with_their_name_and_the_reason(
    files: TlsFiles, tmp_path: Path, name: str, kind: type[GrpcReceiver] | type[HttpReceiver]
) -> None:
    """Not every client later, one by one."""
    spoil, message = WRONG[name]
    config = ReceiverConfig("127.0.0.1", 0, tls=spoil(files, tmp_path))
    with pytest.raises(CannotListen, match="TLS") as caught:
        asyncio.run(kind(config, Pipeline().submit).start())
    assert message in str(caught.value)


def _post(receivers: Running, files: TlsFiles, body: bytes = BODY) -> int:
    url = receivers.url().replace("http:", "https:")
    headers = {"content-type": PROTOBUF}
    return requests.post(url, data=body, headers=headers, verify=str(files.cert_file), timeout=60).status_code


def test_large_bodies_and_many_requests_pass_through_tls(receivers: Running, files: TlsFiles) -> None:
    """In pieces of its own sizes, pipelined, and at once with the end of the handshake."""
    assert _post(receivers, files, request_of(["x" * 1_000_000] * 5).SerializeToString()) == 200
    context = ssl.create_default_context(cafile=str(files.cert_file))
    with context.wrap_socket(receivers.connect(), server_hostname="localhost") as client:
        client.sendall(post(BODY) * 20)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 20:
            answers += client.recv(65536)
    assert len(receivers.pipeline.spans) == 25


def test_plain_clients_of_a_tls_port_are_cut_and_counted(
    receivers: Running, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """No line in the log for any of them, and others are served."""
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            for port in (receivers.http.port, receivers.grpc.port):
                with receivers.connect(port) as client:
                    client.sendall(post(BODY))
                    assert is_closed(client)
        assert _post(receivers, files) == 200
    assert receivers.pipeline.refused == [MalformedRequest] * 20
    assert [record for record in caplog.records if not record.name.startswith("urllib3")] == []
    trusted = grpc.ssl_channel_credentials(files.cert_file.read_bytes())
    with grpc.secure_channel(receivers.grpc_address, trusted) as channel:
        assert channel.unary_unary(TRACE_EXPORT)(BODY, timeout=30) == b""


def test_tls_clients_of_a_plain_port_are_cut_and_counted(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    """Likewise."""
    context = ssl.create_default_context(cafile=str(files.cert_file))
    with running(new_loop=uvloop.new_event_loop) as receivers, caplog.at_level(logging.INFO):
        for _ in range(20):
            for port in (receivers.http.port, receivers.grpc.port):
                with receivers.connect(port) as client, pytest.raises(OSError, match=r"SSL|reset|EOF"):
                    context.wrap_socket(client, server_hostname="localhost")
        assert requests.post(receivers.url(), data=BODY, headers={"content-type": PROTOBUF}, timeout=30).ok
        assert receivers.call(BODY) == b""
        assert receivers.pipeline.refused == [MalformedRequest] * 20
    assert [record for record in caplog.records if not record.name.startswith("urllib3")] == []


def test_a_handshake_that_stops_is_given_up(receivers: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed and counted; one that leaves without a word is not."""
    monkeypatch.setattr("collector.receive.bounds.HANDSHAKE_SECONDS", 0.2)
    with receivers.connect() as silent:
        assert is_closed(silent)
    until(lambda: receivers.pipeline.refused == [StalledRequest])
    receivers.connect().close()
    endpoint = receivers.http._endpoint
    assert endpoint is not None
    until(lambda: not endpoint.peers)
    assert receivers.pipeline.refused == [StalledRequest]


def test_stopping_does_not_wait_for_handshakes(receivers: Running) -> None:
    """Nor for clients that have shaken hands and say nothing."""
    clients = [receivers.connect() for _ in range(20)]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(receivers.connect(), server_hostname="localhost"):
        assert receivers.stop(receivers.http, 20) < 10
        assert receivers.stop(receivers.grpc, 20) < 10
    for client in clients:
        assert is_closed(client)
        client.close()
