"""`otel-cost budgets`: what budgets have left, and what rules would do; one module per subcommand."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = {
    "list": "every budget as it is now, or was at a time",
    "show": "one budget: its rule in words, its counters and events",
    "check": "ask the running collector whether a call may be made",
    "verify": "count all budgets again from the calls, and compare",
    "simulate": "what proposed rules would have done to past calls",
    "events": "thresholds that were crossed, and decisions",
    "approvals": "requests to raise a limit",
    "approve": "raise a limit for a while",
    "deny": "refuse to raise a limit",
    "rules": "rules of the running collector: list, set, delete",
}
DEFAULT = "list"
_MODULES = {"approvals": "approvals", "approve": "approvals", "deny": "approvals"}


class _LazySubcommands(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a subcommand, or with options only, it is the list."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h")):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module = import_module(f"collector.cli.budgets_{_MODULES.get(cmd_name, cmd_name)}")
        found: click.Command = getattr(module, cmd_name if cmd_name in _MODULES else "command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.command(name="budgets", cls=_LazySubcommands)
def command() -> None:
    """What budgets have left, what happened to them, and what rules would do. Without a subcommand: list.

    list, show, events, verify and simulate read the ledger, also while no collector runs. check, approvals, approve,
    deny and rules ask the running collector.

    \b
    Examples:
      otel-cost budgets
      otel-cost budgets show per-customer
      otel-cost budgets check --customer acme --model gpt-4o --usd 0.05
      otel-cost budgets verify
      otel-cost budgets simulate --rules proposed.yaml --since 90d

    \b
    Exit codes:
      0  done
      1  it could not be done; verify: differences were found
      2  a wrong option, or rules that are wrong
      3  check: the call would be refused
    """
