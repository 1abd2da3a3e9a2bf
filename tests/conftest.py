"""What every test starts from: an environment without the developer's own OTEL settings."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and programs that tests interrupt would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* variable of the caller, nor the size of a terminal, changes what a test sees."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name in {"COLUMNS", "LINES"}:
            monkeypatch.delenv(name)
