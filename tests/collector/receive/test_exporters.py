"""The OpenTelemetry SDK's own exporters, unchanged, against our receivers."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from collector.errors import CannotListen
from collector.receive import GrpcReceiver, HttpReceiver, ReceiverConfig, TlsFiles
from collector.receive.status import PROTOBUF
from tests.collector.receive.support import TRACE_EXPORT, Hold, Pipeline, Running, request_of, running


def _exporters(receivers: Running) -> list[SpanExporter]:
    return [
        GrpcExporter(endpoint=receivers.grpc_address, insecure=True),
        GrpcExporter(endpoint=receivers.grpc_address, insecure=True, compression=grpc.Compression.Gzip),
        HttpExporter(endpoint=receivers.url()),
        HttpExporter(endpoint=receivers.url(), compression=Compression.Gzip),
        HttpExporter(endpoint=receivers.url(), compression=Compression.Deflate),
    ]


@pytest.mark.parametrize("index", range(5), ids=["grpc", "grpc gzip", "http", "http gzip", "http deflate"])
def test_sdk_exporters_deliver_spans(index: int) -> None:
    """Names, resource and parent arrive as the SDK wrote them."""
    with running() as receivers:
        provider = TracerProvider(resource=Resource.create({"service.name": "app"}))
        provider.add_span_processor(SimpleSpanProcessor(_exporters(receivers)[index]))
        tracer = provider.get_tracer("scope", "1.0")
        with tracer.start_as_current_span("parent") as parent, tracer.start_as_current_span("child"):
            pass
        provider.shutdown()
        child, root = receivers.pipeline.spans
    assert (child["name"], root["name"]) == ("child", "parent")
    assert child["parent_span_id"] == root["span_id"] == format(parent.get_span_context().span_id, "016x")
    assert root["parent_span_id"] is None
    assert (root["service_name"], root["scope_name"], root["scope_version"]) == ("app", "scope", "1.0")
    assert root["end_time_ns"] >= child["end_time_ns"] >= child["start_time_ns"] >= root["start_time_ns"]


def test_an_answer_comes_only_after_the_pipeline_has_it() -> None:
    """While the commit is pending the client waits; stopping waits for it and then says so."""
    with running() as receivers:
        hold = Hold(receivers)
        body = request_of(["a"]).SerializeToString()
        with receivers.channel() as channel:
            answer = channel.unary_unary(TRACE_EXPORT).future(body, timeout=30)
            assert hold.entered.wait(10)
            assert not answer.done()
            stopping = asyncio.run_coroutine_threadsafe(receivers.grpc.stop(20), receivers.loop)
            hold.release()
            assert answer.result(20) == b""
            stopping.result(20)
    assert [span["name"] for span in receivers.pipeline.spans] == ["a"]


def test_stopping_over_http_waits_for_the_answer_under_way() -> None:
    """A request that is being committed gets its 200."""
    with running() as receivers:
        hold = Hold(receivers)
        answers: list[int] = []

        def post() -> None:
            body = request_of(["a"]).SerializeToString()
            answer = requests.post(receivers.url(), data=body, headers={"content-type": PROTOBUF}, timeout=30)
            answers.append(answer.status_code)

        client = threading.Thread(target=post)
        client.start()
        assert hold.entered.wait(10)
        stopping = asyncio.run_coroutine_threadsafe(receivers.http.stop(20), receivers.loop)
        hold.release()
        stopping.result(20)
        client.join(20)
    assert answers == [200]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    out = ["-keyout", str(files.key_file), "-out", str(files.cert_file)]
    subprocess.run([*command, *names, *out], check=True, capture_output=True)
    return files


def test_both_receivers_speak_tls(certificate: TlsFiles) -> None:
    """With the certificate trusted; a plain client gets nowhere."""
    body = request_of(["secret"]).SerializeToString()
    with running(ReceiverConfig("127.0.0.1", 0, tls=certificate)) as receivers:
        trusted = grpc.ssl_channel_credentials(certificate.cert_file.read_bytes())
        with grpc.secure_channel(receivers.grpc_address, trusted) as channel:
            assert channel.unary_unary(TRACE_EXPORT)(body, timeout=30) == b""
        answer = requests.post(
            receivers.url().replace("http:", "https:"),
            data=body,
            headers={"content-type": PROTOBUF},
            verify=str(certificate.cert_file),
            timeout=30,
        )
        assert answer.status_code == 200
        with pytest.raises(requests.ConnectionError):
            requests.post(receivers.url(), data=body, timeout=30)
    assert len(receivers.pipeline.spans) == 2


def test_tls_files_are_named_when_they_cannot_be_read(tmp_path: Path) -> None:
    """Found at start, as `CannotListen`, which is for the operator."""
    files = TlsFiles(tmp_path / "absent.pem", tmp_path / "absent.key")
    config = ReceiverConfig("127.0.0.1", 0, tls=files)
    for receiver in (GrpcReceiver(config, Pipeline().submit), HttpReceiver(config, Pipeline().submit)):
        with pytest.raises(CannotListen, match="TLS file"):
            asyncio.run(receiver.start())
