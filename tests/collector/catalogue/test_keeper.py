"""The card of a running collector: the newest there is, and nothing that goes wrong takes it away."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue

import pytest

from collector import telemetry as metrics
from collector.catalogue.config import RefreshConfig
from collector.catalogue.keeper import CardKeeper
from collector.catalogue.shelf import cards
from collector.catalogue.update import SOURCES_FOLDER
from collector.catalogue.version import write_version
from collector.telemetry import Telemetry
from otel_cost.pricing import RateCard, default_card
from tests.collector.catalogue.sources import PROVIDER, genai_prices, serving
from tests.collector.catalogue.test_versions import card_of, rate_of

SOON_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@contextmanager
def keeping(
    folder: Path, refresh: RefreshConfig | None = None, use: Callable[[RateCard], None] | None = None
) -> Iterator[tuple[CardKeeper, Queue[RateCard], Telemetry]]:
    used: Queue[RateCard] = Queue()
    telemetry = Telemetry()
    keeper = CardKeeper(folder, refresh, use or used.put, telemetry, SOON_SECONDS)
    keeper.start()
    try:
        yield keeper, used, telemetry
    finally:
        keeper.stop()


def failures(telemetry: Telemetry) -> int:
    (line,) = [line for line in telemetry.render().splitlines() if line.startswith(metrics.PRICES_FAILURES.name)]
    return int(line.split()[-1])


def test_a_collector_starts_with_the_newest_version_and_keeps_the_shipped_card(tmp_path: Path) -> None:
    write_version(tmp_path, card_of(7), datetime(2040, 1, 1, tzinfo=UTC))
    with keeping(tmp_path) as (_, used, _):
        assert rate_of(used.get(timeout=0)) == 7
    assert [version.path is not None for version in cards(tmp_path)] == [True, True]


def test_a_version_that_somebody_else_makes_is_used_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), keeping(tmp_path) as (_, used, _):
        assert used.get(timeout=0).digest == default_card().digest
        version = write_version(tmp_path, card_of(7), datetime(2040, 1, 1, tzinfo=UTC))
        assert rate_of(used.get(timeout=PATIENCE_SECONDS)) == 7
    assert f"card {version.digest} replaces {default_card().digest} for new spans" in caplog.text


def test_a_version_that_is_damaged_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with keeping(tmp_path) as (_, used, _):
        used.get(timeout=0)
        (tmp_path / "20400101T000000Z-0123456789ab.zip").write_bytes(b"PK")
        write_version(tmp_path, card_of(7), datetime(2039, 1, 1, tzinfo=UTC))
        assert rate_of(used.get(timeout=PATIENCE_SECONDS)) == 7
    assert "0123456789ab is damaged" in caplog.text


def test_catalogues_are_read_every_interval_and_a_new_price_is_used(tmp_path: Path) -> None:
    """Also when the other catalogue cannot be had."""
    pages = {"/data.json": genai_prices({"m": 5})}
    with serving(pages) as host:
        config = RefreshConfig(0.05, f"{host}/data.json", f"{host}/missing")
        with keeping(tmp_path / "prices", config) as (_, used, telemetry):
            used.get(timeout=0)
            first = used.get(timeout=PATIENCE_SECONDS)
            assert first.model(PROVIDER, "m").variants["standard"][0].explicit == {"input_tokens": 5_000_000}
            pages["/data.json"] = genai_prices({"m": 3})
            second = used.get(timeout=PATIENCE_SECONDS)
            rows = second.model(PROVIDER, "m").variants["standard"]
            assert [row.explicit["input_tokens"] for row in rows] == [3_000_000, 5_000_000]
            assert failures(telemetry) >= 1


def test_a_catalogue_that_cannot_be_had_is_a_line_in_the_log_and_a_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line however often it is tried; the card in use goes on."""
    config = RefreshConfig(3600.0, str(tmp_path / "nowhere.json"), None)
    with keeping(tmp_path / "prices") as (keeper, used, telemetry):
        used.get(timeout=0)
        assert keeper.refresh(config) is False
        assert keeper.refresh(config) is False
        assert used.empty()
        assert failures(telemetry) == 2
    assert caplog.text.count("prices were not refreshed") == 1
    assert "nowhere.json: cannot be read" in caplog.text


def test_stopping_does_not_wait_for_a_catalogue_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = RefreshConfig(0.01, f"http://127.0.0.1:{silent.getsockname()[1]}/data.json", None)
        with keeping(tmp_path, config) as (keeper, used, telemetry):
            used.get(timeout=0)
            silent.accept()[0].close()
            with silent.accept()[0] as waiting:  # tried again, since it failed
                assert waiting.recv(65_536)
                keeper.stop()
                with suppress(ConnectionResetError):
                    assert waiting.recv(1) == b""  # whoever asked is gone
        assert failures(telemetry) == 1
    assert len(cards(tmp_path)) == 1


def test_without_a_refresh_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))
    with keeping(tmp_path) as (_, used, _):
        used.get(timeout=0)
        with pytest.raises(Empty):
            used.get(timeout=10 * SOON_SECONDS)


def test_a_card_that_cannot_be_taken_is_offered_again(tmp_path: Path) -> None:
    """As when the ledger's disk is full for the moment."""
    refused = [OSError("no space")]
    taken: Queue[RateCard] = Queue()

    def use(card: RateCard) -> None:
        if card.digest != default_card().digest and refused:
            raise refused.pop()
        taken.put(card)

    with keeping(tmp_path, use=use) as (_, _, telemetry):
        taken.get(timeout=0)
        write_version(tmp_path, card_of(7), datetime(2040, 1, 1, tzinfo=UTC))
        assert rate_of(taken.get(timeout=PATIENCE_SECONDS)) == 7
        assert failures(telemetry) == 1


def test_an_interval_goes_on_over_a_restart(tmp_path: Path) -> None:
    """A collector that starts again and again does not ask again and again."""
    source = tmp_path / "data.json"
    source.write_bytes(genai_prices({"m": 5}))
    read = tmp_path / "prices" / SOURCES_FOLDER / "genai-prices.json.gz"
    read.parent.mkdir(parents=True)
    read.touch()
    with keeping(tmp_path / "prices", RefreshConfig(3600.0, str(source), None)) as (_, used, _):
        used.get(timeout=0)
        with pytest.raises(Empty):
            used.get(timeout=10 * SOON_SECONDS)
