"""`otel-cost collect` as a process of its own that a test can stop, kill and start again at the same place."""

from __future__ import annotations

import http.client
import json
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.ports import free_ports

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


class CollectorProcess:
    """One collector on fixed loopback ports and one ledger; each `spawn` is a new process at the same place.

    As a context it starts on entry and waits until spans are taken; on exit it is asked to end, unless the test did
    that, and must end cleanly. After a failure in the body it is killed, so that the failure is what is reported.
    """

    def __init__(
        self,
        folder: Path,
        database: Path | None = None,
        *,
        program: Sequence[str] = ("-m", "collector"),
        tls: str = "",
        store: str = "",
        exporters: str = "",
        processors: str = "",
        most_mib: int = 20,
        has_api: bool = False,
        api: str = "",
    ) -> None:
        """`tls`, `store`, `exporters`, `processors`: what the config says in addition of each receiver, of the ledger,
        and beside the others.
        `most_mib`: of one request; a queue holds four. `program`: what Python runs instead of the collector. `has_api`:
        it serves the API, at `api_url`; `api`: what the config says of it in addition."""
        self._program = program
        self._tls, self._store, self._exporters, self._most_mib = tls, store, exporters, most_mib
        self._processors = processors
        self.folder = folder
        self.database = database or folder / "otel-cost.duckdb"
        """The published file."""
        self._has_api, self._api = has_api, api
        self.grpc_port, self.http_port, self.health_port, self.metrics_port, self._api_port = free_ports(5)
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
    def api_url(self) -> str:
        """Where guards ask."""
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def log(self) -> str:
        """What all its processes have said."""
        return (self.folder / "collector.log").read_text()

    def _config(self) -> str:
        return f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{self.grpc_port}", max_recv_msg_size_mib: {self._most_mib}{self._tls}}}
      http: {{endpoint: "127.0.0.1:{self.http_port}", max_request_body_size_mib: {self._most_mib}{self._tls}}}
processors:
  memory_limiter: {{limit_mib: {4 * self._most_mib}}}
{self._processors}
exporters:
  duckdb: {{path: "{self.database}", publish_interval: 500ms{self._store}}}
  prometheus: {{endpoint: "127.0.0.1:{self.metrics_port}"}}
{self._exporters}
extensions:
  health_check: {{endpoint: "127.0.0.1:{self.health_port}"}}
{f'  api: {{endpoint: "127.0.0.1:{self._api_port}"{self._api}}}' if self._has_api else ""}
"""

    def spawn(self) -> None:
        """Start a process, without waiting until it takes spans."""
        self.config_file.write_text(self._config())
        with (self.folder / "collector.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, "collect", "--config", str(self.config_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when the health check says that spans are taken."""
        self._wait_until(lambda: self.health() == 200)

    def wait_until_it_answers(self) -> None:
        """Return when the health check says anything at all."""
        self._wait_until(lambda: self.health() is not None)

    def _wait_until(self, started: Callable[[], bool]) -> None:
        deadline_seconds = time.monotonic() + READY_SECONDS
        while not started():
            assert self._process is not None
            assert self._process.poll() is None, f"the collector ended:\n{self.log}"
            assert time.monotonic() < deadline_seconds, f"the collector does not start:\n{self.log}"
            time.sleep(0.02)

    def health(self) -> int | None:
        """Status of the health check; None when nobody answers."""
        answer = self._get(self.health_port, "/")
        return answer and answer[0]

    def why_unhealthy(self) -> str:
        """What the health check says."""
        answer = self._get(self.health_port, "/")
        return str(json.loads(answer[1])["status"]) if answer else "no answer"

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        answer = self._get(self.metrics_port, "/metrics")
        assert answer is not None
        lines = [line.rpartition(" ") for line in answer[1].splitlines() if line.startswith((name + " ", name + "{"))]
        assert lines, name
        return sum(float(value) for _, _, value in lines)

    def asked(self, path: str) -> Any:
        """What the API answers to `GET /api/v1/<path>`."""
        answer = self._get(self._api_port, f"/api/v1/{path}")
        assert answer is not None, self.log
        assert answer[0] == 200, answer
        return json.loads(answer[1])

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program: exit code and output."""
        return subprocess.run(
            [sys.executable, "-m", "collector", *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    def _get(self, port: int, path: str) -> tuple[int, str] | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    @property
    def config_file(self) -> Path:
        """What every `spawn` writes."""
        return self.folder / "collector.yaml"

    @property
    def live(self) -> Path:
        """The folder of the ledger."""
        return self.database.with_name(self.database.name + ".live")

    @property
    def process_id(self) -> int:
        """Of the process that runs or ran last."""
        assert self._process is not None
        return self._process.pid

    def descriptor_count(self) -> int:
        """Files and connections that the process has open."""
        return len(list(Path(f"/proc/{self.process_id}/fd").iterdir()))

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
            if error is None and self.runs():
                assert self.stop() == 0, self.log
        finally:
            self._leave_nothing()

    def runs(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def _leave_nothing(self) -> None:
        if self.runs():
            self.kill()
