"""Runs every scenario of an app, once with its synchronous and once with its asynchronous client.

    python drive.py APP WINDOWS [openlit]

WINDOWS gets a JSON line per scenario and client: when it ran, by which its spans are found again. The scenarios run
one after the other.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO


def _window(file: TextIO, scenario: str, client: str, started_ns: int) -> None:
    gc.collect()  # a stream that was dropped in a cycle ends here, not in the next scenario
    line = {"scenario": scenario, "client": client, "start_ns": started_ns, "end_ns": time.time_ns()}
    file.write(json.dumps(line) + "\n")


def _run_sync(scenarios: dict[str, Callable[[], object]], file: TextIO) -> None:
    for scenario, run in scenarios.items():
        started_ns = time.time_ns()
        run()
        _window(file, scenario, "sync", started_ns)


async def _run_async(scenarios: dict[str, Callable[[], Any]], file: TextIO) -> None:
    for scenario, run in scenarios.items():
        started_ns = time.time_ns()
        await run()
        await asyncio.sleep(0)  # an asynchronous generator that was dropped is closed by the loop
        _window(file, scenario, "async", started_ns)


def main() -> None:
    """See the module."""
    app, windows, *instrumentation = sys.argv[1:]
    if instrumentation == ["openlit"]:
        import openlit  # type: ignore[import-not-found, unused-ignore]

        openlit.init(disable_metrics=True, pricing_json=f"{windows}.prices.json")
    module = importlib.import_module(app)
    with open(windows, "w", encoding="utf-8") as file:
        _run_sync(module.SYNC, file)
        asyncio.run(_run_async(module.ASYNC, file))


if __name__ == "__main__":
    main()
