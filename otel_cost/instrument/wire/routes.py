"""How an API module says which requests are its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from otel_cost.instrument.wire.types import Api, Request


def says_model(request: Request) -> bool:
    """Whether the body names a model: on a host that is not known, a path alone says too little."""
    if request.form is not None:
        return "model" in request.form
    return request.body is not None and b'"model"' in request.body


class Route(NamedTuple):
    """Requests that belong to one API.

    `path` is the end of the URL's path as a template: `chat/completions`, `responses/{id}`,
    `models/{model}:generateContent`. At most its last segment is a `{name}`; what stands before is free (prefixes of
    gateways). `providers`: only on their hosts, None for any. `provider`: whose shape it is on a host that is not
    known; empty where many share it, then host, path and model are asked. `shape`: whether a request to an unknown
    host is one of these; not asked on known and configured hosts.
    """

    path: str
    api: Api
    methods: tuple[str, ...] = ("POST",)
    providers: frozenset[str] | None = None
    provider: str = ""
    shape: Callable[[Request], bool] = says_model
