"""The whole collector: what runs when it is started, what is left when it stops."""

from __future__ import annotations

import asyncio
import http.client
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event

import duckdb
import pytest
from click.testing import CliRunner

from collector import telemetry as metrics
from collector.cli.collect_command import command, greeting
from collector.config import Config, Endpoint
from collector.decode import DecodeLimits
from collector.errors import CannotListen, StartupError
from collector.forward.config import ClientTls, ForwardConfig, RetryConfig
from collector.receive.config import ReceiverConfig
from collector.receive.senders import IngestToken
from collector.service import DRAIN_SECONDS, Addresses, Service
from collector.store import StoreConfig
from collector.store.query import query_published
from tests.collector.forward.targets import Received, grpc_target
from tests.crash.sender import GrpcTransport, HttpTransport, Sender, Transport
from tests.support.collector_process import CollectorProcess
from tests.support.plain_calls import plain_calls
from tests.support.ports import free_port

ANY = Endpoint("127.0.0.1", 0)


def config(tmp_path: Path) -> Config:
    """The defaults on ports that the system chooses."""
    return Config(
        grpc=ReceiverConfig("127.0.0.1", 0),
        http=ReceiverConfig("127.0.0.1", 0),
        store=StoreConfig(tmp_path / "costs.duckdb", publish_interval_seconds=0.2),
        prometheus=ANY,
        health_check=ANY,
    )


@asynccontextmanager
async def running(settings: Config) -> AsyncIterator[tuple[Service, Addresses]]:
    """A collector in this process."""
    service = Service(settings)
    addresses = await service.start()
    try:
        yield service, addresses
    finally:
        await service.stop()


def get(endpoint: Endpoint | None, path: str) -> tuple[int, str]:
    """Status and body of a page."""
    assert endpoint is not None
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def send(addresses: Addresses) -> dict[str, int]:
    """Send a request over each transport; the costs acknowledged, by span id."""
    assert addresses.grpc is not None
    assert addresses.http is not None
    costs = {}
    transports: list[Transport] = [GrpcTransport(addresses.grpc.port), HttpTransport(addresses.http.port)]
    for number, transport in enumerate(transports, 1):
        request, added = plain_calls(number)
        assert transport.send(request.SerializeToString()) == ""
        transport.close()
        costs.update(added)
    return costs


async def applied(service: Service) -> None:
    """Return when everything that was acknowledged is in the ledger."""
    deadline_seconds = time.monotonic() + 30
    while service.telemetry.value(metrics.UNAPPLIED_BYTES):
        assert time.monotonic() < deadline_seconds
        await asyncio.sleep(0.01)


