"""What otel-cost adds to an app: CPU per LLM span, and the weight of its import.

    python -m benchmarks.app_overhead [--json] [--rounds N]

All subjects are measured in one process, in interleaved rounds (each round runs every subject once, in rotating order),
so that a busy machine hits all of them alike. Differences are taken within a round; medians over rounds are shown.
Import cost is measured in fresh interpreters, also interleaved. Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import compileall
import gc
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Tracer

import otel_cost
from benchmarks.shapes import CHAT, SHAPES, Shape
from otel_cost import CostSpanProcessor, run, tags

SPANS_PER_ROUND = 200
TARGET_SPAN_US = 15.0
TARGET_RATIO = 7.0
TARGET_IMPORT_MS = 50.0
TARGET_IMPORT_MB = 15.0
IN_SCOPES, UNDER_AGENT = "chat_inside_run_and_tags", "chat_under_agent_span"
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "writer", "gen_ai.provider.name": "openai"}


class _Keep(SpanProcessor):
    """Keeps ended spans, for encoding."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def _tracer(shape: Shape, *processors: SpanProcessor) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer(shape.scope, "1.0.0")


def _spans(shape: Shape, tracer: Tracer) -> Callable[[], None]:
    """Start and end spans of a shape, as their instrumentation does."""
    numbers = itertools.count()

    def work() -> None:
        for number in itertools.islice(numbers, SPANS_PER_ROUND):
            span = tracer.start_span(shape.name, kind=shape.kind, attributes=shape.start)
            span.set_attributes(shape.end)
            if shape.response_id_key is not None:
                span.set_attribute(shape.response_id_key, f"chatcmpl-{number}")
            span.end()

    return work


def _inside(work: Callable[[], None]) -> Callable[[], None]:
    def scoped() -> None:
        with run("invoice-42"), tags(customer="c7", feature="search"):
            work()

    return scoped


def _under_agent(work: Callable[[], None], tracer: Tracer) -> Callable[[], None]:
    def nested() -> None:
        with tracer.start_as_current_span("invoke_agent writer", attributes=AGENT):
            work()

    return nested


def _encode(shape: Shape) -> Callable[[], None]:
    kept = _Keep()
    _spans(shape, _tracer(shape, kept))()

    def work() -> None:
        for span in kept.spans:
            encode_spans([span])

    return work


def _calc_price(shape: Shape) -> Callable[[], None]:
    from genai_prices import Usage, calc_price

    usage = Usage(**shape.usage)
    now = datetime.now(UTC)

    def work() -> None:
        for _ in range(SPANS_PER_ROUND):
            calc_price(usage, model_ref=shape.model, provider_id=shape.provider, genai_request_timestamp=now)

    return work


def _subjects() -> dict[str, Callable[[], None]]:
    subjects = {"otlp_encode": _encode(CHAT)}
    for name, shape in SHAPES.items():
        subjects[f"{name}.sdk"] = _spans(shape, _tracer(shape))
        subjects[f"{name}.sdk_and_cost"] = _spans(shape, _tracer(shape, CostSpanProcessor()))
        subjects[f"{name}.calc_price"] = _calc_price(shape)
    for which, tracer in (("sdk", _tracer(CHAT)), ("sdk_and_cost", _tracer(CHAT, CostSpanProcessor()))):
        chats = _spans(CHAT, tracer)
        subjects[f"{IN_SCOPES}.{which}"] = _inside(chats)
        subjects[f"{UNDER_AGENT}.{which}"] = _under_agent(chats, tracer)
    return subjects


def measure(rounds: int) -> dict[str, list[float]]:
    """CPU microseconds per span (or call) of every subject, one figure per round."""
    subjects = _subjects()
    names = list(subjects)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for work in subjects.values():
        work()
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            started = time.thread_time_ns()
            subjects[name]()
            figures[name].append((time.thread_time_ns() - started) / 1000 / SPANS_PER_ROUND)
    return figures


BASE = "import opentelemetry.sdk.trace, opentelemetry.sdk.trace.export"
OURS = f"{BASE}; from otel_cost import install; from opentelemetry.sdk.trace import TracerProvider as T; install(T())"
GENAI_PRICES = f"{BASE}; import genai_prices; genai_prices.calc_price(genai_prices.Usage(input_tokens=1), 'gpt-4o')"
PROBE = """
import time, resource
started = time.process_time_ns()
{code}
spent = time.process_time_ns() - started
with open('/proc/self/statm') as statm: pages = int(statm.read().split()[1])
print(spent / 1e6, pages * resource.getpagesize() / 1e6)
"""


