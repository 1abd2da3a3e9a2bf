"""Start-up of every Python process of an app that `otel-cost doctor app` runs: its folder is first on PYTHONPATH.

Sets up OpenTelemetry as `opentelemetry-instrument` would (which it uses where it is installed), adds otel-cost, and
writes at exit what only the process itself knows. Whatever goes wrong here, the app runs on.
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
    atexit.register(_write, problems)  # first, so that it runs after the exporter's flush
    try:
        _instrument()
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")


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
        auto.initialize()
    except ImportError:
        _by_hand()
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
    """What this process was and saw; nothing where it never loaded a library that calls models."""
    folder = os.environ.get(FOLDER_VARIABLE)
    used = [name for name in LIBRARIES if name in sys.modules]
    outside = [why for name, why in OUTSIDE_HTTP.items() if name in sys.modules]
    if folder is None:
        return
    facts = {
        "pid": os.getpid(),
        "python": sys.executable,
        "command": " ".join(getattr(sys, "orig_argv", sys.argv)),
        "libraries": {name: _version(name) for name in used},
        "outside_http": outside,
        "problems": problems,
        "stats": _stats(),
    }
    with suppress(OSError):
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(facts), encoding="utf-8")


def _version(name: str) -> str | None:
    found = getattr(sys.modules[name], "__version__", None)
    return None if found is None else str(found)


def _stats() -> dict[str, int]:
    instrument: Any = sys.modules.get("otel_cost.instrument.guard")
    return {} if instrument is None else dict(instrument.STATS.snapshot())


if os.environ.get(FOLDER_VARIABLE):
    _start()
