"""What it costs to price a call that uses eleven billing classes, span by span and over columns.

    python -m benchmarks.pricing [--json] [--rounds N]

One process, no network. The calls are those of one shape and several models; every subject prices the same ones. Rounds
are interleaved in rotating order and CPU time is taken; medians over rounds are shown. The same rounds run genai-prices
(its `calc_price`) on the same usage. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa

from collector.decode.columns import CALL_SCHEMA, CallColumns
from collector.price import price_columns
from otel_cost.call import Call, CallKind
from otel_cost.pricing import Status, default_card, price_call

CLASSES = 11
CALLS, SMALL_BATCH, ORACLE_CALLS = 8_192, 512, 128
MODELS = ("gpt-4o", "gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-4o-mini")
AT = datetime(2026, 11, 20, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9
SCALAR, COLUMNS, SMALL = "price_call", f"price_columns, {CALLS:,} calls", f"price_columns, {SMALL_BATCH} calls"
ORACLE = "genai-prices calc_price"
TARGETS_US = {SCALAR: 8.0, COLUMNS: 2.0}


def made_calls(number: int, seed: int = 1) -> list[Call]:
    """Calls with cached, cache-written, spoken and seen input, reasoned and spoken output, and web searches."""
    rng = random.Random(seed)
    calls = []
    for _ in range(number):
        usage = {
            "input_tokens": rng.randint(20_000, 60_000),
            "cache_read_tokens": rng.randint(5_000, 8_000),
            "cache_write_tokens": rng.randint(1_000, 2_000),
            "cache_write_1h_tokens": rng.randint(1, 900),
            "input_audio_tokens": rng.randint(500, 900),
            "cache_audio_read_tokens": rng.randint(1, 400),
            "input_image_tokens": rng.randint(1, 900),
            "output_tokens": rng.randint(2_000, 9_000),
            "output_reasoning_tokens": rng.randint(1, 900),
            "output_audio_tokens": rng.randint(1, 900),
            "web_searches": rng.randint(1, 5),
        }
        model = rng.choice(MODELS)
        calls.append(Call(CallKind.LEAF, "", provider="openai", request_model=model, response_model=model, usage=usage))
    return calls


def as_columns(calls: Sequence[Call]) -> CallColumns:
    """The same calls as the collector holds them."""
    columns = {
        "call_kind": [call.kind.value for call in calls],
        "dialect": [call.dialect for call in calls],
        **{name: [getattr(call, name) for call in calls] for name in ("provider", "request_model", "response_model")},
        **{name: [False] * len(calls) for name in ("reported_by_provider", "failed")},
        "flags": [0] * len(calls),
    }
    arrays = [pa.array(columns.get(field.name, [None] * len(calls)), field.type) for field in CALL_SCHEMA]
    units = calls[0].usage
    usage = {unit: pa.chunked_array([pa.array([call.usage[unit] for call in calls], pa.int64())]) for unit in units}
    return CallColumns(pa.Table.from_arrays(arrays, schema=CALL_SCHEMA), usage)


def subjects() -> dict[str, tuple[Callable[[], object], int]]:
    """Name -> what to run, and how many calls it prices."""
    calls, card = made_calls(CALLS), default_card()
    cost = price_call(calls[0], start_time_ns=AT_NS, card=card)
    assert cost is not None
    assert (cost.status, len(cost.lines)) == (Status.PRICED, CLASSES)

    def scalar() -> None:
        for call in calls:
            price_call(call, start_time_ns=AT_NS, card=card)

    found: dict[str, tuple[Callable[[], object], int]] = {SCALAR: (scalar, CALLS)}
    for name, number in ((COLUMNS, CALLS), (SMALL, SMALL_BATCH)):
        columns, times = as_columns(calls[:number]), pa.chunked_array([pa.array([AT_NS] * number, pa.int64())])
        found[name] = partial(price_columns, columns, times, card, times), number
    found[ORACLE] = _calc_price(calls[:ORACLE_CALLS]), ORACLE_CALLS
    return found


def _calc_price(calls: Sequence[Call]) -> Callable[[], object]:
    from genai_prices import Usage, calc_price

    pairs = [(Usage(**call.usage), call.response_model or "") for call in calls]

    def work() -> None:
        for usage, model in pairs:
            calc_price(usage, model_ref=model, provider_id="openai", genai_request_timestamp=AT)

    return work


def measure(rounds: int) -> dict[str, float]:
    """Median CPU microseconds per call of each subject, by round-robin."""
    todo = list(subjects().items())
    taken: dict[str, list[float]] = {name: [] for name, _ in todo}
    for _, (work, _) in todo:
        work()  # what is learned once is not what a call costs
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for name, (work, number) in todo[turn % len(todo) :] + todo[: turn % len(todo)]:
                start = time.thread_time_ns()
                work()
                taken[name].append((time.thread_time_ns() - start) / number / 1_000)
    finally:
        gc.enable()
    return {name: statistics.median(each) for name, each in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="figures only")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    missed = [name for name, most in TARGETS_US.items() if figures[name] > most]
    if arguments.json:
        print(json.dumps({"cpu_us_per_call": figures, "targets_us": TARGETS_US, "missed": missed}, indent=1))
        return 1 if missed else 0
    print(f"CPU per call of {CLASSES} billing classes, median of {arguments.rounds} interleaved rounds\n")
    for name, each_us in figures.items():
        target = (
            f"  at most {TARGETS_US[name]:g}: {'missed' if name in missed else 'held'}" if name in TARGETS_US else ""
        )
        print(f"{name:28} {each_us:8.2f} us  {figures[ORACLE] / each_us:6.0f} x less than calc_price{target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
