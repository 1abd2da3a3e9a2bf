"""`otel-cost budgets check`: ask the running collector whether a call may be made."""

from __future__ import annotations

import json
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from collector.cli.budgets_api import Api, api_options
from collector.cli.report import CALL_DIMENSIONS
from collector.cli.table import console, printable
from otel_cost.call import DIMENSIONS

EXIT_REFUSED = 3
_OWNERS = tuple(name for name in DIMENSIONS if name in CALL_DIMENSIONS)


def _usd(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Checked and passed on as it is: money is no float."""
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{text!r} is no amount of dollars such as 0.05")
    return f"{amount:f}"


def _attributes(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in given)
    for key, value in pairs.items():
        if not key or not value:
            raise click.BadParameter("must be KEY=VALUE, such as deployment.region=eu")
    return pairs


def _owner_options(function: Any) -> Any:
    for name in reversed(_OWNERS):
        function = click.option(f"--{name}", name, metavar="VALUE", help=f"The {name} of the call.")(function)
    return function


@click.command(name="check", short_help="ask the running collector whether a call may be made")
@_owner_options
@click.option("--attribute", "attributes", multiple=True, callback=_attributes, metavar="KEY=VALUE",
              help="An attribute of the call's span; repeat for several.")  # fmt: skip
@click.option("--org", metavar="ORG", help="The organization.  [default: the collector's]")
@click.option("--provider", metavar="PROVIDER", help="As on spans: openai, anthropic, ...")
@click.option("--model", metavar="MODEL", help="As the request will name it.")
@click.option("--usd", callback=_usd, metavar="USD", help="What the call costs at most.  [default: not known]")
@click.option("--tokens", type=click.IntRange(0), default=0, help="Tokens that it takes at most.")
@api_options
@click.option("--json", "json_output", is_flag=True, help="The API's answer.")
def command(
    attributes: dict[str, str],
    org: str | None,
    provider: str | None,
    model: str | None,
    usd: str | None,
    tokens: int,
    config_file: Path | None,
    token: str | None,
    json_output: bool,
    **owners: str | None,
) -> None:
    """Whether the budgets of now would let a call through. Nothing is reserved or changed.

    \b
    Examples:
      otel-cost budgets check --customer acme --model gpt-4o --usd 0.05
      otel-cost budgets check --agent planner --tokens 8000 --json

    \b
    Exit codes:
      0  it would be let through
      1  no collector answers
      2  a wrong option
      3  it would not, or only otherwise: with another model, after a wait or an approval
    """
    body: dict[str, Any] = {
        "owners": {name: value for name, value in owners.items() if value is not None},
        "estimate": {"usd": usd, "tokens": tokens},
    }
    if attributes:
        body["attributes"] = attributes
    body |= {key: value for key, value in (("org", org), ("provider", provider), ("model", model)) if value is not None}
    answer = Api(config_file, token).send("POST", "budgets", "check", body=body)
    if json_output:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        console().print(Text(printable(sentence(answer))), soft_wrap=True)
    sys.exit(0 if answer["decision"] == "allow" else EXIT_REFUSED)


def sentence(answer: dict[str, Any]) -> str:
    """The answer in words."""
    refusal = answer.get("refusal")
    if not refusal:
        return "allowed"
    decision = {
        "block": "blocked",
        "approval": "needs approval",
        "throttle": "must wait",
        "cheaper_model": f"only with {refusal['model']}",
    }[answer["decision"]]
    unit = refusal["unit"]
    spent, limit, leased = (_amount(refusal[name], unit) for name in ("spent", "limit", "leased"))
    parts = [f"{decision}: {refusal['rule']} of {refusal['scope_value']}: {spent} spent and {leased} leased of {limit}"]
    if refusal["ticket"]:
        parts.append(f"ticket {refusal['ticket']}")
    if refusal["retry_after_seconds"] is not None:
        parts.append(f"again in {refusal['retry_after_seconds']:.1f} s")
    if refusal["resets_at"]:
        parts.append(f"begins anew at {refusal['resets_at']}")
    return "; ".join(parts)


def _amount(amount: str | int, unit: str) -> str:
    return f"${amount}" if unit == "USD" else f"{amount:,} {unit}"
