"""Answers of the HTTP endpoint as bytes. The plain success, which nearly every request gets, is built once a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from collector.decode.request import Outcome
from collector.receive.status import JSON, PROTOBUF, http_error, success

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Answer:
    """Code, headers and body, before it is known whether the connection stays open."""

    code: int
    headers: Mapping[str, str]
    body: bytes


PLAIN = {
    media_type: Answer(200, {"content-type": media_type}, success(Outcome(0), media_type))
    for media_type in (PROTOBUF, JSON)
}
"""Everything was taken."""


def success_answer(outcome: Outcome, media_type: str) -> Answer:
    """Success, or partial success with what was not taken."""
    if not outcome.rejected_spans and not outcome.reason:
        return PLAIN[media_type]
    return Answer(200, {"content-type": media_type}, success(outcome, media_type))


def error_answer(error: BaseException, media_type: str) -> Answer:
    """What went wrong, in the format of the request."""
    return Answer(*http_error(error, media_type))


class Encoder:
    """Answers to bytes, with the time of day as RFC 9110 (6.6.1) wants it; `refresh` sets its clock."""

    def __init__(self) -> None:
        self._second = -1
        self._date = ""
        self._plain: dict[int, bytes] = {}
        self.refresh()

    def refresh(self) -> None:
        """To be called every second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
            self._plain = {id(answer): self._encode(answer, False, False) for answer in PLAIN.values()}

    def encode(self, answer: Answer, last: bool, head_only: bool) -> bytes:
        """`last`: the connection closes after it; `head_only`: the method was HEAD."""
        if not last and not head_only:
            ready = self._plain.get(id(answer))
            if ready is not None:
                return ready
        return self._encode(answer, last, head_only)

    def _encode(self, answer: Answer, last: bool, head_only: bool) -> bytes:
        headers = {"date": self._date, **answer.headers, "content-length": str(len(answer.body))}
        if last:
            headers["connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {answer.code} {_PHRASES[answer.code]}\r\n{lines}\r\n".encode("latin-1")
        return head if head_only else head + answer.body
