"""What otel-cost adds to an app: CPU per LLM span, and the weight of its import.

    python -m benchmarks.app_overhead [--json] [--rounds N]

All subjects are measured in one process, in interleaved rounds (each round runs every subject once, in rotating order),
so that a busy machine hits all of them alike. Differences are taken within a round; medians over rounds are shown.
Import cost is measured in fresh interpreters, also interleaved. Nothing leaves the machine.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.util.types import AnyValue

from otel_cost import CostSpanProcessor, run, tags

SPANS_PER_ROUND = 200
TARGET_SPAN_US = 15.0
TARGET_RATIO = 7.0
TARGET_IMPORT_MS = 50.0
TARGET_IMPORT_MB = 15.0

START: dict[str, AnyValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "server.address": "api.openai.com",
    "server.port": 443,
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 1024,
    "gen_ai.request.top_p": 1.0,
    "openai.api.type": "chat_completions",
    "gen_ai.output.type": "text",
}
END: dict[str, AnyValue] = {
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ("stop",),
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_0123456789",
    "gen_ai.usage.input_tokens": 1423,
    "gen_ai.usage.output_tokens": 391,
    "gen_ai.usage.cache_read.input_tokens": 1024,
    "gen_ai.usage.reasoning.output_tokens": 128,
    "gen_ai.conversation.id": "conv-0123456789",
}


class _Keep(SpanProcessor):
    """Keeps ended spans, for encoding."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def _tracer(*processors: SpanProcessor) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("opentelemetry.instrumentation.genai.openai", "1.3b0")


def _emit(tracer: Tracer, number: int) -> None:
    """One LLM span of 20 attributes, as the official instrumentation writes it."""
    span = tracer.start_span("chat gpt-4o-mini", kind=SpanKind.CLIENT, attributes=START)
    span.set_attributes(END)
    span.set_attribute("gen_ai.response.id", f"chatcmpl-{number}")
    span.end()


def _spans(tracer: Tracer) -> Callable[[], None]:
    numbers = iter(range(10**12))

    def work() -> None:
        for _ in range(SPANS_PER_ROUND):
            _emit(tracer, next(numbers))

    return work


def _inside(work: Callable[[], None]) -> Callable[[], None]:
    def scoped() -> None:
        with run("invoice-42"), tags(customer="c7", feature="search"):
            work()

    return scoped


def _encode() -> Callable[[], None]:
    kept = _Keep()
    _spans(_tracer(kept))()

    def work() -> None:
        for span in kept.spans:
            encode_spans([span])

    return work


def _calc_price() -> Callable[[], None]:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1423, output_tokens=391, cache_read_tokens=1024, output_reasoning_tokens=128)
    now = datetime.now(UTC)

    def work() -> None:
        for _ in range(SPANS_PER_ROUND):
            calc_price(usage, model_ref="gpt-4o-mini-2024-07-18", provider_id="openai", genai_request_timestamp=now)

    return work


def measure(rounds: int) -> dict[str, list[float]]:
    """CPU microseconds per span (or call) of every subject, one figure per round."""
    bare = _spans(_tracer())
    priced = _spans(_tracer(CostSpanProcessor()))
    subjects = {
        "sdk": bare,
        "sdk_and_cost": priced,
        "sdk_and_cost_in_scopes": _inside(priced),
        "sdk_in_scopes": _inside(bare),
        "genai_prices_calc_price": _calc_price(),
        "otlp_encode": _encode(),
    }
    names = list(subjects)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for work in subjects.values():
        work()
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.thread_time_ns()
            subjects[name]()
            figures[name].append((time.thread_time_ns() - started) / 1000 / SPANS_PER_ROUND)
    return figures


BASE = "import opentelemetry.sdk.trace, opentelemetry.sdk.trace.export"
OURS = f"{BASE}; from otel_cost import CostSpanProcessor; CostSpanProcessor()"
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
    """(CPU ms, resident MB) of fresh interpreters: the SDK alone, with ours and its card, with genai-prices."""
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


def summarise(spans: dict[str, list[float]], imports: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """The figures that the targets speak of."""
    added = _median_difference(spans, "sdk_and_cost", "sdk")
    calc = statistics.median(spans["genai_prices_calc_price"])
    base_ms, base_mb = (statistics.median(values) for values in zip(*imports["sdk"], strict=True))
    our_ms, our_mb = (statistics.median(values) for values in zip(*imports["sdk_and_cost"], strict=True))
    their_ms, their_mb = (statistics.median(values) for values in zip(*imports["sdk_and_genai_prices"], strict=True))
    return {
        "sdk_us_per_span": statistics.median(spans["sdk"]),
        "added_us_per_span": added,
        "added_us_per_span_in_scopes": _median_difference(spans, "sdk_and_cost_in_scopes", "sdk_in_scopes"),
        "genai_prices_calc_price_us": calc,
        "calc_price_over_added": calc / added,
        "otlp_encode_us_per_span": statistics.median(spans["otlp_encode"]),
        "import_added_ms": our_ms - base_ms,
        "import_added_mb": our_mb - base_mb,
        "genai_prices_import_added_ms": their_ms - base_ms,
        "genai_prices_import_added_mb": their_mb - base_mb,
    }


def verdicts(summary: dict[str, float]) -> dict[str, bool]:
    """Each target and whether it is met."""
    return {
        f"adds at most {TARGET_SPAN_US:.0f} us per LLM span": summary["added_us_per_span"] <= TARGET_SPAN_US,
        f"at least {TARGET_RATIO:.0f} x less than calc_price alone": summary["calc_price_over_added"] >= TARGET_RATIO,
        f"import adds at most {TARGET_IMPORT_MS:.0f} ms": summary["import_added_ms"] <= TARGET_IMPORT_MS,
        f"import adds at most {TARGET_IMPORT_MB:.0f} MB": summary["import_added_mb"] <= TARGET_IMPORT_MB,
    }


def main() -> None:
    """Measure, print, and exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--rounds", type=int, default=60, help="interleaved rounds (default 60)")
    chosen = parser.parse_args()
    summary = summarise(measure(chosen.rounds), measure_import(max(5, chosen.rounds // 6)))
    met = verdicts(summary)
    if chosen.json:
        print(json.dumps({"figures": summary, "targets": met}, indent=2))
    else:
        for name, figure in summary.items():
            print(f"{name:32} {figure:10.2f}")
        for target, reached in met.items():
            print(f"{'met ' if reached else 'MISSED'}  {target}")
    raise SystemExit(0 if all(met.values()) else 1)


if __name__ == "__main__":
    main()
