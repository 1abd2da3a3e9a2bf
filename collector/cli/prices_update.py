"""`otel-cost prices update`: a new card version from newer catalogues."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from collector.catalogue.compare import Difference, compare
from collector.catalogue.config import GENAI_PRICES_URL, LITELLM_URL
from collector.catalogue.errors import CatalogueError
from collector.catalogue.shelf import open_any
from collector.catalogue.sources import INSTALLED, Catalogue, fetch, from_installed
from collector.catalogue.update import Updated, update
from collector.cli.prices_folder import folder_options, prices_folder

_HELP = f"""
Make a new card version from newer price catalogues, laid over the prices known so far.

A price that changed gets a row that begins now, or at the date that the catalogue says. Nothing is removed: models,
names and older prices stay, and every earlier version can be used again by its digest or day. Corrections that this
program ships go over the catalogues. A running collector takes the new version when it starts or refreshes the next
time.

\\b
Sources (--from, repeatable):
  URL or FILE   genai-prices' data.json or LiteLLM's model_prices_and_context_window.json, whichever it is
  installed     what an installed genai-prices or litellm package carries: no network
  [default]     {GENAI_PRICES_URL}
                {LITELLM_URL}

\\b
Examples:
  otel-cost prices update
  otel-cost prices update --from data.json          # offline
  otel-cost prices update --from installed
  otel-cost prices update --ledger prod.duckdb --json

\\b
Exit codes:
  0  done, also when nothing has changed
  1  a source cannot be fetched or understood, or the folder cannot be written; nothing was changed
  2  a wrong option
"""


@click.command(name="update", help=_HELP)
@click.option("--from", "sources", multiple=True, metavar="SOURCE", help="URL, file, or installed; repeat for several.")
@folder_options
@click.option("--json", "json_output", is_flag=True, help="One JSON object.")
def command(sources: tuple[str, ...], ledger: Path | None, folder: Path | None, json_output: bool) -> None:
    target = prices_folder(ledger, folder)
    try:
        catalogues = _catalogues(sources or (GENAI_PRICES_URL, LITELLM_URL))
        updated = update(target, catalogues, datetime.now(UTC))
        difference = (
            None if updated.version is None else compare(open_any([updated.before]), open_any([updated.version]))
        )
    except (CatalogueError, OSError) as error:
        raise click.ClickException(f"{error}\nNothing was changed.{_how_to_go_on(sources)}") from None
    if json_output:
        click.echo(json.dumps(_as_json(updated, difference), indent=2))
    else:
        click.echo(_sentence(updated, difference))


def _catalogues(sources: tuple[str, ...]) -> list[Catalogue]:
    found: list[Catalogue] = []
    for source in sources:
        found += from_installed() if source == INSTALLED else [fetch(source)]
    names = [catalogue.name for catalogue in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise click.UsageError(f"--from names {twice} twice; one source of a catalogue is enough")
    return found


def _how_to_go_on(sources: tuple[str, ...]) -> str:
    return "" if sources else " Without a network: otel-cost prices update --from FILE"


def _sentence(updated: Updated, difference: Difference | None) -> str:
    read = f"read {' and '.join(updated.origins)}"
    if updated.version is None or difference is None:
        return f"{read}: no price has changed; card {updated.before.digest} stays the newest"
    models = len(set(_places(difference)))
    return (
        f"{read}\ncard {updated.version.digest}: {len(difference.changes)} rates of {models} models changed, "
        f"{len(difference.added)} models added since {updated.before.digest}\n"
        f"see: otel-cost prices diff {updated.before.digest} {updated.version.digest}"
    )


def _places(difference: Difference) -> list[tuple[str, str]]:
    return [(change.provider, change.model) for change in difference.changes]


def _as_json(updated: Updated, difference: Difference | None) -> dict[str, Any]:
    return {
        "before": updated.before.digest,
        "card": (updated.version or updated.before).digest,
        "changed": updated.version is not None,
        "path": None if updated.version is None else str(updated.version.path),
        "sources": list(updated.origins),
        "models_added": 0 if difference is None else len(difference.added),
        "models_changed": 0 if difference is None else len(set(_places(difference))),
        "rates_changed": 0 if difference is None else len(difference.changes),
    }
