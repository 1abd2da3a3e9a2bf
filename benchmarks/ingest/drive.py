"""Starts the load generator and talks to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from benchmarks.ingest.plan import Load, Plan

STOP_SECONDS = 10.0


class GeneratorError(Exception):
    """The generator ended without a report."""


class Drive:
    """One generator process. As a context it is ready on entry and gone on exit."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ingest.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(json.dumps(self._plan.to_json()))
        if self._line() != "ready":
            raise GeneratorError("the generator did not get ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if kind is not None:
            self._process.kill()
        self._process.communicate(timeout=STOP_SECONDS)

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self) -> Load:
        """Send the whole load; what happened."""
        *_, whole = self.reports()
        return whole

    def reports(self) -> Iterator[Load]:
        """Send the load; a report per interval as it ends, and at last one of the whole."""
        self._say("go")
        seen = False
        while line := self._line():
            seen = True
            yield Load.from_json(json.loads(line))
        if not seen:
            raise GeneratorError("the generator ended without a report")
