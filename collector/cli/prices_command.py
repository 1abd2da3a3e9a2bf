"""`otel-cost prices`: the prices that calls are billed by; one module per subcommand, loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = {
    "show": "the dated prices of a model, and where they come from",
    "list": "models with their current prices",
    "update": "make a new card version from newer price catalogues",
    "versions": "the card versions that are kept",
    "diff": "what changed between two card versions, and what it does to your spend",
}


class _LazySubcommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        found: click.Command = import_module(f"collector.cli.prices_{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.command(name="prices", cls=_LazySubcommands)
def command() -> None:
    """The prices that calls are billed by.

    A rate card is made of price catalogues and corrections, each with its source. Every card is kept as a version with
    a date and a digest; a new one never changes or removes an older one. A ledger has its own versions (--ledger);
    without one they are kept in your data folder.

    \b
    Examples:
      otel-cost prices show gpt-4o
      otel-cost prices update
      otel-cost prices versions
      otel-cost prices diff 2026-11-01 newest
    """
