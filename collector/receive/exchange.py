"""One HTTP request, from its head to its answer."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes, urlsplit

from collector.decode.request import Outcome
from collector.errors import MethodNotAllowed, RequestTooLarge, UnknownPath, UnsupportedMediaType
from collector.receive.answers import Answer, error_answer, success_answer
from collector.receive.inflate import BodyReader
from collector.receive.intake import Intake, Lease, Signal
from collector.receive.senders import Sender
from collector.receive.status import JSON, PROTOBUF

PATHS: dict[bytes, Signal] = {b"/v1/traces": "traces", b"/v1/metrics": "metrics", b"/v1/logs": "logs"}

HEADERS = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"transfer-encoding",
        b"x-org-id",
    }
)
"""What is read of a head; other headers are dropped as they arrive."""

NOBODY = Sender("")
"""Before the head is read."""

_MEDIA_TYPES = {PROTOBUF.encode(): PROTOBUF, JSON.encode(): JSON}


class Exchange:
    """What the head says, the body as it arrives, and the answer when there is one."""

    __slots__ = ("answer", "complete", "expects", "head_only", "last", "lease", "media_type", "reader", "sender")

    def __init__(self, headers: Mapping[bytes, bytes], method: bytes, last: bool) -> None:
        self.media_type = _media_type(headers.get(b"content-type", b""))
        self.head_only = method == b"HEAD"
        self.last = last  # the connection closes after the answer
        self.expects = headers.get(b"expect", b"").lower() == b"100-continue"  # waits to be told to send its body
        self.complete = False  # all of it has arrived
        self.answer: Answer | None = None
        self.lease: Lease | None = None
        self.sender = NOBODY
        self.reader: BodyReader

    def open(self, intake: Intake, method: bytes, target: bytes, headers: Mapping[bytes, bytes]) -> None:
        """Takes a place, and looks at everything that the head can tell. Raises a `RequestError`."""
        signal = PATHS.get(target) or _signal_at(target)
        if method != b"POST":
            raise MethodNotAllowed(f"{_text(method)} is not POST")
        self.lease = intake.request(signal)
        said = (headers.get(b"authorization"), headers.get(b"x-org-id"))
        self.sender = intake.sender(*(None if value is None else _text(value) for value in said))
        if not self.media_type:
            raise UnsupportedMediaType(f"content type {_text(headers.get(b'content-type', b''))[:80]!r}")
        max_bytes = intake.config.max_request_bytes
        self.reader = BodyReader(_text(headers.get(b"content-encoding", b"")).strip().lower(), max_bytes)
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > max_bytes:
            raise RequestTooLarge(f"the request has {_text(announced)} bytes, at most {max_bytes} are taken")

    def conclude(self, intake: Intake, outcome: Outcome) -> None:
        """Sets the answer that tells what became of the spans, and gives the place back."""
        if outcome.error is not None:
            self.fail(intake, outcome.error)
            return
        self.answer = success_answer(outcome, self.media_type)
        if self.lease is not None:
            self.lease.end_with(outcome)

    def fail(self, intake: Intake, error: BaseException) -> None:
        """Sets the answer that tells what went wrong, and gives the place back."""
        self.answer = error_answer(error, self.media_type or JSON)
        if self.lease is not None:
            self.lease.end(error)
        else:
            intake.refused(error)


def _signal_at(target: bytes) -> Signal:
    """For targets with a query, a host, a slash at the end, or escapes. Raises `UnknownPath`."""
    try:
        path = unquote_to_bytes(urlsplit(target).path)
    except ValueError:
        path = target
    signal = PATHS.get(path.rstrip(b"/"))
    if signal is None:
        known = ", ".join(_text(known) for known in PATHS)
        raise UnknownPath(f"nothing at {path.decode('utf-8', 'replace')[:200]}; OTLP lives at {known}")
    return signal


def _media_type(named: bytes) -> str:
    """The request's own format, or nothing if it is neither."""
    return _MEDIA_TYPES.get(named) or _MEDIA_TYPES.get(named.partition(b";")[0].strip().lower(), "")


def _text(header: bytes) -> str:
    return header.decode("latin-1")
