"""The app's processes from outside: start, kill, wait, and read what they wrote down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
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

    def kill_within_a_call(self, number: int) -> None:
        """`kill -9` of one process when a call of it is under way, by what it has written down: it stands still while
        that is read."""
        ends_at = time.monotonic() + FLEET_SECONDS
        while True:
            os.kill(self.workers[number], signal.SIGSTOP)
            kinds = Counter(note["kind"] for note in self._notes_of(self.folder / f"{number}.jsonl"))
            if kinds["begun"] > kinds["ended"]:
                self.kill(number)
                return
            assert not kinds["finished"], "it has made all its calls"
            assert time.monotonic() < ends_at
            os.kill(self.workers[number], signal.SIGCONT)
            time.sleep(0.01)

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
        found = [note for path in self.folder.glob("*.jsonl") for note in self._notes_of(path)]
        return sorted(found, key=lambda note: float(note["at"]))

    def _notes_of(self, path: Path) -> list[Mapping[str, Any]]:
        """Of one process, if it has begun to write."""
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
