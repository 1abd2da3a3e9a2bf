"""The running collector's API, as commands about budgets ask it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from collector.cli.held_cards import config_of
from collector.cli.table import printable
from collector.config import Config, Endpoint
from collector.config.model import API_ENDPOINT

TIMEOUT_SECONDS = 10.0
GLANCE_SECONDS = 1.0
"""For what is nice to know only."""
EXIT_WRONG = 2
TOKEN_VARIABLE = "OTEL_COST_API_TOKEN"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the collector's API is."""
    option = click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The config that the collector runs with: where its API listens.",
    )
    return option(function)


def api_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the API is, and who asks."""
    token = click.option(
        "--token",
        envvar=TOKEN_VARIABLE,
        metavar="TOKEN",
        help=f"A token of the API.  [env: {TOKEN_VARIABLE}]",
    )
    return config_option(token(function))


class _Wrong(click.ClickException):
    """The request is wrong, and will be wrong again."""

    exit_code = EXIT_WRONG


class Api:
    """The API of one collector."""

    def __init__(self, config_file: Path | None, token: str | None = None) -> None:
        config: Config = config_of(config_file)
        self._has_none = config_file is not None and config.api is None
        self._endpoint: Endpoint = API_ENDPOINT if config.api is None else config.api.endpoint
        self._token = token

    def get(self, *path: str, query: str = "") -> Any:
        """The answer to GET of a path below /api/v1, its parts as they are.

        Raises:
            click.ClickException: there is no answer, or it is an error.
        """
        return self._said("GET", path, None, query)

    def send(self, method: str, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a change, or to a question with a body."""
        return self._said(method, path, body or {}, "")

    def glance(self, *path: str) -> Any | None:
        """The answer if there is one at once."""
        try:
            status, text = self._ask("GET", path, None, "", GLANCE_SECONDS)
            return json.loads(text) if status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def _said(self, method: str, path: tuple[str, ...], body: Mapping[str, Any] | None, query: str) -> Any:
        if self._has_none:
            raise click.ClickException("the collector of this config has no API: add extensions.api (docs/config.md)")
        try:
            status, text = self._ask(method, path, body, query, TIMEOUT_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            raise click.ClickException(
                f"no collector answers at {self._endpoint} ({error}); start one with extensions.api, or say --config"
            ) from None
        try:
            said = json.loads(text)
        except ValueError:
            raise click.ClickException(f"{self._endpoint} is no API of otel-cost (HTTP {status})") from None
        if status >= http.client.BAD_REQUEST:
            raise _failure(status, said)
        return said

    def _ask(
        self, method: str, path: tuple[str, ...], body: Mapping[str, Any] | None, query: str, timeout: float
    ) -> tuple[int, str]:
        host = _EVERYWHERE.get(self._endpoint.host, self._endpoint.host)
        connection = http.client.HTTPConnection(host, self._endpoint.port, timeout=timeout)
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        target = "/".join(["/api/v1", *(quote(part, safe="") for part in path)]) + (f"?{query}" if query else "")
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


def _failure(status: int, said: Any) -> click.ClickException:
    """The API's error body as an exit: 2 when the request is wrong, else 1."""
    error = said.get("error", {}) if isinstance(said, dict) else {}
    where, allowed = error.get("where"), error.get("allowed")
    text = f"{where}: {error.get('message')}" if where else str(error.get("message", f"HTTP {status}"))
    text = printable(f"{text}; allowed: {allowed}" if allowed else text)
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        text += f"\nsay --token, or set {TOKEN_VARIABLE}"
    return _Wrong(text) if status == http.client.BAD_REQUEST else click.ClickException(text)
