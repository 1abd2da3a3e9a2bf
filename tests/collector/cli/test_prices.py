"""`otel-cost prices`: what a card says of a model, which versions there are, what changed, what that costs."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
import pytest

from collector.catalogue.shelf import cards, shipped_files, shipped_version
from collector.catalogue.version import INDEX, files_digest, provider_text, write_version
from collector.cli import main
from collector.cli.prices_command import SUBCOMMANDS
from otel_cost.pricing import default_card
from tests.collector.catalogue.sources import genai_prices
from tests.collector.cli.scenario import PLANNER, run, run_json

DOCS = Path(__file__).parents[3] / "docs"


def changed_card(folder: Path, model: str, factor: int, day: int = 1) -> str:
    """A version of the shipped card in which a model of OpenAI costs so many times what it does; its digest."""
    files = dict(shipped_files())
    raw = json.loads(files["openai.json"])
    for each in raw["models"]:
        if model in each.get("names", ()):
            each["rows"] = [
                [
                    *row[:4],
                    [[above, {unit: rate * factor for unit, rate in rates.items()}] for above, rates in row[4]],
                    *row[5:],
                ]
                for row in each["rows"]
            ]
    files["openai.json"] = provider_text(raw)
    index = json.loads(files[INDEX]) | {"digest": files_digest(files)}
    return write_version(folder, {**files, INDEX: json.dumps(index)}, datetime(2040, 1, day, tzinfo=UTC)).digest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ledger in the working directory, no card versions in the user's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def own_ledger(ledger: str, tmp_path: Path) -> Path:
    """A copy of the ledger of the scenario, to which card versions can be added."""
    for path in (Path(ledger), Path(f"{ledger}.live")):
        target = tmp_path / path.name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)
    return tmp_path / Path(ledger).name


def test_show_prints_dated_rows_their_sources_and_the_names() -> None:
    text = run("prices", "show", "gpt-4o").output
    assert re.search(r"standard +2024-10-02 +- +2\.5 +1\.25 +10", text)
    assert re.search(r"standard +- +2024-10-02 +5 +- +15", text)
    assert re.search(r"batch +.* 1\.25 ", text)
    assert "genai-prices+correction" in text
    assert "the alias pointed to gpt-4o-2024-05-13 (5/15) until 2024-10-02" in text
    assert "https://platform.openai.com/docs/changelog" in text
    assert default_card().digest in text


def test_show_as_json_has_every_rate_exactly_and_the_row_that_receipts_name() -> None:
    shown = run_json("prices", "show", "claude-sonnet-4-5")
    assert (shown["provider"], shown["model"]) == ("anthropic", "claude-sonnet-4-5")
    keys = [row["rate_row"] for row in shown["rows"]]
    assert keys == [
        row.key for rows in default_card().model("anthropic", "claude-sonnet-4-5").variants.values() for row in rows
    ]
    large = next(row for row in shown["rows"] if row["variant"] == "standard" and row["input_tokens_above"] == 200_000)
    assert {rate["class"]: (rate["usd"], rate["per"]) for rate in large["rates"]}["output_tokens"] == (
        "22.5",
        1_000_000,
    )
    assert "claude-sonnet-4-5" in shown["names"]
    assert shown["price_pages"]


def test_show_at_a_date_has_only_the_rows_of_that_moment() -> None:
    shown = run_json("prices", "show", "gpt-4o", "--at", "2024-06-01")
    assert [(row["from"], row["to"]) for row in shown["rows"] if row["variant"] == "standard"] == [(None, "2024-10-02")]
    assert run("prices", "show", "gpt-4o", "--at", "junk").exit_code == 2


@pytest.mark.parametrize(
    ("name", "provider", "near"),
    [("gpt-4o-minni", "openai", "gpt-4o-mini"), ("clade-sonnet-4-5", None, "claude-sonnet-4-5")],
)
def test_a_name_that_no_model_has_is_answered_with_the_nearest(name: str, provider: str | None, near: str) -> None:
    options = ["--provider", provider] if provider else []
    result = run("prices", "show", name, *options)
    assert result.exit_code == 1
    assert f"nearest names: {near}" in result.stderr
    result = run("prices", "show", name, *options, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["nearest"][0] == near


@pytest.mark.parametrize(
    "model", ["gpt-5", "o3", "gemini-2.5-pro", "deepseek-chat", "whisper-1", "grok-4", "text-embedding-3-small"]
)
def test_show_knows_every_kind_of_model(model: str) -> None:
    """Tiers, hours, seconds, minimums: each is shown without being asked for."""
    assert run("prices", "show", model).exit_code == 0
    assert run_json("prices", "show", model)["rows"]


def test_list_shows_current_prices_by_name_and_provider() -> None:
    found = run_json("prices", "list", "sonnet-4-5", "--provider", "anthropic")
    assert [each["entry"] for each in found] == ["claude-sonnet-4-5"]
    assert {rate["class"]: rate["usd"] for rate in found[0]["rates"]}["input_tokens"] == "3"
    assert "claude-sonnet-4-5" in run("prices", "list", "sonnet-4-5").output
    assert len(run_json("prices", "list")) > 3_000
    assert run("prices", "list", "--provider", "nobody").exit_code == 2


def test_list_at_a_date_has_the_price_of_then() -> None:
    (then,) = run_json("prices", "list", "o3", "--provider", "openai", "--at", "2025-05-01")[:1]
    assert {rate["class"]: rate["usd"] for rate in then["rates"]}["input_tokens"] == "10"


def test_without_a_version_of_its_own_a_folder_has_the_shipped_card() -> None:
    (only,) = run_json("prices", "versions")
    assert only["card"] == default_card().digest
    assert only["prices_new_spans"] is True
    assert only["path"] is None


def test_versions_says_which_prices_new_spans_and_which_is_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    good = changed_card(folder, "gpt-4o-mini", 2)
    (folder / "20410101T000000Z-0123456789ab.zip").write_bytes(b"")
    shown = run_json("prices", "versions", "--folder", str(folder))
    assert [each["card"] for each in shown] == [default_card().digest, good, "0123456789ab"]
    assert [each["prices_new_spans"] for each in shown] == [False, True, False]
    assert "no readable card version" in shown[2]["problem"]
    text = run("prices", "versions", "--folder", str(folder))
    assert re.search(f"{good} +2040-01-01 00:00 +newest", text.stdout)
    assert re.search("0123456789ab .* damaged", text.stdout)


def test_update_from_a_file_makes_a_version_that_diff_explains(tmp_path: Path) -> None:
    """Offline, in the user's folder; the version before stays."""
    source = tmp_path / "data.json"
    source.write_bytes(genai_prices({"brand-new": 5, "other": 1}, "groq"))
    done = run_json("prices", "update", "--from", str(source))
    assert done["changed"] is True
    assert done["models_added"] == 2
    assert [version.digest for version in cards(tmp_path / "data" / "otel-cost" / "prices")] == [
        default_card().digest,
        done["card"],
    ]
    difference = run_json("prices", "diff", "shipped", "newest")
    assert difference["models_added"] == [{"provider": "groq", "model": model} for model in ("brand-new", "other")]
    assert difference["changes"] == []
    assert run_json("prices", "show", "brand-new", "--provider", "groq")["card"] == done["card"]
    assert "no price has changed" in run("prices", "update", "--from", str(source)).output


