"""The rate card behind a stored price, by the digest that the price names."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from collector.catalogue.errors import CatalogueError
from collector.catalogue.shelf import cards as versions
from collector.catalogue.shelf import open_card
from collector.config import Config, ConfigError, load
from collector.store.layout import Layout
from otel_cost.pricing import RateCard, default_card
from otel_cost.pricing.overrides import Cards, Overrides

EXIT_BAD_CONFIG = 2


def overrides_of(config_file: Path | None) -> Overrides:
    """The overrides of a config file; exit code 2 with every problem of a wrong one."""
    return config_of(config_file).overrides


def config_of(config_file: Path | None) -> Config:
    """A config file, the defaults without one; exit code 2 with every problem of a wrong one."""
    try:
        return load(config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_BAD_CONFIG)


class HeldCards:
    """Cards by digest: the versions that a ledger has used, and the same under overrides."""

    def __init__(self, ledger: Path, overrides: Overrides) -> None:
        self._folder = Layout.of(ledger).prices
        self._overrides = overrides
        self._found: dict[str | None, RateCard] = {}

    def card(self, digest: str | None) -> RateCard:
        """The card of that digest; the shipped one where none is held, whose rows may well be the same."""
        found = self._found.get(digest)
        if found is None:
            found = self._found[digest] = self._find(digest) or default_card()
        return found

    def _find(self, digest: str | None) -> RateCard | None:
        for version in reversed(versions(self._folder)):
            try:
                base = open_card(self._folder, version.digest)
            except CatalogueError:
                continue  # damaged: `otel-cost prices` says so
            if (card := Cards(base, self._overrides).find(digest)) is not None:
                return card
        return None
