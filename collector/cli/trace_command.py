"""`otel-cost trace`: one trace as a tree, with a receipt per call."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from collector.cli.held_cards import HeldCards, overrides_of
from collector.cli.ledger import Ledger, db_option
from collector.cli.table import console
from collector.cli.trace_output import as_json, print_trace
from collector.questions.selection import Selection, Window
from collector.questions.tree import Trace, receipt
from collector.questions.tree import trace as one_trace
from collector.store.statements import query as statement

EVERYTHING = Selection(None, Window(None, None, ZoneInfo("UTC")))
LATEST = "latest"
CANDIDATES = 5
_PREFIX = re.compile(r"[0-9a-f]{1,32}")


@click.command(name="trace", short_help="one trace as a tree: self and inclusive cost, a receipt per call")
@click.argument("trace_id")
@db_option
@click.option("--receipts/--no-receipts", default=True, help="What each call's price is made of.  [default: shown]")
@click.option("--all", "everything", is_flag=True, help="Also spans that have no model call below them.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The collector's config, whose contract prices receipts are made of (processors.cost).",
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    trace_id: str, db: Path, receipts: bool, everything: bool, config_file: Path | None, json_output: bool
) -> None:
    """The spans of one trace with what each cost by itself and with everything below it.

    TRACE_ID is a trace id, the beginning of one, or `latest`: the trace of the most recent call.

    Retries, spans that report a call once more, and wrappers that repeat what their calls used are marked; none of
    them is counted twice. A receipt lists each class of tokens, its rate and its amount.

    \b
    Examples:
      otel-cost trace latest
      otel-cost trace 4bf92f35
      otel-cost trace 4bf92f3577b34da6a3ce929d0e0e4736 --no-receipts
      otel-cost trace latest --json

    \b
    Exit codes:
      0  done
      1  no such trace, or several; there is no ledger, or it cannot be read
      2  not a trace id, or a wrong option
    """
    ledger = Ledger(db)
    found = _resolve(ledger, trace_id)
    trace = one_trace(ledger, EVERYTHING, found, sys.maxsize) or Trace(found, ())
    held = HeldCards(db, overrides_of(config_file))
    spans = [node.span for node in trace.nodes() if receipts and node.span.counted]
    derived = {span.span_id: receipt(span, held.card(span.card)) for span in spans}
    if json_output:
        click.echo(json.dumps(as_json(trace, derived, ledger.as_of()), indent=2, ensure_ascii=False))
    else:
        print_trace(console(), trace, derived, everything=everything)


def _resolve(ledger: Ledger, text: str) -> str:
    """The one trace that is meant.

    Raises:
        click.BadParameter: no id (exit code 2).
        click.ClickException: no such trace, or several (exit code 1).
    """
    if text == LATEST:
        found = ledger(statement("trace_latest"), {}).column("trace_id").to_pylist()
        if not found:
            raise click.ClickException(f"{ledger.path} holds no model calls yet")
        return str(found[0])
    prefix = text.lower().removeprefix("0x")
    if not _PREFIX.fullmatch(prefix):
        raise click.BadParameter(f"{text!r} is not a trace id: 32 hex digits, or the first few of them")
    parameters = {"prefix": prefix, "limit": CANDIDATES}
    candidates = ledger(statement("trace_find"), parameters).column("trace_id").to_pylist()
    if not candidates:
        raise click.ClickException(f"no trace in {ledger.path} begins with {prefix}")
    if len(candidates) > 1:
        listed = "\n".join(f"  {candidate}" for candidate in candidates)
        raise click.ClickException(f"several traces begin with {prefix}, most recent first:\n{listed}")
    return str(candidates[0])
