"""The `otel-cost` command: one module per subcommand, loaded when it is asked for.

Exit codes: 0 done; 1 the work failed (the reason is on stderr); 2 the call was wrong (unknown option, bad config,
bad input file); 130 interrupted.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from otel_cost import __version__

EXIT_INTERRUPTED = 130
"""What a shell reports of a process that Ctrl-C ended: 128 and the number of the signal."""

COMMANDS = {
    "collect": "receive spans, price them, keep them; until Ctrl-C",
    "report": "cost by run, agent, provider, model, customer or any attribute",
    "trace": "one trace as a tree: self and inclusive cost, a receipt per call",
    "compare": "what the same usage would cost on other models",
    "reconcile": "the ledger beside a provider's bill, and why they differ",
    "plans": "fees of flat plans, shared out among those who used them",
    "projections": "what today, this week, this month will come to; when budgets are hit",
    "anomalies": "days that cost more than they should have, and why",
    "budgets": "what budgets have left; what rules would do to past calls",
    "price": "price one call, or many from a file, without a collector",
    "prices": "the prices that calls are billed by: show, update, compare",
    "reprice": "price stored calls again: what would change, do it, undo it",
    "import": "load OTLP files into the ledger; needs no running collector",
    "sql": "query the ledger, read-only",
    "token": "a secret for the config's tokens, and its digest",
    "status": "how the running collector is doing",
    "demo": "fill a ledger with made-up history, to look around in",
    "doctor": "check a ledger, or an app's model calls, and explain what is found",
}


class _LazyGroup(click.Group):
    """Subcommands by name; importing one does not import the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"collector.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a mistyped name is told the nearest one."""
        near = get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Ctrl-C ends a command with its own exit code, without a traceback; click alone would say 1, as for a failure.

        A command that has something to finish or to say handles it first.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise SystemExit(EXIT_INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-cost")
def main() -> None:
    """What did each AI call, agent and pipeline run cost, and who pays.

    \b
    Examples:
      otel-cost collect                          # OTLP on 4317 and 4318, ledger in ./otel-cost.duckdb
      otel-cost report --by agent --since 7d
      otel-cost sql "SELECT * FROM daily"
      otel-cost price --provider openai --model gpt-4o --usage '{"input_tokens": 1000, "output_tokens": 50}'
    """
