"""`otel-cost status`: how the running collector is doing, from its own pages and the published file."""

from __future__ import annotations

import http.client
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from collector.cli.prometheus_text import Samples, parse, quantile
from collector.cli.table import console, printable
from collector.config import Config, ConfigError, Endpoint, load

_TIMEOUT_SECONDS = 3.0
_WATCH_SECONDS = 2.0
EXIT_NOT_RUNNING, EXIT_WRONG = 1, 2

_HELP = """
Show how the running collector is doing: what it took and refused, what waits, how long a commit takes, how old the
published file is. The config says where its metrics and health pages are.

\b
Examples:
  otel-cost status
  otel-cost status --config otel-collector-config.yaml
  otel-cost status --watch
  otel-cost status --json

\b
Exit codes:
  0  a collector runs and takes spans
  1  none answers, or it does not take spans now
  2  the config is wrong
"""


@click.command(help=_HELP)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="The config that the collector runs with."
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; with --watch one per line.")
@click.option("--watch", is_flag=True, help="Again every two seconds, until Ctrl-C.")
def command(config_file: Path | None, json_output: bool, watch: bool) -> None:
    try:
        config = load(config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)
    before: dict[str, Any] | None = None
    while True:
        found = look(config)
        _say(found, before, json_output, watch)
        if not watch:
            sys.exit(0 if found["takes_spans"] else EXIT_NOT_RUNNING)
        before = found
        time.sleep(_WATCH_SECONDS)


def look(config: Config) -> dict[str, Any]:
    """What the collector says of itself now. What it does not say is None."""
    health = _get(config.health_check, "/")
    metrics = _get(config.prometheus, "/metrics")
    samples = parse(metrics[1]) if metrics and metrics[0] == http.client.OK else Samples({})
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "running": bool(health or metrics),
        "takes_spans": health[0] == http.client.OK if health else bool(metrics),
        "ledger_held_by": _holder(config),
        "health": _health(config, health),
        "accepted_requests": samples.total("otel_cost_requests_accepted_total"),
        "accepted_spans": samples.total("otel_cost_spans_stored_total"),
        "duplicate_spans": samples.total("otel_cost_spans_duplicate_total"),
        "changed_spans": samples.total("otel_cost_spans_changed_total"),
        "rejected_spans": samples.total("otel_cost_spans_rejected_total"),
        "refused_requests": samples.by_label("otel_cost_requests_refused_total", "reason"),
        "dropped_attributes": samples.total("otel_cost_attributes_dropped_total"),
        "truncated_attributes": samples.total("otel_cost_attributes_truncated_total"),
        "calls": samples.by_label("otel_cost_call_spans_total", "status"),
        "queue_requests": samples.total("otel_cost_queue_requests"),
        "queue_bytes": samples.total("otel_cost_queue_bytes"),
        "queue_limit_bytes": samples.total("otel_cost_queue_limit_bytes"),
        "unapplied_bytes": samples.total("otel_cost_unapplied_bytes"),
        "lag_seconds": samples.total("otel_cost_apply_lag_seconds"),
        "quarantined_requests": samples.total("otel_cost_quarantined_requests"),
        "seconds": {
            name: _times(samples, f"otel_cost_{name}_seconds")
            for name in ("request", "journal", "apply", "commit", "publish")
        },
        "batch_spans": _times(samples, "otel_cost_commit_spans"),
        "memory_bytes": samples.total("process_resident_memory_bytes"),
        "disk_bytes": _disk(config),
        "forward": _forward(samples),
        "published": _published(config),
    }


