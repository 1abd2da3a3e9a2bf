"""`otel-cost collect`: run the collector until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import collector.allocator  # noqa: F401  # before Arrow is loaded
from collector.cli import EXIT_INTERRUPTED
from collector.config import Config, ConfigError, Endpoint, load

if TYPE_CHECKING:
    from collector.receive.config import ReceiverConfig
    from collector.serve.api.config import ApiConfig
    from collector.service import Addresses

_SEND, _PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
_TOKEN = "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN"
EXIT_FAILED, EXIT_WRONG = 1, 2

_HELP = """
Receive OTLP spans, price every model call, keep them in a DuckDB ledger; until Ctrl-C.

Without --config everything has its default: OTLP on 127.0.0.1:4317 (gRPC) and 127.0.0.1:4318 (HTTP), the ledger in
./otel-cost.duckdb, metrics on 127.0.0.1:9464/metrics, health on 127.0.0.1:13133. The first Ctrl-C stores and answers
what waits, then stops; the second one stops at once.

\b
Examples:
  otel-cost collect
  otel-cost collect --config otel-collector-config.yaml
  otel-cost collect --config otel-collector-config.yaml --check-config
  otel-cost collect --config docker.yaml --allow-unauthenticated   # reachable from other machines

\b
Exit codes:
  0  stopped when told to, everything stored; or the config is valid
  1  could not start (address or ledger in use), or could not store everything at shutdown
  2  the config is wrong; every problem is printed
"""


@click.command(help=_HELP)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Config file; see docs/config.md.")
@click.option("--check-config", is_flag=True, help="Say whether the config is valid, and do nothing else.")
@click.option(
    "--allow-unauthenticated",
    is_flag=True,
    envvar="OTEL_COST_ALLOW_UNAUTHENTICATED",
    help="Listen on addresses that other machines can reach, although anybody there may then send spans.",
)
def command(config_file: Path | None, check_config: bool, allow_unauthenticated: bool) -> None:
    config = _checked(config_file, allow_unauthenticated)
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
    if check_config:
        click.echo(f"{config_file or 'the default config'}: valid")
        return
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(_run(config))


def _checked(config_file: Path | None, allow_unauthenticated: bool) -> Config:
    """The config, or an exit with every problem."""
    try:
        config = load(config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)
    exposed = [] if allow_unauthenticated else config.exposed()
    for path, endpoint in exposed:
        click.echo(
            f"{config_file}: {path}: other machines can reach {endpoint}, and nothing there asks who they are; "
            "use 127.0.0.1, ask for tokens (docs/auth.md), or say --allow-unauthenticated where the network is trusted",
            err=True,
        )
    if exposed:
        sys.exit(EXIT_WRONG)
    return config


def _run(config: Config) -> int:
    """Run the service on an event loop of its own; the exit code."""
    from collector.errors import CollectorError

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(config))
    except CollectorError as error:
        click.echo(f"otel-cost: cannot start: {error}", err=True)
        return EXIT_FAILED


async def _serve(config: Config) -> int:
    from collector.service import Service

    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop_or_end, told_to_stop)
    service = Service(config)
    addresses = await service.start()
    click.echo(greeting(config, addresses))
    await told_to_stop.wait()
    click.echo("stopping: storing what waits (again to end at once)", err=True)
    return 0 if await service.stop() else EXIT_FAILED


def _stop_or_end(told_to_stop: asyncio.Event) -> None:
    if told_to_stop.is_set():
        os._exit(EXIT_INTERRUPTED)  # what was acknowledged is on disk; everything else is sent again
    told_to_stop.set()


def greeting(config: Config, addresses: Addresses) -> str:
    """What a person needs to know next: where to send, where the numbers are."""
    lines = ["otel-cost is collecting."]
    if addresses.api is not None:
        lines.append(f"  page     {_url(addresses.api, config.api)}/")
    elif config.api is not None:
        lines.append(f"  page     none: {config.api.endpoint} is taken; another collector? (extensions.api.endpoint)")
    if addresses.http is not None:
        lines.append(f"  send     export {_SEND}={_url(addresses.http, config.http)} {_PROTOCOL}=http/protobuf")
    if addresses.grpc is not None:
        word = "or      " if addresses.http else "send    "
        lines.append(f"  {word} export {_SEND}={_url(addresses.grpc, config.grpc)} {_PROTOCOL}=grpc")
    if config.senders.tokens and (addresses.http is not None or addresses.grpc is not None):
        lines.append(f"  with     export {_TOKEN}   (TOKEN: one of receivers.otlp.auth.tokens)")
    lines.append(f"  ledger   {config.store.path.absolute()}  (open it read-only with any DuckDB client)")
    database = "" if config.store.path == Config().store.path else f" --db {shlex.quote(str(config.store.path))}"
    lines.append(f'  ask      otel-cost report{database}   otel-cost sql{database} "SELECT * FROM daily"')
    if addresses.prometheus is not None:
        lines.append(f"  metrics  {_url(addresses.prometheus)}/metrics")
    if addresses.api is not None:
        lines.append(f"  api      {_url(addresses.api, config.api)}/api/v1")
    if addresses.health_check is not None:
        lines.append(f"  health   {_url(addresses.health_check)}/")
    return "\n".join(lines)


def _url(endpoint: Endpoint, listens: ReceiverConfig | ApiConfig | None = None) -> str:
    """How an app on this machine reaches an endpoint."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)
    scheme = "https" if listens is not None and listens.tls is not None else "http"
    return f"{scheme}://{Endpoint(host, endpoint.port)}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists; it halves the time of a small HTTP request."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
