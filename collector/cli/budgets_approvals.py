"""`otel-cost budgets approvals`, `approve` and `deny`: requests to raise a limit, asked and decided by the API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from collector.cli.budgets_api import Api, api_options
from collector.cli.table import Column, console, print_table, printable

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(USD|tokens|calls)")


@click.command(name="approvals", short_help="requests to raise a limit")
@click.option("--state", default="open", show_default=True, metavar="STATE", help="open, approved, denied or expired.")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
def approvals(state: str, config_file: Path | None, token: str | None, json_output: bool) -> None:
    """Requests to raise a limit, the newest first, from the running collector.

    \b
    Examples:
      otel-cost budgets approvals
      otel-cost budgets approvals --state approved --json

    \b
    Exit codes:
      0  done, also when there are none
      1  no collector answers
      2  a wrong option
    """
    answer = Api(config_file, token).get("approvals", query=f"state={state}")
    if json_output:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    listed = answer["approvals"]
    if not listed:
        console().print(Text(f"No {state} requests."))
        return
    columns = [
        Column(key, [_cell(each, key) for each in listed], left=True, rank=rank, least=8)
        for rank, key in enumerate(_keys(listed))
    ]
    print_table(console(), columns)


def _keys(listed: list[dict[str, Any]]) -> list[str]:
    """Fields that hold one value, in the API's order."""
    return [key for key, value in listed[0].items() if not isinstance(value, dict | list)]


def _cell(each: dict[str, Any], key: str) -> str:
    value = each.get(key)
    return "-" if value is None else printable(str(value))


@click.command(name="approve", short_help="raise a limit for a while")
@click.argument("ticket")
@click.option("--raise", "amount", required=True, metavar="AMOUNT", help="By how much: 5USD, 100000tokens, 50calls.")
@click.option("--for", "length", metavar="DURATION", help="For how long: 2h, 1d.  [default: until the window ends]")
@click.option("--note", default="", metavar="TEXT", help="Why; kept with the decision.")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
def approve(
    ticket: str,
    amount: str,
    length: str | None,
    note: str,
    config_file: Path | None,
    token: str | None,
    json_output: bool,
) -> None:
    """Raise the limit that a ticket asks for, for a while. Who decided, and why, is kept.

    \b
    Examples:
      otel-cost budgets approve t-7Kq2 --raise 5USD --for 2h --note "launch day"

    \b
    Exit codes:
      0  done
      1  no collector answers, there is no such ticket, or it is decided already
      2  a wrong option, or more than the rule allows
    """
    match = _AMOUNT.fullmatch(amount.strip())
    if match is None:
        raise click.BadParameter(f"{amount!r} is no amount such as 5USD, 100000tokens or 50calls", param_hint="--raise")
    number = match.group(1)
    if match.group(2) != "USD" and "." in number:
        raise click.BadParameter(f"{match.group(2)} are whole numbers", param_hint="--raise")
    body: dict[str, Any] = {"raise": number if match.group(2) == "USD" else int(number), "note": note}
    if length is not None:
        body["expires_in"] = length
    api = Api(config_file, token)
    _check_unit(api, ticket, match.group(2))
    _tell(api.send("POST", "approvals", ticket, "approve", body=body), "approved", ticket, json_output)


def _check_unit(api: Api, ticket: str, unit: str) -> None:
    """5 USD must not become 5 tokens."""
    for each in api.get("approvals")["approvals"]:
        if each.get("ticket") == ticket and each.get("unit", unit) != unit:
            raise click.BadParameter(f"the limit is of {each['unit']}, not of {unit}", param_hint="--raise")


@click.command(name="deny", short_help="refuse to raise a limit")
@click.argument("ticket")
@click.option("--note", default="", metavar="TEXT", help="Why; kept with the decision.")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
def deny(ticket: str, note: str, config_file: Path | None, token: str | None, json_output: bool) -> None:
    """Refuse what a ticket asks for.

    \b
    Examples:
      otel-cost budgets deny t-7Kq2 --note "ask again next week"

    \b
    Exit codes:
      0  done
      1  no collector answers, there is no such ticket, or it is decided already
      2  a wrong option
    """
    answer = Api(config_file, token).send("POST", "approvals", ticket, "deny", body={"note": note})
    _tell(answer, "denied", ticket, json_output)


def _tell(answer: Any, what: str, ticket: str, json_output: bool) -> None:
    if json_output:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{printable(ticket)}: {what}")
