"""A running collector is asked for a price run by a file, and does it while it goes on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import reprice_request
from collector.reprice_desk import RepricingDesk
from collector.reprice_request import FOLDER, NotAnswered, Wanted, ask
from collector.store import Store, StoreConfig
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards
from tests.collector.priced_ledger import changed_card, take, times
from tests.e2e.test_samples import as_request, read_json

SAMPLE = "composed_two_instrumentations_one_process"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(StoreConfig(tmp_path / "costs.duckdb", lock_wait_seconds=0))
    opened.start()
    take(opened, [as_request(read_json(f"{SAMPLE}.json"))])
    yield opened
    opened.stop()


class Counter:
    """A desk whose thread looks for requests all the time, as the collector's does twice a second."""

    def __init__(self, store: Store, cards: Cards) -> None:
        self.desk = RepricingDesk(store, lambda: cards)
        self.desk.start()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Counter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._enough.wait(0.01):
            self.desk.step()


def cost(store: Store) -> Any:
    return store.read(lambda reader: reader.rows("SELECT sum(cost_usd) FROM calls"))[0][0]


def test_whoever_asks_is_answered(store: Store, tmp_path: Path) -> None:
    """A diff, a run and its undoing, by another process's rules: all it has is the path."""
    card = changed_card(tmp_path / "card", {"openai": times(2)})
    path, before = store.layout.published, cost(store)
    with Counter(store, Cards(card)):
        looked = ask(path, Wanted("dry-run", "me"))
        assert looked["ok"]
        assert cost(store) == before
        done = ask(path, Wanted("apply", "me", name="double"))
        assert done["name"] == "double"
        assert done["total"] == looked["total"]
        assert cost(store) == 2 * before
        assert ask(path, Wanted("undo", "me", name="double"))["ok"]
        assert cost(store) == before
        refused = ask(path, Wanted("undo", "me", name="double"))
        assert not refused["ok"]
        assert "was undone at" in refused["error"]
        assert "digest of no card" in ask(path, Wanted("apply", "me", card="0123456789ab"))["error"]
    assert list((store.layout.folder / FOLDER).iterdir()) == []


def test_a_request_that_is_taken_back_ends_the_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the command: it ends once the collector has said that nothing was changed."""
    before = cost(store)
    waiting = threading.Event()

    def interrupted(_: float) -> None:
        """The first time that the command waits, somebody presses Ctrl-C."""
        if not waiting.is_set():
            waiting.set()
            raise KeyboardInterrupt

    monkeypatch.setattr("collector.reprice_request.time.sleep", interrupted)
    desk = RepricingDesk(store, lambda: Cards(changed_card(tmp_path / "card", {"openai": times(2)})))
    desk.start()
    raised: list[BaseException] = []

    def command() -> None:
        try:
            ask(store.layout.published, Wanted("apply", "me", name="double"))
        except (KeyboardInterrupt, NotAnswered) as error:
            raised.append(error)

    thread = threading.Thread(target=command)
    thread.start()
    waiting.wait(10)
    monkeypatch.setattr(reprice_request, "ANSWER_AFTER_REMOVAL_SECONDS", 0.0)
    desk.step()
    thread.join(30)
    assert len(raised) == 1
    assert cost(store) == before


def test_a_request_whose_sender_has_died_is_not_served(store: Store) -> None:
    """Its lock is gone with it."""
    desk = RepricingDesk(store, lambda: Cards(default_card()))
    desk.start()
    left = store.layout.folder / FOLDER / "dead.request"
    left.write_text(json.dumps({"action": "apply", "by": "nobody"}))
    desk.step()
    assert not left.exists()
    assert store.read(lambda reader: reader.rows("SELECT * FROM price_runs")) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"action": "apply", "by": "me", "later": 1}'])
def test_a_request_of_another_version_is_answered_with_an_error(store: Store, text: str) -> None:
    import fcntl

    desk = RepricingDesk(store, lambda: Cards(default_card()))
    desk.start()
    request = store.layout.folder / FOLDER / "strange.request"
    request.write_text(text)
    descriptor = os.open(request, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    desk.step()
    os.close(descriptor)
    answer = json.loads(request.with_suffix(".answer").read_text())
    assert not answer["ok"]
    assert str(request) in answer["error"]


def test_a_start_forgets_what_was_asked_before_it(store: Store) -> None:
    folder = store.layout.folder / FOLDER
    folder.mkdir()
    (folder / "old.request").write_text("{}")
    (folder / "old.answer").write_text("{}")
    RepricingDesk(store, lambda: Cards(default_card())).start()
    assert list(folder.iterdir()) == []


def test_a_stopping_collector_ends_a_run_as_if_it_had_not_begun(store: Store, tmp_path: Path) -> None:
    before = cost(store)
    card = changed_card(tmp_path / "card", {"openai": times(2)})
    with Counter(store, Cards(card)) as counter:
        counter.desk.stop()
        answer = ask(store.layout.published, Wanted("apply", "me"))
    assert answer.get("cancelled")
    assert cost(store) == before


def test_without_a_collector_nobody_is_waited_for(store: Store) -> None:
    store.stop()
    with pytest.raises(NotAnswered, match="the collector has stopped before it had answered"):
        ask(store.layout.published, Wanted("dry-run", "me"))


def test_maintenance_goes_on_beside_the_desk(store: Store) -> None:
    """A piece of it when it is time, and no oftener."""
    desk = RepricingDesk(store, lambda: Cards(default_card()))
    desk.start()
    for _ in range(20):
        take(store, [as_request(read_json(f"{SAMPLE}.json"), f"org-{_}")])
    first, second = desk.step(), desk.step()
    assert first.did.startswith("merged")
    assert not second.did
    assert second.pause_seconds <= 0.5
