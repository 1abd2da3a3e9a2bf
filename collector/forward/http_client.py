"""OTLP/HTTP with protobuf bodies to one target."""

from __future__ import annotations

import gzip
import http.client
import ssl
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

from collector.forward.config import ClientTls, ForwardConfig
from collector.forward.delivery import Delivery, Verdict
from collector.forward.grpc_client import delivered

RETRYABLE = frozenset({429, 502, 503, 504})
"""OTLP specification, "Retryable Response Codes": every other error is final."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""What is read of an answer; the OTLP specification bounds them to this."""


class HttpClient:
    """One kept-alive connection."""

    def __init__(self, config: ForwardConfig) -> None:
        self._config = config
        self._url = urlsplit(config.endpoint)
        self._connection: http.client.HTTPConnection | None = None
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": "otel-cost", **dict(config.headers)}
        if config.compression == "gzip":
            self._headers["Content-Encoding"] = "gzip"

    def send(self, payload: bytes) -> Delivery:
        """See `Client`. A kept-alive connection that the target has closed meanwhile is opened again at once."""
        body = gzip.compress(payload, 1, mtime=0) if self._config.compression == "gzip" else payload
        for reused in (self._connection is not None, False):
            try:
                return self._exchange(body)
            except (http.client.HTTPException, OSError, ValueError) as error:
                self.close()
                if not reused or isinstance(error, TimeoutError):
                    return Delivery(Verdict.RETRY, str(error) or type(error).__name__)
        return Delivery(Verdict.RETRY, "not reachable")

    def close(self) -> None:
        """See `Client`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes) -> Delivery:
        if self._connection is None:
            self._connection = self._connect()
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        self._connection.request("POST", path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read(MAX_ANSWER_BYTES)
        if not response.isclosed():
            self.close()
        if 200 <= response.status < 300:
            return delivered(answer)
        message = f"HTTP {response.status}: {answer[:200].decode('utf-8', 'replace')}"
        if response.status in RETRYABLE:
            return Delivery(Verdict.RETRY, message, _retry_after_seconds(response.getheader("Retry-After")))
        return Delivery(Verdict.REFUSED, message)

    def _connect(self) -> http.client.HTTPConnection:
        host, timeout_seconds = self._url.hostname or "", self._config.timeout_seconds
        if self._url.scheme == "https":
            context = _context(self._config.tls)
            return http.client.HTTPSConnection(host, self._url.port, timeout=timeout_seconds, context=context)
        return http.client.HTTPConnection(host, self._url.port, timeout=timeout_seconds)


def _context(tls: ClientTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file and tls.key_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def _retry_after_seconds(value: str | None) -> float:
    """`Retry-After` as seconds or as an HTTP date; 0 when there is none or it is neither."""
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return 0.0