def test_update_without_a_network_says_so_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.cli.prices_update.GENAI_PRICES_URL", "http://nowhere.invalid/data.json")
    result = run("prices", "update")
    assert result.exit_code == 1
    assert "http://nowhere.invalid/data.json: cannot be fetched" in result.stderr
    assert "Nothing was changed. Without a network: otel-cost prices update --from FILE" in result.stderr
    assert not (tmp_path / "data").exists()


def test_update_takes_one_source_of_each_catalogue(tmp_path: Path) -> None:
    source = tmp_path / "data.json"
    source.write_bytes(genai_prices({"m": 5}))
    result = run("prices", "update", "--from", str(source), "--from", str(source))
    assert result.exit_code == 2
    assert "names genai-prices twice" in result.stderr


def test_diff_names_every_rate_that_differs_and_when(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    digest = changed_card(folder, "gpt-4o-mini", 2)
    difference = run_json("prices", "diff", "shipped", digest[:6], "--folder", str(folder))
    found = {(each["variant"], each["class"]): each for each in difference["changes"] if each["model"] == "gpt-4o-mini"}
    assert {each["model"] for each in difference["changes"]} == {"gpt-4o-mini"}
    change = found["standard", "input_tokens"]
    assert (change["old_usd"], change["new_usd"], change["per"], change["from"], change["to"], change["change"]) == (
        "0.15", "0.3", 1_000_000, None, None, "changed",
    )  # fmt: skip
    assert "batch" in {variant for variant, _ in found}
    assert re.search(
        r"openai/gpt-4o-mini +standard .*input_tokens .* 0\.15 +0\.3",
        run("prices", "diff", "shipped", digest, "--folder", str(folder)).output,
    )
    assert "no price differs" in run("prices", "diff", "shipped", "shipped").output


def test_diff_shows_what_it_does_to_the_spend_of_a_ledger(own_ledger: Path) -> None:
    """Exactly: the planner's calls of gpt-4o cost twice as much, and those of the helper; nothing is stored."""
    before = own_ledger.read_bytes()
    digest = changed_card(Path(f"{own_ledger}.live") / "prices", "gpt-4o", 2)
    spend = run_json("prices", "diff", "shipped", digest, "--ledger", str(own_ledger), "--days", "3660")["spend"]
    (changed,) = spend["models"]
    assert changed["model"] == "gpt-4o"
    assert Decimal(changed["new_usd"]) == 2 * Decimal(changed["old_usd"]) >= 2 * PLANNER
    total = spend["total"]
    assert (
        Decimal(total["difference_usd"])
        == Decimal(total["new_usd"]) - Decimal(total["old_usd"])
        == Decimal(changed["old_usd"])
    )
    assert Decimal(total["old_usd"]) == Decimal(
        run_json("report", "--db", str(own_ledger), "--since", "all")["total"]["cost_usd"]
    )
    text = run("prices", "diff", "shipped", digest, "--ledger", str(own_ledger), "--days", "3660").output
    assert re.search(r"gpt-4o +\d+ ", text)
    assert own_ledger.read_bytes() == before


def test_a_card_of_a_day_is_the_newest_made_until_then(tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    first, second = changed_card(folder, "gpt-4o", 2, day=1), changed_card(folder, "gpt-4o", 3, day=5)
    options = ("--folder", str(folder))
    assert run_json("prices", "show", "gpt-4o", "--card", "2040-01-04", *options)["card"] == first
    assert run_json("prices", "show", "gpt-4o", "--card", "2040-01-05", *options)["card"] == second
    early = run("prices", "show", "gpt-4o", "--card", "2020-01-01", *options)
    assert early.exit_code == 1
    assert f"no card version is as old as 2020-01-01; versions in {folder}, newest first: {second}" in early.stderr
    assert run("prices", "show", "gpt-4o", "--card", "2040-13-01", *options).exit_code == 2
    assert shipped_version().digest in run("prices", "show", "gpt-4o", "--card", "feedbeef", *options).stderr


def test_a_ledger_has_card_versions_of_its_own(own_ledger: Path) -> None:
    digest = changed_card(Path(f"{own_ledger}.live") / "prices", "gpt-4o", 2)
    assert run_json("prices", "show", "gpt-4o", "--ledger", str(own_ledger))["card"] == digest
    assert run_json("prices", "show", "gpt-4o")["card"] == default_card().digest
    assert run("prices", "versions", "--ledger", "nowhere.duckdb").exit_code == 2
    assert run("prices", "versions", "--ledger", str(own_ledger), "--folder", ".").exit_code == 2


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_examples_json_and_a_page(name: str) -> None:
    group = main.get_command(click.Context(main), "prices")
    assert isinstance(group, click.Group)
    found = group.get_command(click.Context(group), name)
    assert found is not None
    assert f"otel-cost prices {name}" in (found.help or "")
    options = {option for each in found.params for option in each.opts}
    assert {"--json", "--ledger", "--folder"} <= options
    page = (DOCS / "prices.md").read_text()
    assert f"otel-cost prices {name}" in page
    for example in re.findall(rf"otel-cost prices {name}(.*?)(?:#|$|`)", page, re.MULTILINE):
        assert set(re.findall(r"--[a-z]+", example)) <= options
