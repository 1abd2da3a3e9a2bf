"""What is counted with every call waits a little; whoever asks gets all of it."""

from __future__ import annotations

import threading

from otel_cost.stats import MAX_WAITING, Stats


def test_what_waits_is_in_every_snapshot() -> None:
    stats = Stats()
    for _ in range(MAX_WAITING + 3):
        stats.tally("calls")
    stats.tally("others")
    assert stats.count("calls") == MAX_WAITING + 1  # of the rest it is not known yet
    for _ in range(2):
        assert stats.snapshot() == {"calls": MAX_WAITING + 4, "others": 1}


def test_each_is_counted_once_from_many_threads() -> None:
    stats = Stats()

    def work() -> None:
        for _ in range(2_000):
            stats.tally("calls")
            stats.priced({"otel_cost.cost_status": "priced"})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        stats.snapshot()
    assert stats.snapshot() == {"calls": 16_000, "spans.priced": 16_000}
