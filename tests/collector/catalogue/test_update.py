"""A new card from newer catalogues: what it adds, what it keeps, and that a failure changes nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.catalogue.build.compile import kept_sources
from collector.catalogue.errors import SourceUnavailable
from collector.catalogue.shelf import cards, newest_card, open_card
from collector.catalogue.sources import GENAI_PRICES, LITELLM, Catalogue, fetch, from_installed, with_vanished
from collector.catalogue.update import SOURCES_FOLDER, Updated, update
from otel_cost.pricing import RateCard, default_card
from otel_cost.pricing.match import resolve
from otel_cost.pricing.rates import RateRow
from tests.collector.catalogue.sources import PROVIDER, genai_prices, litellm, serving

FIRST, SECOND, THIRD = (datetime(2030, 1, day, 12, tzinfo=UTC) for day in (1, 2, 3))


@pytest.fixture(autouse=True)
def small_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the kept copies a few models, so that a card is built in no time; the rest of the machinery is real."""
    kept = kept_sources()
    providers = [provider for provider in kept.genai_prices if provider["id"] in ("deepseek", "groq")]
    models = {name: entry for name, entry in kept.litellm.items() if name.startswith("deepseek/")}
    few = replace(kept, genai_prices=providers, litellm=models)
    monkeypatch.setattr("collector.catalogue.update.kept_sources", lambda: few)


def catalogue(tmp_path: Path, content: bytes) -> Catalogue:
    path = tmp_path / "catalogue.json"
    path.write_bytes(content)
    return fetch(str(path))


def updated(folder: Path, tmp_path: Path, at: datetime, prices: dict[str, Any]) -> Updated:
    return update(folder, [catalogue(tmp_path, genai_prices(prices))], at)


def rows(card: RateCard, model: str, provider: str = PROVIDER) -> tuple[RateRow, ...]:
    return card.model(provider, model).variants["standard"]


def rate_at(card: RateCard, model: str, at: datetime) -> int:
    at_ns = int(at.timestamp()) * 10**9
    return next(row.explicit["input_tokens"] for row in rows(card, model) if row.applies(at_ns, 1))


def test_a_changed_price_holds_from_then_on_and_the_old_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    first = updated(folder, tmp_path, FIRST, {"m": 5})
    second = updated(folder, tmp_path, SECOND, {"m": 3})
    assert first.version is not None
    assert second.version is not None
    assert second.before.digest == first.version.digest
    card = newest_card(folder)
    assert card.digest == second.version.digest
    assert [rate_at(card, "m", at) for at in (datetime(2020, 1, 1, tzinfo=UTC), FIRST, SECOND, THIRD)] == [
        5_000_000, 5_000_000, 3_000_000, 3_000_000,
    ]  # fmt: skip
    assert rate_at(open_card(folder, date(2030, 1, 1)), "m", THIRD) == 5_000_000


