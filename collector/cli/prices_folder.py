"""Which card versions a `prices` command is about, and how a card is named on the command line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click

from collector.catalogue.errors import CatalogueError
from collector.catalogue.shelf import newest_card, open_card, user_folder
from collector.cli.ledger import DEFAULT_LEDGER
from collector.cli.pricing_input import InputError, at_from
from collector.store.layout import Layout
from otel_cost.pricing import RateCard, default_card

NEWEST, SHIPPED = "newest", "shipped"

card_option = click.option(
    "--card", "card_name", default=NEWEST, show_default=True, help="newest, shipped, a digest or a day."
)
"""Takes what `card_named` reads."""


def folder_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--ledger` and `--folder`, which all `prices` commands share."""
    folder = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"A folder of card versions instead of a ledger's.  [default: {_shown(user_folder())} without a ledger]",
    )
    ledger = click.option(
        "--ledger",
        "--db",
        "ledger",
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"The ledger whose card versions are meant.  [default: {DEFAULT_LEDGER} if it is there]",
    )
    return ledger(folder(function))


def prices_folder(ledger: Path | None, folder: Path | None) -> Path:
    """The folder of card versions that the options mean; it need not exist.

    Raises:
        click.UsageError: both are given, or there is no such ledger.
    """
    if folder is not None:
        if ledger is not None:
            raise click.UsageError("--folder and --ledger exclude each other")
        return folder
    layout = Layout.of(ledger or Path(DEFAULT_LEDGER))
    if layout.folder.is_dir():
        return layout.prices
    if ledger is not None:
        raise click.UsageError(f"there is no ledger at {ledger} (no {layout.folder.name} beside it)")
    return user_folder()


def card_named(folder: Path, name: str) -> RateCard:
    """`newest`, `shipped`, a digest (or its beginning), or a day: the newest version made until then.

    Raises:
        click.ClickException: there is no such version, or it is damaged.
    """
    if name == NEWEST:
        return newest_card(folder)
    if name == SHIPPED:
        return default_card()
    try:
        wanted: str | date = date.fromisoformat(name) if len(name) == len("2026-01-01") and "-" in name else name
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}; a card is named by {NEWEST}, {SHIPPED}, a day or a digest") from None
    try:
        return open_card(folder, wanted)
    except CatalogueError as error:
        raise click.ClickException(str(error)) from None


def _shown(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def moment_ns(at: str | None) -> int:
    """What `--at` says, in nanoseconds since the epoch; now without it.

    Raises:
        click.UsageError: it is no ISO date or time.
    """
    try:
        return at_from(at)
    except InputError as error:
        raise click.UsageError(f"--{error}") from error
