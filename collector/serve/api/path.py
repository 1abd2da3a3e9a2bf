"""What a route says of itself: for whom it is, what it takes and what it answers. OpenAPI is made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.config import Role
from collector.serve.api.parameters import Parameter

Handler = Callable[[Request], Awaitable[Response]]
VERSION = "/api/v1"
JSON_TYPE = "application/json"


class Returns(NamedTuple):
    """An answer that is no error. `shape` is a type that `shapes.Schemas` knows; None: the answer is no JSON."""

    shape: Any = dict
    media_type: str = JSON_TYPE
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    is_selection: bool = False  # `selection` and `as_of` stand in the object beside what the shape has


class Path(NamedTuple):
    """One route: `path` follows `/api/v1`, unless it is `at_root`."""

    method: str
    path: str
    role: Role
    handler: Handler
    summary: str  # for the list of what there is, and for OpenAPI
    at_root: bool = False
    is_open: bool = False  # also for those whom nobody knows: it shows them nothing
    strict: bool = False  # where JWTs are configured: only for them, and only with an X-Org-ID
    parameters: tuple[Parameter[Any], ...] = ()
    takes_attributes: bool = False  # and `attr.KEY=VALUE`
    body: Any = None  # the type of a JSON body
    returns: Returns = Returns()

    def of(self, body: Any, returns: Returns) -> Path:
        """The same with a JSON body (None: without) and an answer of these types."""
        return self._replace(body=body, returns=returns)

    @property
    def full(self) -> str:
        """As Starlette routes it."""
        return self.path if self.at_root else VERSION + self.path


class Page(NamedTuple):
    """A page for people, the same for everybody; what it shows it asks the API for."""

    path: str
    html: str
    headers: Mapping[str, str]
