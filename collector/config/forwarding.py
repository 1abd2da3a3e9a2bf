"""`exporters.otlp/NAME` and `exporters.otlphttp/NAME`: the OpenTelemetry Collector's grammar for OTLP exporters."""

from __future__ import annotations

from pathlib import Path

from collector.config import values
from collector.config.problems import BadValue
from collector.config.reader import Section
from collector.forward.config import ClientTls, ForwardConfig, RetryConfig

COMPRESSIONS = ("gzip", "none")
FULL_QUEUE_WORDS = ("drop_oldest", "drop_newest")


def read_grpc(name: str, section: Section) -> ForwardConfig:
    """An `otlp` exporter."""
    target = section.require("endpoint", values.grpc_target, "localhost:4317")
    return _read(name, "grpc", target, section)


def read_http(name: str, section: Section) -> ForwardConfig:
    """An `otlphttp` exporter; `/v1/traces` is added to `endpoint`, `traces_endpoint` is taken as it is."""
    own = section.take("traces_endpoint", values.http_url, None)
    base = section.take("endpoint", values.http_url, None)
    if own is None and base is None and "endpoint" not in section and "traces_endpoint" not in section:
        section.problem(BadValue("is required"), key="endpoint")
    return _read(name, "http", own or f"{base}/v1/traces", section)


def _read(name: str, protocol: str, endpoint: str, section: Section) -> ForwardConfig:
    default = ForwardConfig(name, protocol, endpoint)
    queue = section.section("sending_queue")
    config = ForwardConfig(
        name=name,
        protocol=protocol,
        endpoint=endpoint,
        headers=section.take("headers", values.headers, ()),
        compression=section.take("compression", values.choice(COMPRESSIONS), default.compression),
        timeout_seconds=section.take("timeout", values.seconds(0.05, 300), default.timeout_seconds),
        tls=_tls(section.section("tls")),
        retry=_retry(section.section("retry_on_failure")),
        queue_bytes=queue.take("queue_size_mib", values.mebibytes(1, 65_536), default.queue_bytes),
        drop_oldest=queue.take("on_full", values.choice(FULL_QUEUE_WORDS), "drop_oldest") == "drop_oldest",
    )
    queue.close()
    section.close()
    return config


def _tls(section: Section) -> ClientTls:
    none: Path | None = None
    tls = ClientTls(
        insecure=section.take("insecure", values.boolean, False),
        ca_file=section.take("ca_file", values.path, none),
        cert_file=section.take("cert_file", values.path, none),
        key_file=section.take("key_file", values.path, none),
    )
    if (tls.cert_file is None) != (tls.key_file is None):
        section.problem(BadValue("cert_file and key_file go together: give both or neither"))
    section.close()
    return tls


def _retry(section: Section) -> RetryConfig:
    default = RetryConfig()
    retry = RetryConfig(
        section.take("initial_interval", values.seconds(0.01, 3600), default.initial_interval_seconds),
        section.take("max_interval", values.seconds(0.01, 3600), default.max_interval_seconds),
        section.take("max_elapsed_time", values.seconds(0, 30 * 86_400), default.max_elapsed_seconds),
    )
    section.close()
    return retry