def test_what_shipped_is_in_the_new_card_and_is_kept_as_a_version(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    updated(folder, tmp_path, FIRST, {"m": 5})
    card = newest_card(folder)
    assert resolve(card, "openai", "gpt-4o", None).model is not None
    assert {row.key for row in default_card().reopened().rows()} <= {row.key for row in card.rows()}
    assert open_card(folder, default_card().digest).digest == default_card().digest


def test_catalogues_that_say_the_same_make_no_version(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    updated(folder, tmp_path, FIRST, {"m": 5})
    again = updated(folder, tmp_path, SECOND, {"m": 5})
    assert again.version is None
    assert len(cards(folder)) == 2


def test_a_model_that_a_catalogue_drops_keeps_its_price_and_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    updated(folder, tmp_path, FIRST, {"m": 5, "gone": 7})
    updated(folder, tmp_path, SECOND, {"m": 3})
    card = newest_card(folder)
    assert [row.explicit["input_tokens"] for row in rows(card, "gone")] == [7_000_000]
    assert resolve(card, PROVIDER, "gone", None).model is not None


def test_one_catalogue_can_be_updated_without_the_other(tmp_path: Path) -> None:
    """The other is taken as it was last time."""
    folder = tmp_path / "prices"
    updated(folder, tmp_path, FIRST, {"m": 5})
    update(folder, [catalogue(tmp_path, litellm({"brand-new": 2e-6}))], SECOND)
    card = newest_card(folder)
    assert rate_at(card, "m", THIRD) == 5_000_000
    assert rows(card, "brand-new", "openai")[0].explicit["input_tokens"] == 2_000_000


def test_a_price_of_genai_prices_goes_before_litellms(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    both = [catalogue(tmp_path, genai_prices({"m": 5}, "openai")), catalogue(tmp_path, litellm({"m": 9e-6}))]
    update(folder, both, FIRST)
    assert rows(newest_card(folder), "m", "openai")[0].explicit["input_tokens"] == 5_000_000


@pytest.mark.parametrize(
    ("prices", "complaint"),
    [
        ({"m": -1}, "impossible rate of input_tokens"),
        ({"m": {"input_mtok": "cheap"}}, "cannot be made into a rate card"),
        ({"m": [{"constraint": {"start_date": "soon"}, "prices": {"input_mtok": 1}}]}, "cannot be made"),
    ],
)
def test_impossible_prices_are_refused_and_change_nothing(
    tmp_path: Path, prices: dict[str, Any], complaint: str
) -> None:
    folder = tmp_path / "prices"
    updated(folder, tmp_path, FIRST, {"m": 5})
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(SourceUnavailable, match=complaint):
        updated(folder, tmp_path, SECOND, prices)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert rate_at(newest_card(folder), "m", THIRD) == 5_000_000


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"[]", b"3", b'{"a": 1}', b'[{"id": "x"}]', b"\xff\xfe"])
def test_what_is_no_catalogue_is_refused_with_what_it_should_be(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"catalogue\.json: (no JSON|neither genai-prices' data\.json)"):
        catalogue(tmp_path, content)


def test_a_source_that_cannot_be_read_says_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"nowhere\.json: cannot be read: No such file"):
        fetch(str(tmp_path / "nowhere.json"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/data.json"
        with pytest.raises(SourceUnavailable, match=f"{url}: cannot be fetched: .*refused"):
            fetch(url)
    with pytest.raises(SourceUnavailable, match="cannot be fetched"):
        fetch("http://nowhere.invalid/data.json")


def test_a_url_is_read_as_a_file_is(tmp_path: Path) -> None:
    with serving({"/data.json": genai_prices({"m": 5}), "/prices.json": litellm({"n": 1e-6})}) as host:
        assert fetch(f"{host}/data.json").name == GENAI_PRICES
        assert fetch(f"{host}/prices.json").name == LITELLM
        with pytest.raises(SourceUnavailable, match=r"missing: HTTP 404"):
            fetch(f"{host}/missing")


def test_a_catalogue_larger_than_any_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.catalogue.sources.MAX_CATALOGUE_BYTES", 1_000)
    with (
        serving({"/data.json": b"[" + b" " * 2_000}) as host,
        pytest.raises(SourceUnavailable, match="more than 0 MiB"),
    ):
        fetch(f"{host}/data.json")


def test_installed_packages_carry_catalogues() -> None:
    (found,) = from_installed()
    assert found.name == GENAI_PRICES
    assert found.origin.startswith("installed genai-prices 0.")
    assert len(found.content) > 40


def test_models_that_vanish_come_last_so_that_newer_names_win() -> None:
    before = Catalogue(
        GENAI_PRICES, [{"id": "p", "models": [{"id": "a"}, {"id": "b"}]}, {"id": "q", "models": []}], "x"
    )
    now = Catalogue(GENAI_PRICES, [{"id": "p", "models": [{"id": "b", "v": 2}, {"id": "c"}]}], "y")
    content = with_vanished(before, now).content
    assert content == [
        {"id": "p", "models": [{"id": "b", "v": 2}, {"id": "c"}, {"id": "a"}]},
        {"id": "q", "models": []},
    ]


def test_a_name_that_a_catalogue_moves_to_another_model_resolves_by_date(tmp_path: Path) -> None:
    def listed(owner: str) -> bytes:
        models = [
            {"id": model, "match": {"or": [{"equals": model}, *([{"equals": "m-latest"}] if model == owner else [])]},
             "prices": {"input_mtok": price}}
            for model, price in (("m-1", 5), ("m-2", 3))
        ]  # fmt: skip
        return json.dumps([{"id": PROVIDER, "models": models}]).encode()

    folder = tmp_path / "prices"
    update(folder, [catalogue(tmp_path, listed("m-1"))], FIRST)
    update(folder, [catalogue(tmp_path, listed("m-2"))], SECOND)
    card = newest_card(folder)
    found = resolve(card, PROVIDER, "m-latest", None).model
    assert found is not None
    assert found.model == "m-2"
    assert [row.explicit["input_tokens"] for row in found.variants["standard"]] == [3_000_000, 5_000_000]
    assert found.variants["standard"][0].valid_from_ns == int(SECOND.timestamp()) * 10**9


def test_an_update_that_is_killed_leaves_the_versions_as_they_were(tmp_path: Path) -> None:
    """At any moment: each file is whole or not there."""
    folder = tmp_path / "prices"
    source = tmp_path / "data.json"
    source.write_bytes(genai_prices({"m": 5}))
    for delay_seconds in (0.3, 0.7, 1.1, 1.5):
        process = subprocess.Popen(
            [sys.executable, "-m", "collector.catalogue.update", str(folder), str(source)], stdout=subprocess.DEVNULL
        )
        try:
            process.wait(delay_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for version in cards(folder):
            assert open_card(folder, version.digest).digest == version.digest
    assert not list((folder / SOURCES_FOLDER).glob("*.gz")) or newest_card(folder).digest != default_card().digest
