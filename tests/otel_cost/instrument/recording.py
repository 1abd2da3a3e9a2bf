"""An exchange that only remembers what the hook of an HTTP library told it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from otel_cost.instrument.encoding import decoder
from otel_cost.instrument.wire.types import Request

_INSIDE = ContextVar("inside", default=False)


@dataclass(slots=True)
class Recorded:
    """Has the methods of `observe.Exchange`; `outcome` is the first word about the end."""

    request: Request
    library: str
    replacement_body: bytes | None = None
    replacement_url: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    outcome: str | None = None
    error: BaseException | None = None
    is_inside: bool = True
    takes_json_at_once: bool = False
    _token: Any = None
    _encoding: str | None = None

    def leave(self) -> None:
        if self.is_inside and self._token is not None:
            self.is_inside = False
            _INSIDE.reset(self._token)

    def takes_at_once(self, body: bytes) -> bool:
        return self.takes_json_at_once and body.startswith(b"{")

    def responded(self, status: int, headers: Mapping[str, str], content_encoding: str | None) -> None:
        self.status, self.headers, self._encoding = status, headers, content_encoding

    def whole(self, body: bytes) -> None:
        assert not self.pieces
        self.chunk(body)
        self._end("whole")

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.leave()
        self.responded(status, headers, None)
        self.whole(body)

    def chunk(self, data: bytes) -> None:
        if self.outcome is None:
            self.pieces.append(data)

    def last(self, data: bytes) -> None:
        self.chunk(data)
        self.ended()

    def ended(self) -> None:
        self._end("ended")

    def closed(self) -> None:
        self._end("closed")

    def failed(self, error: BaseException) -> None:
        if self.outcome is None:
            self.error = error
        self._end("failed")

    def _end(self, outcome: str) -> None:
        self.outcome = self.outcome or outcome

    @property
    def seen(self) -> bytes:
        """The body as it was passed on, decoded."""
        decoding = decoder(self._encoding)
        return b"".join(decoding.feed(piece) for piece in self.pieces) + decoding.end()


@dataclass(slots=True)
class Recorder:
    """Stands for `observe.begin` and `observe.begin_async`."""

    exchanges: list[Recorded] = field(default_factory=list)
    replacement_body: bytes | None = None

    def begin(self, request: Request, library: str) -> Recorded | None:
        if _INSIDE.get():
            return None
        self.exchanges.append(Recorded(request, library, self.replacement_body, _token=_INSIDE.set(True)))
        return self.exchanges[-1]

    async def begin_async(self, request: Request, library: str) -> Recorded | None:
        return self.begin(request, library)

    @property
    def only(self) -> Recorded:
        """The one exchange there was."""
        assert len(self.exchanges) == 1
        return self.exchanges[0]