def _get(endpoint: Endpoint | None, path: str) -> tuple[int, str] | None:
    """Status and body of a page; None when nobody answers."""
    if endpoint is None:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)
    connection = http.client.HTTPConnection(host, endpoint.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _health(config: Config, answer: tuple[int, str] | None) -> str:
    if answer is None:
        return "no answer" if config.health_check else "not configured"
    try:
        return str(json.loads(answer[1])["status"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer[0]}"


def _times(samples: Samples, name: str) -> dict[str, float] | None:
    """Count, mean and quantiles of a histogram since the start; None while it is empty."""
    count, total = samples.total(f"{name}_count"), samples.total(f"{name}_sum")
    if not count or total is None:
        return None
    found = {"count": count, "mean": total / count}
    return found | {f"p{share}": quantile(samples, name, share / 100) for share in (50, 99)}


def _forward(samples: Samples) -> dict[str, dict[str, float]]:
    """Exporter -> what became of its spans, and what waits."""
    found: dict[str, dict[str, float]] = {}
    for name in ("forwarded_spans_total", "forward_failed_spans_total", "forward_dropped_spans_total",
                 "forward_retries_total", "forward_queue_bytes"):  # fmt: skip
        for exporter, value in samples.by_label(f"otel_cost_{name}", "exporter").items():
            found.setdefault(exporter, {})[name.removesuffix("_total").removeprefix("forward_")] = value
    return found


def _disk(config: Config) -> dict[str, int] | None:
    """Bytes of the ledger by part; None where it is not on this machine."""
    from dataclasses import asdict

    from collector.store.inspect import space
    from collector.store.layout import Layout

    try:
        return asdict(space(Layout.of(config.store.path)))
    except OSError:
        return None


def _holder(config: Config) -> str | None:
    """The process that has the ledger of the config, which may be a collector with other addresses."""
    from collector.store.layout import Layout
    from collector.store.lock import InstanceLock

    return InstanceLock(Layout.of(config.store.path).lock).holder()


def _published(config: Config) -> dict[str, Any] | None:
    """How fresh the published file is; None where there is none, or it cannot be read."""
    from collector.store.published import freshness

    return freshness(config.store.path)


def _say(found: dict[str, Any], before: dict[str, Any] | None, json_output: bool, watch: bool) -> None:
    if json_output:
        click.echo(json.dumps(found, indent=None if watch else 2))
        return
    if watch:
        click.clear()
    out = console()
    for line in describe(found, before):
        out.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def describe(found: dict[str, Any], before: dict[str, Any] | None = None) -> list[str]:
    """The same for people; with the state `before`, rates too."""
    if not found["running"]:
        lines = [_silence(found["ledger_held_by"])]
    else:
        lines = [f"collector    {found['health']}", *_running(found, before)]
    if published := found["published"]:
        lines.append(
            f"published    {published['age_seconds']:,.0f} s ago: {published['spans']:,} spans, "
            f"{published['unpriced_calls']:,} of {published['calls']:,} calls without a price"
        )
    else:
        lines.append("published    no ledger at the path of the config")
    if disk := found["disk_bytes"]:
        lines.append(
            "disk         " + ", ".join(f"{name[:-6]} {value / 2**20:,.1f} MiB" for name, value in disk.items())
        )
    return lines


def _silence(holder: str | None) -> str:
    if holder is None:
        return "no collector answers here; start one with: otel-cost collect   (or name its --config)"
    where = "does not answer at the addresses of this config"
    return f"a collector has this ledger ({holder}) and {where}; name its --config"


def _running(found: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    refused = _pairs(found["refused_requests"]) or "none"
    lines = [
        f"accepted     {_n(found['accepted_requests'])} requests, {_n(found['accepted_spans'])} spans"
        + _rate(found, before),
        f"refused      {refused}; {_n(found['rejected_spans'])} spans in partial successes",
        f"duplicates   {_n(found['duplicate_spans'])} spans, {_n(found['changed_spans'])} of them with other content",
        f"attributes   {_n(found['dropped_attributes'])} dropped, {_n(found['truncated_attributes'])} cut",
        f"calls        {_pairs(found['calls']) or 'none'}",
        f"waiting      {_n(found['queue_requests'])} requests, {_mib(found['queue_bytes'])} of "
        f"{_mib(found['queue_limit_bytes'])}; acknowledged and not applied {_mib(found['unapplied_bytes'])}, "
        f"lag {_seconds(found['lag_seconds'])}",
    ]
    for name, times in found["seconds"].items():
        if times:
            lines.append(
                f"{name:<12} p50 {_seconds(times['p50'])}, p99 {_seconds(times['p99'])}, {_n(times['count'])} times"
            )
    if batch := found["batch_spans"]:
        lines.append(f"batch        {batch['mean']:,.0f} spans on average")
    if found["quarantined_requests"]:
        lines.append(
            f"quarantine   {_n(found['quarantined_requests'])} requests could not be digested: otel-cost doctor"
        )
    for exporter, counts in found["forward"].items():
        lines.append(f"forward      {exporter}: {_pairs(counts)}")
    return lines


def _rate(found: dict[str, Any], before: dict[str, Any] | None) -> str:
    if before is None or found["accepted_spans"] is None or before["accepted_spans"] is None:
        return ""
    passed = datetime.fromisoformat(found["at"]) - datetime.fromisoformat(before["at"])
    per_second = (found["accepted_spans"] - before["accepted_spans"]) / max(passed.total_seconds(), 0.001)
    return f", {max(per_second, 0):,.0f} spans/s"


def _pairs(counts: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in counts.items() if value)


def _n(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _mib(value: float | None) -> str:
    return "?" if value is None else f"{value / 2**20:,.1f} MiB"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.1f} s"
