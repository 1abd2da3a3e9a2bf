"""`otel-cost collect` as a process of its own that a test can kill and start again at the same place."""

from __future__ import annotations

import http.client
import signal as signals
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()


@dataclass
class CollectorProcess:
    """One collector on fixed ports and one ledger; each `start` is a new process."""

    folder: Path
    grpc_port: int
    http_port: int
    health_port: int
    extra: str = ""
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _config: Path = field(init=False)

    def __post_init__(self) -> None:
        self._config = self.folder / "collector.yaml"
        self._config.write_text(
            f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{self.grpc_port}"}}
      http: {{endpoint: "127.0.0.1:{self.http_port}"}}
exporters:
  duckdb: {{path: "{self.database}", publish_interval: 500ms}}
  prometheus: {{endpoint: "127.0.0.1:0"}}
{self.extra}
extensions:
  health_check: {{endpoint: "127.0.0.1:{self.health_port}"}}
"""
        )

    @property
    def database(self) -> Path:
        """The published file."""
        return self.folder / "costs.duckdb"

    @property
    def log(self) -> str:
        """What all its processes have said."""
        return (self.folder / "collector.log").read_text()

    def spawn(self) -> None:
        """Start a process, without waiting until it takes spans."""
        self.starts += 1
        with (self.folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", "collect", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when the health check says that spans are taken."""
        deadline_seconds = time.monotonic() + READY_SECONDS
        while self.health() != 200:
            assert self._process is not None
            assert self._process.poll() is None, f"the collector ended:\n{self.log}"
            assert time.monotonic() < deadline_seconds, f"the collector does not start:\n{self.log}"
            time.sleep(0.02)

    def health(self) -> int | None:
        """Status of the health check; None when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health_port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signals.Signals) -> None:
        """Send a signal, without waiting."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(READY_SECONDS)

    def terminate(self, number: signals.Signals = signals.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.signal(number)
        return self.wait()

    def cleanup(self) -> None:
        """Leave no process behind."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
