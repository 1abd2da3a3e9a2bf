"""Start-up of every Python process of an app that `otel-cost doctor app` runs: its folder is first on PYTHONPATH.

Sets up OpenTelemetry as `opentelemetry-instrument` would (which it uses where it is installed), adds otel-cost, and
writes at exit what only the process itself knows. Under `opentelemetry-instrument`, whose own module hides this one,
that is written through our entry point. Whatever goes wrong here, the app runs on.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "OTEL_COST_DOCTOR_FOLDER"
LIBRARIES = ("openai", "anthropic", "google.genai", "mistralai", "groq", "cohere", "ollama", "botocore", "litellm")
OUTSIDE_HTTP = {
    "xai_sdk": "xAI's SDK speaks gRPC",
    "google.cloud.aiplatform_v1": "this client of Vertex AI speaks gRPC",
    "google.ai.generativelanguage": "this client of Gemini speaks gRPC",
    "openai.resources.realtime": "OpenAI's realtime API runs over a web socket",
}
"""Clients whose calls do not go over HTTP requests, and why they are not seen."""


def _start() -> None:
    _other_sitecustomize()
    problems: list[str] = []
    write_at_exit(problems)  # first, so that it runs after the exporter's flush, and after whoever else writes the same
    try:
        _instrument()
    except Exception as error:
        problems.append(f"could not be instrumented: {type(error).__name__}: {error}")


def write_at_exit(problems: list[str]) -> None:
    """Have it written what this process was and saw, if it is one that `otel-cost doctor app` runs."""
    if os.environ.get(FOLDER_VARIABLE):
        atexit.register(_write, problems)


def _other_sitecustomize() -> None:
    """The one that this one hides."""
    here = Path(__file__).parent
    shown = [entry for entry in sys.path if Path(entry or ".") != here]
    hidden, ours = sys.path, sys.modules.pop("sitecustomize", None)
    sys.path = shown
    try:
        with suppress(ImportError):
            import_module("sitecustomize")
    finally:
        sys.path = hidden
        if ours is not None:
            sys.modules.setdefault("sitecustomize", ours)


def _instrument() -> None:
    try:
        auto: Any = import_module("opentelemetry.instrumentation.auto_instrumentation")
        if hasattr(auto, "initialize"):
            auto.initialize()
        else:
            import_module(f"{auto.__name__}.sitecustomize")  # before 0.52 it is done by importing this
    except ImportError:
        _by_hand()
    if not hasattr(import_module("opentelemetry.trace").get_tracer_provider(), "add_span_processor"):
        _by_hand()  # nothing has configured it: that is what opentelemetry-distro is for
    import_module("otel_cost").install()


def _by_hand() -> None:
    """The SDK and its exporter, without the package that sets them up."""
    sdk: Any = import_module("opentelemetry.sdk.trace")
    processors: Any = import_module("opentelemetry.sdk.trace.export")
    exporter: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider = sdk.TracerProvider()
    provider.add_span_processor(processors.BatchSpanProcessor(exporter.OTLPSpanExporter()))
    import_module("opentelemetry.trace").set_tracer_provider(provider)


def _write(problems: list[str]) -> None:
    """What this process was and saw."""
    folder = os.environ.get(FOLDER_VARIABLE)
    used = [name for name in LIBRARIES if name in sys.modules]
    outside = [why for name, why in OUTSIDE_HTTP.items() if name in sys.modules]
    if folder is None:
        return
    facts = {
        "pid": os.getpid(),
        "python": sys.executable,
        "command": " ".join(getattr(sys, "orig_argv", sys.argv)),
        "is_loaded": "otel_cost.distro" in sys.modules,
        "libraries": {name: _version(name) for name in used},
        "outside_http": outside,
        "problems": problems + _unconfigured(),
        "stats": _stats(),
    }
    with suppress(OSError):
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(facts), encoding="utf-8")


def _unconfigured() -> list[str]:
    """Why this process priced nothing, if the OpenTelemetry SDK is why."""
    distro: Any = sys.modules.get("otel_cost.distro")
    if distro is None:
        return []
    provider = import_module("opentelemetry.trace").get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return [
            "nothing configured the OpenTelemetry SDK: opentelemetry-distro does, or code before otel_cost.install()"
        ]
    if not any(type(each).__name__ == "CostSpanProcessor" for each in distro.processors_of(provider)):
        return ["the app configured OpenTelemetry itself, and did not call otel_cost.install() after that"]
    return []


def _version(name: str) -> str | None:
    found = getattr(sys.modules[name], "__version__", None)
    return None if found is None else str(found)


def _stats() -> dict[str, int]:
    instrument: Any = sys.modules.get("otel_cost.instrument.guard")
    return {} if instrument is None else dict(instrument.STATS.snapshot())


if os.environ.get(FOLDER_VARIABLE) and __name__ == "sitecustomize":
    _start()
