"""The app's processes from outside: start, kill, wait, and read what they wrote down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.budgets.calls import Plan, plan_json

FLEET_SECONDS = 300.0


class Fleet:
    """One run of the app; its workers wait until `go`."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.folder = Path(plan.folder)
        self.folder.mkdir(parents=True)
        self.workers: list[int] = []
        self.killed: set[int] = set()
        """Their numbers."""

    def __enter__(self) -> Self:
        self._app = subprocess.Popen(
            [sys.executable, "-m", "tests.budgets.calls", plan_json(self._plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._app.stdout is not None
        self.workers = json.loads(self._app.stdout.readline())
        return self

    def go(self) -> None:
        """Calls begin, in all processes at once."""
        assert self._app.stdin is not None
        self._app.stdin.write("\n")
        self._app.stdin.flush()

    def kill(self, number: int) -> None:
        """`kill -9` of one process, whatever it is doing."""
        self.killed.add(number)
        os.kill(self.workers[number], signal.SIGKILL)

    def wait(self) -> None:
        """All have ended, those that were not killed cleanly."""
        said, _ = self._app.communicate(timeout=FLEET_SECONDS)
        statuses = json.loads(said)
        assert [s for n, s in enumerate(statuses) if s and n not in self.killed] == []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._app.poll() is None:
            os.killpg(self._app.pid, signal.SIGKILL)
            self._app.wait()
        for pipe in (self._app.stdin, self._app.stdout):
            assert pipe is not None
            pipe.close()

    def notes(self) -> list[Mapping[str, Any]]:
        """All that the processes have written, in the order of time."""
        lines = [line for path in self.folder.glob("*.jsonl") for line in path.read_text().splitlines()]
        found: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
        return sorted(found, key=lambda note: float(note["at"]))
