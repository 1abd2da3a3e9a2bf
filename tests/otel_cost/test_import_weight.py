"""What the in-app half loads while it works, in a process of its own. Time and memory: `benchmarks/app_overhead.py`."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("duckdb", "pyarrow", "numpy", "grpc", "google.protobuf", "yaml", "pydantic", "genai_prices", "collector")
PRICE_A_SPAN = """
import sys, threading
from otel_cost.testing import CostRecorder, record_call
import otel_cost, otel_cost.distro, otel_cost.exporter
recorder = CostRecorder()
with otel_cost.run("r"):
    record_call(recorder.tracer, model="gpt-4o-mini", input_tokens=1000, output_tokens=500)
assert recorder.statuses() == ["priced"], recorder.statuses()
print(threading.active_count(), *sys.modules)
"""


def _of_a_bare_interpreter() -> set[str]:
    """What is loaded before anything of ours: distributions have a `sitecustomize`, for one."""
    program = "import sys; print(*sys.modules)"
    return {*subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()}


def test_pricing_a_span_loads_nothing_heavy_and_leaves_no_thread() -> None:
    """From import to a priced span: only the OpenTelemetry API and SDK, and the standard library."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRICE_A_SPAN], capture_output=True, text=True, check=True
    )
    threads, *modules = done.stdout.split()
    assert threads == "1"
    assert not [name for name in HEAVY if name in modules]
    foreign = {name.partition(".")[0] for name in {*modules} - _of_a_bare_interpreter()} - sys.stdlib_module_names
    foreign -= {"__main__", "otel_cost"}
    assert {name for name in foreign if not name.startswith("_")} <= {"opentelemetry", "typing_extensions"}
