"""A system under test: a server of its own processes, folder and ports."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from benchmarks.ingest import processes
from benchmarks.ingest.environments import environment

READY_SECONDS = 180.0
STOP_SECONDS = 120.0
OFFLINE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1,localhost"}


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class System(ABC):
    """A server on fixed loopback ports with a folder of its own; each `start` is a new process at the same place."""

    name: ClassVar[str]
    title: ClassVar[str]
    requirement: ClassVar[str | None] = None  # None: this repository
    grpc: ClassVar[bool] = True
    headers: ClassVar[Mapping[str, str]] = {}
    health: ClassVar[str | None] = None  # path on the HTTP port that answers 200 once it can work

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.grpc_port, self.http_port, self.other_port, self.more_port = free_ports(4)
        self._process: subprocess.Popen[bytes] | None = None

    # What differs between systems.

    @abstractmethod
    def command(self) -> list[str]:
        """The command that serves."""

    def variables(self) -> dict[str, str]:
        """Environment variables besides those of every system."""
        return {}

    @abstractmethod
    def stored(self) -> int | None:
        """Spans that can be queried now; None: it keeps none."""

    def files(self) -> list[Path]:
        """Files that hold its spans."""
        return [path for path in self.folder.rglob("*") if path.is_file() and path.name != "server.log"]

    @classmethod
    def prepare(cls) -> str:
        """Make its environment; its version. Raises NotInstallableError."""
        if cls.requirement is None:
            return version("otel-cost")
        environment(cls.name, cls.requirement)
        return cls.requirement.partition("==")[2]

    # What is the same for all.

    @classmethod
    def bin(cls) -> Path:
        """Programs of its environment."""
        assert cls.requirement is not None
        return environment(cls.name, cls.requirement) / "bin"

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until its ports answer."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,
            )
        if not processes.wait_until(lambda: self._ended() or self._ready(), READY_SECONDS) or self._ended():
            raise RuntimeError(f"{self.name} does not start:\n{self.log()[-2000:]}")

    def _environment(self) -> dict[str, str]:
        own = dict(os.environ)
        if self.requirement is not None:
            own.pop("PYTHONPATH", None)
        return own | OFFLINE | self.variables()

    def _ready(self) -> bool:
        ports = [self.http_port, *([self.grpc_port] if self.grpc else [])]
        return all(map(_listens, ports)) and (self.health is None or _healthy(self.http_port, self.health))

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def log(self) -> str:
        """What its processes have said."""
        return (self.folder / "server.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ask it to end, and wait."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """`kill -9` of all its processes."""
        if self._process is not None:
            processes.kill(self._process.pid)
            self._process.wait()

    def disk_bytes(self) -> int:
        """Bytes of the files that hold its spans."""
        total = 0
        for path in self.files():
            try:
                total += path.stat().st_size
            except FileNotFoundError:  # it was replaced meanwhile
                continue
        return total

    def close(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _healthy(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
