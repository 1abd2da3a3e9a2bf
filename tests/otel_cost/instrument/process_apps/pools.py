"""Calls from the workers of process pools: forked, spawned, and by a server of forks; and from itself."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from openai import OpenAI

from tests.otel_cost.instrument.process_apps.calls import ask


def work(_: int) -> None:
    ask(OpenAI())


if __name__ == "__main__":
    ask(OpenAI())
    for method in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            list(pool.map(work, range(4)))
    child = multiprocessing.Process(target=work, args=(0,))
    child.start()
    child.join()
    assert child.exitcode == 0
