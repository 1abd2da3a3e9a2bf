"""What the operating system says of this process, under the names that Prometheus' own clients use."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from collector import telemetry as metrics
from collector.telemetry import Telemetry
from otel_cost import __version__

_STATM = Path("/proc/self/statm")
_FDS = Path("/proc/self/fd")


def show_process(telemetry: Telemetry) -> None:
    """Version, CPU, and on Linux memory and open files."""
    telemetry.gauge(metrics.BUILD, lambda: 1, __version__)
    telemetry.gauge(metrics.CPU_SECONDS, time.process_time)
    if _STATM.exists():
        page_bytes = resource.getpagesize()
        telemetry.gauge(metrics.RESIDENT_BYTES, lambda: int(_STATM.read_text().split()[1]) * page_bytes)
        telemetry.gauge(metrics.OPEN_FILES, lambda: len(os.listdir(_FDS)))
