"""`otel-cost reprice`, by itself and through a collector that runs."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector import reprice_alone, reprice_serving
from collector.cli.reprice_command import command
from collector.store.query import query_published
from otel_cost.pricing import RateCard
from tests.collector.cli import scenario
from tests.collector.cli.scenario import TOTAL, run, run_json
from tests.collector.priced_ledger import changed_card, times
from tests.crash.sender import HttpTransport
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A ledger for a test that changes it."""
    path = str(tmp_path / "ledger.duckdb")
    result = run("import", str(scenario.write(tmp_path)), "--db", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def dearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RateCard:
    """The newest card is one by which OpenAI's models cost twice as much."""
    card = changed_card(tmp_path / "card", {"openai": times(2)})
    monkeypatch.setattr(reprice_alone, "newest_card", lambda _: card)
    return card


def total(ledger: str, *arguments: str) -> Decimal:
    return Decimal(run_json("report", "--since", "all", "--db", ledger, *arguments)["total"]["cost_usd"])


def test_a_dry_run_changes_nothing(ledger: str, dearer: RateCard) -> None:
    answer = run_json("reprice", "--since", "all", "--dry-run", "--db", ledger)
    assert answer["card"] == dearer.digest
    assert Decimal(answer["total"]["before_usd"]) == TOTAL
    assert Decimal(answer["total"]["delta_usd"]) > 0
    assert total(ledger) == TOTAL
    assert run_json("reprice", "list", "--db", ledger) == []
    for dimension in ("model", "day", "customer", "status"):
        assert sum(Decimal(line["delta_usd"]) for line in answer[dimension]) == Decimal(answer["total"]["delta_usd"])


def test_a_run_is_applied_listed_compared_and_undone(own: str, dearer: RateCard) -> None:
    applied = run("reprice", "--since", "all", "--apply", "--name", "dearer", "--db", own)
    assert applied.exit_code == 0, applied.output
    assert "Take it back: otel-cost reprice undo dearer" in applied.stdout
    now = total(own)
    assert now > TOTAL
    assert total(own, "--prices", "as-billed") == TOTAL
    assert "--prices as-billed shows those of when the calls arrived" in run("report", "--db", own).stdout
    assert "as billed" in run("report", "--prices", "as-billed", "--db", own).stdout
    (listed,) = run_json("reprice", "list", "--db", own)
    assert listed["name"] == "dearer"
    assert listed["card"] == dearer.digest
    assert Decimal(listed["delta_usd"]) == now - TOTAL
    assert listed["undone_at"] is None
    assert "in force" in run("reprice", "list", "--db", own).stdout
    undone = run("reprice", "undo", "dearer", "--db", own)
    assert undone.exit_code == 0, undone.output
    assert total(own) == total(own, "--prices", "as-billed") == TOTAL
    assert "undone" in run("reprice", "list", "--db", own).stdout
    assert run("doctor", own, "--deep").exit_code == 0


def test_a_report_as_billed_groups_by_whatever_it_can_group_by(own: str, dearer: RateCard) -> None:
    """Each row is what it was before the run: also by attribute, whose report joins spans."""
    before = {by: run_json("report", "--by", by, "--db", own) for by in ("model", "run", "cloud.region")}
    run_json("reprice", "--since", "all", "--apply", "--db", own)
    for by, was in before.items():
        now = run_json("report", "--by", by, "--prices", "as-billed", "--db", own)
        assert now["rows"] == was["rows"]
        assert now["total"] == was["total"]
        assert (now["prices"], now["price_runs"]) == ("as-billed", 1)


def test_names_choose_calls(ledger: str, dearer: RateCard) -> None:
    mini = run_json("reprice", "--since", "all", "--model", "gpt-4o-mini", "--dry-run", "--db", ledger)
    assert {line["model"] for line in mini["model"]} == {"gpt-4o-mini"}
    none = run("reprice", "--since", "all", "--org", "nobody", "--dry-run", "--db", ledger)
    assert none.stdout.strip() == "No calls there that could be priced again."


def test_the_card_that_priced_everything_has_nothing_to_do(own: str) -> None:
    applied = run("reprice", "--since", "all", "--apply", "--db", own)
    assert applied.exit_code == 0
    assert "nothing to do" in applied.stdout
    assert run("reprice", "list", "--db", own).stdout.startswith("No price runs")


def test_a_contract_of_the_config_holds(ledger: str, tmp_path: Path) -> None:
    config = tmp_path / "contract.yaml"
    config.write_text("processors:\n  cost:\n    discounts:\n      - {provider: openai, percent: 50%}\n")
    answer = run_json("reprice", "--since", "all", "--dry-run", "--config", str(config), "--db", ledger)
    by_provider = {line["provider"]: line for line in answer["model"] if Decimal(line["before_usd"])}
    assert Decimal(by_provider["openai"]["delta_usd"]) < 0
    assert Decimal(by_provider["anthropic"]["delta_usd"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--dry-run"], 2, "say which calls: --since 30d"),
        (["--since", "all"], 2, "say --dry-run to see what would change, or --apply"),
        (["--since", "soon", "--dry-run"], 2, "'soon' is neither an age"),
        (["--since", "all", "--dry-run", "--card", "abcdef012345"], 1, "is the digest of no card version"),
        (["--since", "all", "--apply", "--name", "no name"], 1, "'no name' is no name"),
        (["undo", "nothing"], 1, "there is no price run nothing"),
    ],
)
def test_what_cannot_be_done_is_said(
    ledger: str, dearer: RateCard, arguments: list[str], code: int, message: str
) -> None:
    place = ["--db", ledger]
    result = run("reprice", *arguments, *place)
    assert result.exit_code == code
    assert message in result.output


def test_without_a_ledger_it_says_how_to_get_one(tmp_path: Path) -> None:
    result = run("reprice", "--since", "all", "--dry-run", "--db", str(tmp_path / "none.duckdb"))
    assert result.exit_code == 1
    assert "there is no ledger at" in result.output


def test_ctrl_c_leaves_the_ledger_as_it_was(own: str, dearer: RateCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while the work is under way; the command ends with 130 when that has ended."""
    begun, ended = threading.Event(), threading.Event()

    def slow(store: Any, wanted: Any, cards: Any, cancelled: Any) -> Any:
        begun.set()
        while not cancelled():
            time.sleep(0.001)
        answer = serve(store, wanted, cards, cancelled)
        ended.set()
        return answer

    serve = reprice_serving.serve
    monkeypatch.setattr(reprice_alone, "serve", slow)
    monkeypatch.setattr(reprice_alone, "ThreadPoolExecutor", _Interrupted)
    result = run("reprice", "--since", "all", "--apply", "--db", own)
    assert begun.is_set()
    assert ended.is_set()
    assert result.exit_code == 130
    assert "interrupted; nothing was changed" in result.output
    assert total(own) == TOTAL
    assert run_json("reprice", "list", "--db", own) == []


class _Interrupted(ThreadPoolExecutor):
    """Ctrl-C comes when the first result is waited for."""

    def submit(self, *arguments: Any, **options: Any) -> Any:
        future = super().submit(*arguments, **options)
        waited = future.result

        def result(timeout: float | None = None) -> Any:
            future.result = waited  # type: ignore[method-assign]
            raise KeyboardInterrupt

        future.result = result  # type: ignore[method-assign]
        return future


def test_a_running_collector_does_it_and_goes_on(tmp_path: Path) -> None:
    """Asked by the command while spans arrive: a contract that its config has now holds for what is stored, and what
    was acknowledged meanwhile is there once, at its own price."""
    with CollectorProcess(tmp_path) as collector:
        first = send(collector, range(1, 6))
        collector.stop()
    discount = "    discounts: [{provider: openai, percent: 50%}]"
    with CollectorProcess(tmp_path, processors=f"  cost:\n{discount}") as collector:
        sent: dict[str, int] = {}
        enough = threading.Event()

        def keep_sending() -> None:
            number = 5
            while not enough.is_set():
                number += 1
                sent.update(send(collector, [number]))

        thread = threading.Thread(target=keep_sending)
        thread.start()
        try:
            applied = run_json(
                "reprice", "--since", "all", "--apply", "--name", "half", "--db", str(collector.database)
            )
        finally:
            enough.set()
            thread.join()
    assert applied["total"]["changed_calls"] >= len(first)
    expected = {span: pico // 2 for span, pico in (first | sent).items()}
    assert stored(collector.database) == expected
    run_json("reprice", "undo", "half", "--db", str(collector.database))
    after = stored(collector.database)
    assert {span: after[span] for span in first} == first
    assert {span: after[span] for span in sent} == {span: expected[span] for span in sent}
    assert run("doctor", str(collector.database), "--deep").exit_code == 0


def send(collector: CollectorProcess, numbers: Any) -> dict[str, int]:
    """Acknowledged calls, and their list prices."""
    costs: dict[str, int] = {}
    transport = HttpTransport(collector.http_port)
    for number in numbers:
        request, added = plain_calls(number)
        assert transport.send(request.SerializeToString()) == ""
        costs.update(added)
    transport.close()
    return costs


def stored(path: Path) -> dict[str, int]:
    sql = "SELECT span_id, CAST(cost_usd * 1000000000000 AS BIGINT) AS pico_usd FROM calls"
    return {row["span_id"]: row["pico_usd"] for row in query_published(path, sql).to_pylist()}


def test_help_shows_examples_and_exit_codes() -> None:
    text = command.help or ""
    assert "Examples:" in text
    assert "Exit codes:" in text


def test_json_is_one_object(ledger: str, dearer: RateCard) -> None:
    text = run("reprice", "--since", "all", "--dry-run", "--json", "--db", ledger).stdout
    assert json.loads(text)["ok"] is True