def measure_import(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(CPU ms, resident MB) of fresh interpreters: the SDK alone, with ours switched on, with genai-prices."""
    compileall.compile_dir(Path(otel_cost.__file__).parent, quiet=2)  # as an installer does
    figures: dict[str, list[tuple[float, float]]] = {"sdk": [], "sdk_and_cost": [], "sdk_and_genai_prices": []}
    codes = dict(zip(figures, (BASE, OURS, GENAI_PRICES), strict=True))
    for _ in range(rounds):
        for name, code in codes.items():
            done = subprocess.run(
                [sys.executable, "-c", PROBE.format(code=code)], capture_output=True, text=True, check=True
            )
            spent_ms, resident_mb = done.stdout.split()
            figures[name].append((float(spent_ms), float(resident_mb)))
    return figures


def _median_difference(figures: dict[str, list[float]], name: str, base: str) -> float:
    return statistics.median(a - b for a, b in zip(figures[name], figures[base], strict=True))


def summarise(spans: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """What the targets speak of, per kind of span: what we add, and how often that goes into one `calc_price`."""
    rows: dict[str, dict[str, float]] = {}
    for name in (*SHAPES, UNDER_AGENT, IN_SCOPES):
        added = _median_difference(spans, f"{name}.sdk_and_cost", f"{name}.sdk")
        calc = statistics.median(spans.get(f"{name}.calc_price", spans["chat.calc_price"]))
        rows[name] = {
            "sdk_us": statistics.median(spans[f"{name}.sdk"]),
            "added_us": added,
            "calc_price_us": calc,
            "calc_price_over_added": calc / added,
        }
    return rows


def summarise_import(imports: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """CPU and memory over those of the SDK alone."""
    base_ms, base_mb = (statistics.median(values) for values in zip(*imports["sdk"], strict=True))
    figures = {"sdk_ms": base_ms, "sdk_mb": base_mb}
    for name in ("sdk_and_cost", "sdk_and_genai_prices"):
        ms, mb = (statistics.median(values) for values in zip(*imports[name], strict=True))
        figures |= {f"{name}_added_ms": ms - base_ms, f"{name}_added_mb": mb - base_mb}
    return figures


def verdicts(rows: dict[str, dict[str, float]], imports: dict[str, float]) -> dict[str, bool]:
    """Each target and whether it is met, by every kind of span."""
    plain = {name: row for name, row in rows.items() if name in SHAPES}
    return {
        f"adds at most {TARGET_SPAN_US:.0f} us per LLM span": all(
            row["added_us"] <= TARGET_SPAN_US for row in rows.values()
        ),
        f"at least {TARGET_RATIO:.0f} x less than calc_price alone": all(
            row["calc_price_over_added"] >= TARGET_RATIO for row in plain.values()
        ),
        f"import adds at most {TARGET_IMPORT_MS:.0f} ms": imports["sdk_and_cost_added_ms"] <= TARGET_IMPORT_MS,
        f"import adds at most {TARGET_IMPORT_MB:.0f} MB": imports["sdk_and_cost_added_mb"] <= TARGET_IMPORT_MB,
    }


def main() -> None:
    """Measure, print, and exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--rounds", type=int, default=60, help="interleaved rounds (default 60)")
    chosen = parser.parse_args()
    spans = measure(chosen.rounds)
    rows = summarise(spans)
    encode_us = statistics.median(spans["otlp_encode"])
    imports = summarise_import(measure_import(max(7, chosen.rounds // 6)))
    met = verdicts(rows, imports)
    if chosen.json:
        figures = {"spans": rows, "otlp_encode_us": encode_us, "import": imports, "targets": met}
        print(json.dumps(figures, indent=2))
    else:
        _print(rows, encode_us, imports, met)
    raise SystemExit(0 if all(met.values()) else 1)


def _print(
    rows: dict[str, dict[str, float]], encode_us: float, imports: dict[str, float], met: dict[str, bool]
) -> None:
    columns = list(rows["chat"])
    print(" " * 26, *(f"{column:>22}" for column in columns))
    for name, row in rows.items():
        print(f"{name:26}", *(f"{row[column]:22.2f}" for column in columns))
    print(f"\n{'otlp_encode_us':34}{encode_us:10.2f}")
    for name, figure in imports.items():
        print(f"{'import ' + name:34}{figure:10.2f}")
    for target, reached in met.items():
        print(f"{'met   ' if reached else 'MISSED'}  {target}")


if __name__ == "__main__":
    main()
