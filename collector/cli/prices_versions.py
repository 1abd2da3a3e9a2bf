"""`otel-cost prices versions`: the card versions that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from collector.catalogue.errors import CardDamaged
from collector.catalogue.shelf import cards, open_any
from collector.catalogue.version import CardVersion
from collector.cli.prices_folder import folder_options, prices_folder
from collector.cli.table import Column, console, print_table

_HELP = """
The card versions that are kept, oldest first. The newest that is not damaged prices new spans.

\b
Examples:
  otel-cost prices versions
  otel-cost prices versions --ledger prod.duckdb --json
"""


@click.command(name="versions", help=_HELP)
@folder_options
@click.option("--json", "json_output", is_flag=True, help="A list of objects.")
def command(ledger: Path | None, folder: Path | None, json_output: bool) -> None:
    found = [_described(version) for version in cards(prices_folder(ledger, folder))]
    usable = [each for each in found if each["problem"] is None]
    for each in found:
        each["prices_new_spans"] = bool(usable) and each is usable[-1]
    if json_output:
        click.echo(json.dumps(found, indent=1))
        return
    print_table(
        console(),
        [
            Column("card", [each["card"] for each in found], left=True, least=12),
            Column("made", [each["made_at"][:16].replace("T", " ") for each in found], left=True, least=10),
            Column("", [_state(each) for each in found], left=True, least=8),
            Column("genai-prices", [each["sources"].get("genai-prices", "-") for each in found], rank=1, left=True),
            Column("litellm", [each["sources"].get("litellm", "-") for each in found], rank=2, left=True),
        ],
    )
    for each in found:
        if each["problem"]:
            click.echo(each["problem"], err=True)


def _described(version: CardVersion) -> dict[str, Any]:
    problem, sources = None, {}
    try:
        sources = dict(open_any([version]).index.get("sources", {}))
    except CardDamaged as error:
        problem = str(error)
    return {
        "card": version.digest,
        "made_at": version.made_at.isoformat(),
        "path": None if version.path is None else str(version.path),
        "sources": sources,
        "problem": problem,
    }


def _state(each: dict[str, Any]) -> str:
    if each["problem"]:
        return "damaged"
    return "newest" if each["prices_new_spans"] else "-"
