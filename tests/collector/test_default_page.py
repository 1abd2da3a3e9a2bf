"""The page is there without a config; a collector whose port is taken by another one collects without it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from collector.cli.collect_command import greeting
from collector.config import Config, Endpoint
from collector.errors import CannotListen
from collector.receive.config import ReceiverConfig
from collector.serve.api.config import ApiConfig
from collector.service import Service
from collector.store import StoreConfig


def config(folder: Path, api: ApiConfig) -> Config:
    return Config(
        grpc=None,
        http=ReceiverConfig("127.0.0.1", 0),
        store=StoreConfig(folder / "costs.duckdb"),
        prometheus=None,
        health_check=None,
        api=api,
    )


def test_the_page_is_at_its_port_of_this_machine_without_a_config() -> None:
    api = Config().api
    assert api is not None
    assert (str(api.endpoint), api.is_given, api.asks_who) == ("127.0.0.1:8321", False, False)


def test_a_collector_whose_default_port_is_taken_says_so_and_collects(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One whose config names the address does not start."""

    async def scenario(taken: Endpoint) -> None:
        settings = config(tmp_path, ApiConfig(taken, is_given=False))
        service = Service(settings)
        addresses = await service.start()
        try:
            assert addresses.api is None
            assert f"page     none: {taken} is taken" in greeting(settings, addresses)
        finally:
            await service.stop()
        with pytest.raises(CannotListen, match=str(taken)):
            await Service(replace(settings, api=ApiConfig(taken))).start()

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        asyncio.run(scenario(Endpoint("127.0.0.1", other.getsockname()[1])))
    assert "no page is served" in caplog.text


def test_where_the_page_is_stands_in_the_greeting(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = config(tmp_path, ApiConfig(Endpoint("127.0.0.1", 0)))
        service = Service(settings)
        addresses = await service.start()
        try:
            assert f"page     http://{addresses.api}/\n" in greeting(settings, addresses)
        finally:
            await service.stop()

    asyncio.run(scenario())
