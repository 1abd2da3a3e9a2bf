"""`otel-cost budgets show`: one budget, its rule in words and as YAML, its counters and events."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click
import yaml
from rich.text import Text

from collector.budgets.model import Action, Rule, Unpriced, WindowKind
from collector.cli.budgets_api import Api, config_option
from collector.cli.budgets_events import as_json as event_json
from collector.cli.budgets_events import print_events
from collector.cli.budgets_ledger import budgets_of
from collector.cli.budgets_list import as_json, lines_at, print_lines, with_leases
from collector.cli.budgets_words import shown, window_words
from collector.cli.ledger import Ledger, db_option
from collector.cli.table import console
from collector.config.written_rule import written, written_seconds, written_share, written_start

SHOWN_EVENTS = 20
_DOES = {
    Action.NOTIFY: "writes it to the log",
    Action.WEBHOOK: "posts to the webhooks",
    Action.EMAIL: "sends e-mail",
    Action.SLACK: "writes to the chat",
    Action.APPROVAL: "asks for approval; calls are refused until somebody approves",
    Action.THROTTLE: "slows calls down",
    Action.BLOCK: "refuses calls",
}


@click.command(name="show", short_help="one budget: its rule in words, its counters and events")
@click.argument("rule_name", metavar="RULE")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows of counters.")
@config_option
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object.")
def command(rule_name: str, limit: int, config_file: Path | None, db: Path, json_output: bool) -> None:
    """One budget: what it is and does, in words and as the config writes it, its counters of now and its events.

    \b
    Examples:
      otel-cost budgets show per-customer
      otel-cost budgets show per-customer --json

    \b
    Exit codes:
      0  done
      1  there is no ledger, or it cannot be read
      2  there is no such budget
    """
    budgets = budgets_of(Ledger(db))
    rule = budgets.rule(rule_name)
    now_ns = time.time_ns()
    lines = lines_at(budgets, [rule], now_ns, now_ns)
    lines = with_leases(lines, Api(config_file)) if lines else lines
    events = [event for event in reversed(budgets.events()) if event.key.rule == rule.name]
    if json_output:
        said = {
            **budgets.ledger.as_of(),
            "rule": written(rule),
            "words": words(rule),
            "counters": [as_json(line) for line in lines],
            "events": [event_json(event) for event in events],
        }
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    out = console()
    for sentence in words(rule):
        out.print(Text(sentence), soft_wrap=True)
    out.print()
    out.print(Text(as_yaml([rule]).rstrip()))
    out.print()
    if lines:
        print_lines(out, lines, limit, now_ns)
    else:
        out.print(Text("Nothing has counted in the window of now."))
    if events:
        out.print()
        print_events(out, events[:SHOWN_EVENTS], len(events))


def as_yaml(rules: Sequence[Rule]) -> str:
    """Rules as a config writes them."""
    text: str = yaml.safe_dump(
        [written(rule) for rule in rules], sort_keys=False, allow_unicode=True, default_flow_style=None
    )
    return text


def words(rule: Rule) -> list[str]:
    """What a rule is and does, a sentence each."""
    each = " and ".join(_each(name, value) for name, value in rule.scope)
    window = "in all" if rule.window.kind is WindowKind.TOTAL else f"per {window_words(rule)}"
    said = [f"{rule.name}: {each} may spend {shown(rule.limit, rule.unit)} {window}."]
    for stage, actions in ((_warned(rule), rule.on_warn), ("At the limit", rule.on_exceed)):
        does = [_does(rule, action) for action in actions]
        if stage and does:
            said.append(f"{stage} it {'; '.join(does)}.")
    if rule.unit == "USD":
        said.append(_UNPRICED[rule.unpriced])
    if rule.from_ns:
        said.append(f"Calls count from {written_start(rule.from_ns)} on.")
    if rule.organization:
        said.append(f"It is for the organization {rule.organization} only.")
    if rule.is_hard:
        closed = "are refused" if rule.is_closed_when_unreachable else "are made"
        said.append(f"While an app's guard cannot reach the collector, calls {closed}.")
    return said


_UNPRICED = {
    Unpriced.ALLOW: "A call without a known price counts as nothing.",
    Unpriced.WORST_CASE: "A call without a known price counts at the dearest price there is.",
    Unpriced.REFUSE: "A call without a known price is refused.",
}


def _each(name: str, value: str | None) -> str:
    return f"each {name}" if value is None else f"the {name} {value}"


def _warned(rule: Rule) -> str:
    return f"At {', '.join(written_share(ppm) for ppm in rule.warn_at_ppm)}" if rule.warn_at_ppm else ""


def _does(rule: Rule, action: Action) -> str:
    if action is Action.CHEAPER_MODEL:
        return "has cheaper models called: " + ", ".join(f"{new} for {old}" for old, new in rule.cheaper.items())
    if action is Action.THROTTLE:
        return f"lets each process make one call in {written_seconds(rule.throttle_seconds)}"
    return _DOES[action]