def total_pico_usd(database: Path) -> int:
    """The published ledger's total."""
    answer = query_published(database, "SELECT CAST(sum(cost_usd) * 1000000000000 AS HUGEINT)::VARCHAR AS t FROM calls")
    return int(answer.column("t")[0].as_py())


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a scenario on an event loop of its own."""
    asyncio.run(scenario())


def test_spans_of_both_transports_are_in_the_file_after_a_stop(tmp_path: Path) -> None:
    """Acknowledged, stored, published; metrics and health say so while it runs."""
    settings = config(tmp_path)
    costs: dict[str, int] = {}

    async def scenario() -> None:
        async with running(settings) as (service, addresses):
            costs.update(await asyncio.to_thread(send, addresses))
            await applied(service)
            status, text = await asyncio.to_thread(get, addresses.prometheus, "/metrics")
            assert status == 200
            assert f"\notel_cost_spans_stored_total {len(costs)}\n" in text
            assert "\notel_cost_requests_accepted_total 2\n" in text
            assert (await asyncio.to_thread(get, addresses.health_check, "/"))[0] == 200
            assert (await asyncio.to_thread(get, addresses.prometheus, "/other"))[0] == 404

    run(scenario)
    assert total_pico_usd(settings.store.path) == sum(costs.values())


def test_the_published_file_follows_while_the_collector_runs(tmp_path: Path) -> None:
    """Nobody has to stop it to see what was spent."""
    settings = config(tmp_path)

    def published() -> int:
        with duckdb.connect(str(settings.store.path), read_only=True) as connection:
            return int(connection.execute("SELECT count(*) FROM calls").fetchall()[0][0])

    async def scenario() -> None:
        async with running(settings) as (_, addresses):
            costs = await asyncio.to_thread(send, addresses)
            deadline_seconds = time.monotonic() + 30
            while await asyncio.to_thread(published) != len(costs):
                assert time.monotonic() < deadline_seconds
                await asyncio.sleep(0.05)

    run(scenario)


def test_a_span_with_too_many_attributes_keeps_what_it_cost(tmp_path: Path) -> None:
    """Limits cut what an app adds, never usage, model or owner, wherever they stand among thousands of others."""
    settings = config(tmp_path)
    request, costs = plain_calls(1)
    for span in request.resource_spans[0].scope_spans[0].spans:
        own = list(span.attributes)
        del span.attributes[:]
        for number in range(DecodeLimits().max_attributes_per_span + 1):
            span.attributes.add(key=f"app.{number}").value.int_value = number
        span.attributes.extend(own)
        span.attributes.add(key="session.id").value.string_value = "talk-1"

    async def scenario() -> None:
        async with running(settings) as (_, addresses):
            assert addresses.http is not None
            transport = HttpTransport(addresses.http.port)
            assert await asyncio.to_thread(transport.send, request.SerializeToString()) == ""
            transport.close()

    run(scenario)
    assert total_pico_usd(settings.store.path) == sum(costs.values())
    answer = query_published(settings.store.path, "SELECT DISTINCT conversation FROM calls")
    assert answer.column("conversation").to_pylist() == ["talk-1"]


def test_a_target_that_is_down_does_not_hold_back_the_ledger(tmp_path: Path) -> None:
    """Spans are acknowledged and stored while Jaeger is away, and reach it when it comes."""
    received = Received()
    port = free_port()
    target = ForwardConfig(
        "otlp/jaeger", "grpc", f"127.0.0.1:{port}", tls=ClientTls(insecure=True), retry=RetryConfig(0.05, 0.1)
    )
    settings = replace(config(tmp_path), forward=(target,))

    async def scenario() -> None:
        async with running(settings) as (service, addresses):
            costs = await asyncio.to_thread(send, addresses)
            await applied(service)
            assert service.store.position.seq == len(costs)
            with grpc_target(received, port):
                await asyncio.to_thread(received.wait_for, lambda: len(received.spans) == len(costs))
            assert {span.span_id.hex() for span in received.spans} == set(costs)
            assert all("otel_cost.cost_usd" in {pair.key for pair in span.attributes} for span in received.spans)

    run(scenario)


def test_metrics_and_logs_are_answered_and_dropped(tmp_path: Path) -> None:
    """An app that exports all three signals sees no errors."""

    async def scenario() -> None:
        async with running(config(tmp_path)) as (_, addresses):
            assert addresses.http is not None
            for name in ("metrics", "logs"):
                transport = http.client.HTTPConnection("127.0.0.1", addresses.http.port, timeout=10)
                headers = {"Content-Type": "application/x-protobuf"}
                await asyncio.to_thread(transport.request, "POST", f"/v1/{name}", b"", headers)
                assert (await asyncio.to_thread(transport.getresponse)).status == 200
                transport.close()
            text = (await asyncio.to_thread(get, addresses.prometheus, "/metrics"))[1]
            assert 'otel_cost_signal_requests_dropped_total{signal="metrics"} 1\n' in text
            assert 'otel_cost_signal_requests_dropped_total{signal="logs"} 1\n' in text

    run(scenario)


@pytest.mark.parametrize("part", ["grpc", "http", "prometheus", "health_check"])
def test_an_address_in_use_stops_the_start_and_leaves_nothing_behind(tmp_path: Path, part: str) -> None:
    """The reason is told, and the ledger can be opened by the next attempt."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = config(tmp_path)
        other = (
            Endpoint("127.0.0.1", port) if part in ("prometheus", "health_check") else ReceiverConfig("127.0.0.1", port)
        )
        before = threading.active_count()

        async def scenario() -> None:
            with pytest.raises(CannotListen, match=str(port)):
                await Service(replace(settings, **{part: other})).start()  # type: ignore[arg-type]
            async with running(settings):
                pass

        run(scenario)
        assert threading.active_count() <= before


def test_a_second_collector_on_the_same_ledger_does_not_start(tmp_path: Path) -> None:
    """Two writers are refused, and the first goes on."""

    async def scenario() -> None:
        async with running(config(tmp_path)) as (_, addresses):
            with pytest.raises(StartupError):
                await Service(config(tmp_path)).start()
            assert await asyncio.to_thread(send, addresses)

    run(scenario)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, number: signal.Signals) -> None:
    """The first signal stores and answers what waits; exit code 0; the file is complete without a restart."""
    enough = Event()
    senders: list[Sender] = []
    try:
        with CollectorProcess(tmp_path) as process:
            senders.append(Sender(1, GrpcTransport(process.grpc_port), enough, Random(1)))
            senders.append(Sender(2, HttpTransport(process.http_port), enough, Random(2)))
            for sender in senders:
                sender.thread.start()
            while not all(len(sender.acknowledged) > 50 for sender in senders):
                assert all(sender.thread.is_alive() for sender in senders)
                enough.wait(0.01)
            assert process.stop(number) == 0, process.log
    finally:
        enough.set()
        for sender in senders:
            sender.abandoned.set()
            sender.thread.join(30)
    found = query_published(process.database, "SELECT span_id FROM spans").column("span_id").to_pylist()
    for sender in senders:
        assert {span_id for part in sender.acknowledged for span_id in part.span_ids} <= set(found)
    assert len(found) == len(set(found))
    assert "Traceback" not in process.log


