"""`otel-cost collect` as a process of its own that a test can stop, kill and start again at the same place."""

from __future__ import annotations

import http.client
import signal as signals
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import free_ports

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


class CollectorProcess:
    """One collector on fixed loopback ports and one ledger; each `spawn` is a new process at the same place.

    As a context it starts on entry and waits until spans are taken; on exit it is asked to end, unless the test did
    that, and must end cleanly. After a failure in the body it is killed, so that the failure is what is reported.
    """

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self.folder = folder
        self.database = database or folder / "otel-cost.duckdb"
        """The published file."""
        self.grpc_port, self.http_port, self.health_port = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def grpc_url(self) -> str:
        """Where an app's gRPC exporter sends."""
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        """Where an app's HTTP exporter sends."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> str:
        """What all its processes have said."""
        return (self.folder / "collector.log").read_text()

    def _config(self) -> str:
        return f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{self.grpc_port}"}}
      http: {{endpoint: "127.0.0.1:{self.http_port}"}}
exporters:
  duckdb: {{path: "{self.database}", publish_interval: 500ms}}
  prometheus: {{endpoint: "127.0.0.1:0"}}
extensions:
  health_check: {{endpoint: "127.0.0.1:{self.health_port}"}}
"""

    def spawn(self) -> None:
        """Start a process, without waiting until it takes spans."""
        config = self.folder / "collector.yaml"
        config.write_text(self._config())
        with (self.folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", "collect", "--config", str(config)],
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

    @property
    def process_id(self) -> int:
        """Of the process that runs or ran last."""
        assert self._process is not None
        return self._process.pid

    def resident_bytes(self) -> int:
        """Memory of the process now."""
        return self._status_bytes("VmRSS")

    def virtual_bytes(self) -> int:
        """Its address space."""
        return self._status_bytes("VmSize")

    def _status_bytes(self, name: str) -> int:
        status = Path(f"/proc/{self.process_id}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) << 10

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
        return self._process.wait(STOP_SECONDS)

    def stop(self, number: signals.Signals = signals.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.signal(number)
        return self.wait()

    def __enter__(self) -> Self:
        try:
            self.spawn()
            self.wait_until_ready()
        except BaseException:
            self._leave_nothing()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._runs():
                assert self.stop() == 0, self.log
        finally:
            self._leave_nothing()

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _leave_nothing(self) -> None:
        if self._runs():
            self.kill()
