"""`otel-cost budgets rules`: the rules of the running collector; those made at run time can be set and deleted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from rich.text import Text

from collector.cli.budgets_api import EXIT_WRONG, Api, api_options
from collector.cli.budgets_proposed import read_rules_file
from collector.cli.table import Column, console, print_table, printable
from collector.config import ConfigError
from collector.config.written_rule import written

_HELP = """
The rules of the running collector: those of its config, and those made at run time. A rule made at run time is kept in
the ledger, with who changed it and when; it counts all calls in the ledger, unless it says from when on.

\b
Examples:
  otel-cost budgets rules
  otel-cost budgets rules set proposed.yaml
  otel-cost budgets rules delete per-customer

\b
Exit codes:
  0  done
  1  no collector answers, or a rule of that name is in the config
  2  a wrong option, or a rule that is wrong; every problem is printed
"""


@click.group(name="rules", help=_HELP, invoke_without_command=True, short_help="rules of the running collector")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
@click.pass_context
def command(context: click.Context, config_file: Path | None, token: str | None, json_output: bool) -> None:
    if context.invoked_subcommand is not None:
        return
    answer = Api(config_file, token).get("budgets", "rules")
    listed: list[dict[str, Any]] = answer["rules"]
    if json_output:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif not listed:
        console().print(Text("No rules."))
    else:
        columns = [
            Column(key, [printable(_cell(rule.get(key))) for rule in listed], left=True, rank=rank, least=8)
            for rank, key in enumerate(("name", "scope", "limit", "on_exceed", "from", "warn_at", "on_warn"))
        ]
        print_table(console(), columns)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(name if each is None else f"{name}={each}" for name, each in value.items())
    return "-" if value is None else str(value)


@command.command(name="set")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@api_options
@click.option("--json", "json_output", is_flag=True, help="A JSON array of the API's answers.")
def set_rules(file: Path, config_file: Path | None, token: str | None, json_output: bool) -> None:
    """Make or change the rules of a file: a list of rules, one rule, or a config.

    \b
    Examples:
      otel-cost budgets rules set proposed.yaml
    """
    try:
        rules = read_rules_file(file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)
    api = Api(config_file, token)
    answers = [api.send("PUT", "budgets", "rules", rule.name, body=written(rule)) for rule in rules]
    if json_output:
        click.echo(json.dumps(answers, indent=2, ensure_ascii=False))
        return
    for answer in answers:
        click.echo(f"set:\n{yaml.safe_dump([answer['rule']], sort_keys=False, allow_unicode=True)}".rstrip())


@command.command(name="delete")
@click.argument("name")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
def delete_rule(name: str, config_file: Path | None, token: str | None, json_output: bool) -> None:
    """Remove a rule that was made at run time.

    \b
    Examples:
      otel-cost budgets rules delete per-customer
    """
    answer = Api(config_file, token).send("DELETE", "budgets", "rules", name)
    click.echo(json.dumps(answer, indent=2) if json_output else f"deleted: {printable(name)}")
