"""`otel-cost collect` as a child process on free loopback ports, for tests that want the real thing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

READY_SECONDS = 30.0
STOP_SECONDS = 30.0


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class CollectorProcess:
    """Starts on entry and waits until both OTLP ports answer; stops by SIGTERM on exit and checks for a clean end."""

    def __init__(self, folder: Path, *, grpc_port: int | None = None, http_port: int | None = None) -> None:
        self.folder = folder
        self.grpc_port = grpc_port or free_port()
        self.http_port = http_port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def database(self) -> Path:
        """The published file."""
        return self.folder / "otel-cost.duckdb"

    @property
    def log(self) -> str:
        """All that it wrote so far."""
        return (self.folder / "collector.log").read_text()

    def _config(self) -> str:
        return (
            "receivers:\n  otlp:\n    protocols:\n"
            f"      grpc: {{endpoint: '127.0.0.1:{self.grpc_port}'}}\n"
            f"      http: {{endpoint: '127.0.0.1:{self.http_port}'}}\n"
            f"exporters:\n  duckdb: {{path: '{self.database}'}}\n"
            "service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [duckdb]}\n"
        )

    def start(self) -> None:
        """Start the process; returns once both ports accept connections.

        Raises:
            RuntimeError: it ended, or did not listen in time; the message holds its log.
        """
        config = self.folder / "collector.yaml"
        config.write_text(self._config())
        with (self.folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", "collect", "--config", str(config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        for port in (self.grpc_port, self.http_port):
            self._wait_for(port)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"the collector does not listen on {port}:\n{self.log}")

    def kill(self) -> None:
        """End it at once, as the kernel would (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if error is not None:
            self.kill()
            return
        code = self.stop()
        assert code == 0, f"the collector ended with {code}:\n{self.log}"
