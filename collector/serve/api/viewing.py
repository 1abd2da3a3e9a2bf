"""Views: routes that ask the ledger about the calls of a selection, and answer a typed value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from collector.errors import QueryTimedOut, StoreUnavailable
from collector.questions.asking import Answered, Asking
from collector.questions.selection import Selection
from collector.serve.api import selected
from collector.serve.api.config import Role
from collector.serve.api.errors import ApiError, invalid, not_found
from collector.serve.api.parameters import Given, Parameter, read_parameters
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_response
from collector.serve.api.shapes import as_json

T = TypeVar("T")

QUERY_SECONDS = 20.0
"""For one view. Views take a tenth of a second; one that takes longer than this keeps others from being answered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read: whose calls, what else it said, and the time by which all of its words are understood."""

    selection: Selection
    given: Given
    now: datetime  # UTC
    names: Mapping[str, str]  # in the path

    def __getitem__(self, parameter: Parameter[T]) -> T:
        return self.given[parameter]


class Question(NamedTuple):
    """A function of `collector.questions`, and what it is given after the `Ask`. It runs in another process."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class View(Generic[T]):
    """What is asked, and how what was found is shown: as the type `shape`, of which the schema is made."""

    path: str
    summary: str
    question: Callable[[Asked], Question]
    show: Callable[[T, Asked], Any]
    shape: Any
    parameters: tuple[Parameter[Any], ...] = ()


class Viewer:
    """Makes routes of views. `zone` holds where a request names none."""

    def __init__(
        self, asking: Asking, zone: ZoneInfo, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._asking = asking
        self._zone = zone
        self._clock = clock

    def route(self, view: View[Any]) -> Path:
        """A GET route for viewers."""

        async def answered(request: Request, asked: Asked) -> Response:
            found = await self.answer(view.question(asked))
            return answer_json(request, asked, found, view.show(found.value, asked))

        return self.route_of(view.path, view.summary, answered, view.shape, view.parameters)

    def route_of(
        self,
        path: str,
        summary: str,
        answered: Callable[[Request, Asked], Awaitable[Response]],
        shape: Any,
        parameters: tuple[Parameter[Any], ...] = (),
    ) -> Path:
        """The same for what takes more than one question."""
        taken = (*parameters, *selected.PARAMETERS)

        async def handler(request: Request) -> Response:
            return await answered(request, self.read(request, taken))

        returns = shape if isinstance(shape, Returns) else Returns(shape, is_selection=True)
        return Path(
            "GET", path, Role.VIEWER, handler, summary, parameters=taken, takes_attributes=True, returns=returns
        )

    def read(self, request: Request, parameters: tuple[Parameter[Any], ...]) -> Asked:
        """What a request says. Raises ApiError."""
        given, attributes = read_parameters(
            request.query_params.multi_items(), parameters, selected.ATTRIBUTE_PREFIX, (selected.ATTRIBUTE_PREFIX,)
        )
        now = self._clock()
        chosen = selected.selection(given, attributes, request.state.org, now, self._zone)
        return Asked(chosen, given, now, dict(request.path_params))

    async def answer(
        self, question: Question, timeout_seconds: float = QUERY_SECONDS, hold: int | None = None
    ) -> Answered[Any]:
        """The answer to one question; `hold` as in `Asking.answer`.

        Raises:
            ApiError: 503, the ledger cannot be read now (`unavailable`), or the time is up (`timeout`); 400, the
                question makes no sense.
        """
        try:
            held: dict[str, Any] = {} if hold is None else {"hold": hold}
            return await self._asking.answer(
                question.function, *question.arguments, timeout_seconds=timeout_seconds, **held, **question.named
            )
        except QueryTimedOut as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", str(error)) from None
        except StoreUnavailable as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error)) from None
        except ValueError as error:
            raise invalid(str(error)) from None

    def let_go(self, hold: int) -> None:
        """No question of this hold will follow."""
        self._asking.let_go(hold)


def answer_json(request: Request, asked: Asked, answered: Answered[Any], shown: Any) -> Response:
    """A view's answer: which calls it is about, up to when the ledger was read, and what was found."""
    head = {"selection": as_json(selected.shown(asked.selection)), "as_of": as_json(answered.as_of)}
    return json_response(request, head | as_json(shown))


def found(value: T | None, what: str) -> T:
    """`value`, or a 404 that says what there is not."""
    if value is None:
        raise not_found(what)
    return value
