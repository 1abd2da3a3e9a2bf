"""What every test starts from: an environment without the developer's own OTEL settings."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pyarrow as pa
import pytest

from collector import pipeline
from collector.price.table import card_table as make
from otel_cost.pricing import RateCard


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and programs that tests interrupt would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* variable of the caller, nor the size of a terminal, changes what a test sees."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name in {"COLUMNS", "LINES"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _tables_of_cards_are_made_once() -> Iterator[None]:
    """Half a second each, which every ledger of a test would pay; a table depends on its card alone."""
    made: dict[str, pa.Table] = {}

    def card_table(card: RateCard) -> pa.Table:
        if card.digest not in made:
            made[card.digest] = make(card)
        return made[card.digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "card_table", card_table)
        yield