def half_a_request(port: int) -> socket.socket:
    """A client that announces a body and never sends it."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n")
    client.sendall(b"Content-Length: 10\r\n\r\n")
    return client


@pytest.mark.parametrize(("signals", "exit_code", "longest_seconds"), [(1, 0, 25.0), (2, 130, DRAIN_SECONDS)])
def test_a_client_that_never_finishes_delays_the_end_by_the_deadline_at_most(
    tmp_path: Path, signals: int, exit_code: int, longest_seconds: float
) -> None:
    """One signal waits for the deadline, then ends cleanly; a second one ends at once."""
    with CollectorProcess(tmp_path) as process, half_a_request(process.http_port):
        started_seconds = time.monotonic()
        process.signal(signal.SIGTERM)
        while "stopping:" not in process.log:
            assert time.monotonic() < started_seconds + longest_seconds
            time.sleep(0.01)
        if signals == 2:
            process.signal(signal.SIGTERM)
        assert process.wait() == exit_code, process.log
        assert time.monotonic() - started_seconds < longest_seconds


def test_the_greeting_says_what_to_do_next(tmp_path: Path) -> None:
    """Where to send, where the file is, how to ask; every line can be copied."""
    settings = replace(config(tmp_path), grpc=ReceiverConfig("0.0.0.0", 4317))
    text = greeting(settings, Addresses(Endpoint("0.0.0.0", 4317), Endpoint("127.0.0.1", 4318), None, ANY))
    assert "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in text
    assert "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in text
    assert str(settings.store.path) in text
    assert "otel-cost report --db " in text
    spaced = replace(settings, store=replace(settings.store, path=tmp_path / "my ledgers" / "l.duckdb"))
    text = greeting(spaced, Addresses(None, Endpoint("127.0.0.1", 4318), None, ANY))
    assert f"otel-cost report --db '{spaced.store.path}'" in text


def test_the_greeting_says_that_senders_need_a_token_where_they_do(tmp_path: Path) -> None:
    header = "export OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN"
    settings, addresses = config(tmp_path), Addresses(None, Endpoint("127.0.0.1", 4318), None, ANY)
    senders = replace(settings.senders, tokens=(IngestToken("app", "0123456789abcdef"),))
    assert header not in greeting(settings, addresses)
    assert header in greeting(replace(settings, senders=senders), addresses)


def test_a_wrong_config_exits_with_2_and_every_problem(tmp_path: Path) -> None:
    """All problems on stderr, one line each."""
    file = tmp_path / "bad.yaml"
    file.write_text("recievers: {}\nexporters: {duckdb: {pth: x}}\n")
    result = CliRunner().invoke(command, ["--config", str(file)])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert 'did you mean "path"?' in result.stderr


def test_check_config_says_whether_it_is_valid_and_starts_nothing(tmp_path: Path) -> None:
    """Warnings of parts without effect are printed; exit code 0."""
    file = tmp_path / "good.yaml"
    rules = "{rules: [{name: a, scope: run, limit: 1 USD/run, on_exceed: block}]}"
    file.write_text(f"processors: {{budget: {rules}}}\nservice: {{extensions: [health_check]}}")
    result = CliRunner().invoke(command, ["--config", str(file), "--check-config"])
    assert (result.exit_code, result.stdout) == (0, f"{file}: valid\n")
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["processors.budget.rules"]
    assert list(tmp_path.iterdir()) == [file]


def test_an_address_that_others_can_reach_needs_to_be_allowed(tmp_path: Path) -> None:
    """Without authentication the collector refuses, and says how to allow it."""
    file = tmp_path / "open.yaml"
    file.write_text("exporters: {prometheus: {endpoint: '0.0.0.0:9464'}}\n")
    result = CliRunner().invoke(command, ["--config", str(file), "--check-config"])
    assert result.exit_code == 2
    assert "exporters.prometheus.endpoint: other machines can reach 0.0.0.0:9464" in result.stderr
    assert "--allow-unauthenticated" in result.stderr
    allowed = ["--config", str(file), "--check-config", "--allow-unauthenticated"]
    assert CliRunner().invoke(command, allowed).exit_code == 0
