"""The demo's moving parts: a collector process, recorded providers, and the app as anybody would start it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from examples.replay import Exchange, load_exchange

HERE = Path(__file__).parent
DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_PAGE_PORT = 4317, 4318, 8321
READY_SECONDS, STOP_SECONDS, APP_SECONDS = 60.0, 30.0, 120.0
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def script() -> list[Exchange]:
    """What the providers answer, in order. The critic's first answer is a failure."""
    failure = _recorded("openai/error_500_server_error")
    return [
        _recorded("openai/embeddings_batch_input"),
        _recorded("openai/chat_cache_read_4o"),
        _recorded("anthropic/cache_write_5m"),
        _recorded("anthropic/cache_read"),
        _recorded("anthropic/messages_stream_tools"),
        replace(failure, path="/v1/chat/completions", model="gpt-5-nano"),
        _recorded("openai/chat_reasoning_gpt5nano"),
    ]


def _recorded(name: str) -> Exchange:
    return load_exchange(HERE / "exchanges" / f"{name}.json")


def port_or_free(wanted: int) -> int:
    """`wanted`, or a free loopback port when something listens there already."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise DemoError("no free port on 127.0.0.1")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo's collector listens and writes."""

    database: Path
    grpc_port: int
    http_port: int
    page_port: int

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.page_port}/"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    def config(self) -> str:
        """The collector's configuration."""
        return (
            "receivers:\n  otlp:\n    protocols:\n"
            f"      grpc: {{endpoint: '127.0.0.1:{self.grpc_port}'}}\n"
            f"      http: {{endpoint: '127.0.0.1:{self.http_port}'}}\n"
            f"exporters:\n  duckdb: {{path: '{self.database}'}}\n"
            f"extensions:\n  api: {{endpoint: '127.0.0.1:{self.page_port}'}}\n"
            "service:\n  extensions: [api]\n"
            "  pipelines:\n    traces: {receivers: [otlp], exporters: [duckdb]}\n"
        )


class Collector:
    """`otel-cost collect` as a process of its own, which Ctrl-C reaches only through `stop()`."""

    def __init__(self, place: Place, scratch: Path) -> None:
        self._place = place
        self._config, self._log = scratch / "collector.yaml", scratch / "collector.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns once it listens.

        Raises:
            DemoError: it ended or did not listen in time; the message holds what it said.
        """
        self._config.write_text(self._place.config(), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", "collect", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_the_demo if _PRCTL is not None else None,
            )
        deadline = time.monotonic() + READY_SECONDS
        for port in (self._place.grpc_port, self._place.http_port):
            while not _listens(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"the collector did not start:\n{self._said()}")
                time.sleep(0.05)

    def wait(self) -> None:
        """Return only when the collector ends by itself, which it should not.

        Raises:
            DemoError: it ended.
        """
        assert self._process is not None
        code = self._process.wait()
        raise DemoError(f"the collector ended with exit code {code}:\n{self._said()}")

    def stop(self) -> None:
        """Ask it to end and wait until what it holds is in the file."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace").strip()[-4000:]


def _end_with_the_demo() -> None:
    """In the new process: the system sends it SIGTERM when the demo dies, however it dies (prctl(2))."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def app_environment(place: Place, replay_url: str, run: str) -> Mapping[str, str]:
    """Everything that the app is told: where the providers are, and OpenTelemetry's own variables."""
    return {
        "OPENAI_BASE_URL": f"{replay_url}/v1",
        "OPENAI_API_KEY": "replayed",
        "ANTHROPIC_BASE_URL": replay_url,
        "ANTHROPIC_API_KEY": "replayed",
        "OTEL_SERVICE_NAME": "design-notes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": place.endpoint,
        "DEMO_RUN": run,
    }


def run_app(environment: Mapping[str, str]) -> None:
    """`opentelemetry-instrument python app.py`, to its end; its spans are exported by then.

    Raises:
        DemoError: it failed; the message holds what it wrote.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    try:
        done = subprocess.run(
            [str(instrument), sys.executable, str(HERE / "app.py")],
            env={**inherited, **environment, "PYTHONPATH": str(HERE.parents[1])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=APP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"the app did not run: {error}") from None
    if done.returncode:
        raise DemoError(
            f"the app ended with exit code {done.returncode}:\n{(done.stdout + done.stderr).strip()[-4000:]}"
        )
