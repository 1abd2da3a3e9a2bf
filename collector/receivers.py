"""The receivers that a config asks for, and how what they answer is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from collector import errors
from collector import telemetry as metrics
from collector.config import Config
from collector.receive.grpc import GrpcReceiver
from collector.receive.http import HttpReceiver
from collector.receive.intake import Observe, Received, Submit
from collector.receive.senders import identify
from collector.telemetry import Telemetry

REASONS: dict[type[BaseException], str] = {
    errors.Overloaded: "queue_full",
    errors.StoreUnavailable: "store",
    errors.ShuttingDown: "stopping",
    errors.StalledRequest: "sender_left",
    errors.MalformedRequest: "malformed",
    errors.RequestTooLarge: "too_large",
    errors.Unauthenticated: "unauthenticated",
    errors.PermissionDenied: "unauthenticated",
    errors.UnsupportedMediaType: "unsupported",
    errors.UnsupportedEncoding: "unsupported",
    errors.MethodNotAllowed: "unsupported",
    errors.UnknownPath: "unsupported",
    asyncio.CancelledError: "sender_left",
}
"""The `reason` label of a refused request, by the nearest class of its error; anything else is `internal`."""


class Receiver(Protocol):
    """One transport's endpoint."""

    @property
    def port(self) -> int:
        """The bound port."""

    async def start(self) -> None:
        """Listen. Raises CannotListen."""

    async def stop(self, deadline_seconds: float) -> None:
        """Take nothing new and wait for the answers under way."""


def build_receivers(config: Config, submit: Submit, telemetry: Telemetry) -> dict[str, Receiver]:
    """The receivers of the config by transport, `grpc` before `http`; not started."""
    observe, known = observer(telemetry), identify(config.senders)
    receivers: dict[str, Receiver] = {}
    if config.grpc is not None:
        receivers["grpc"] = GrpcReceiver(config.grpc, submit, known, observe)
    if config.http is not None:
        receivers["http"] = HttpReceiver(config.http, submit, known, observe)
    return receivers


def observer(telemetry: Telemetry) -> Observe:
    """Counts each answered request."""

    def observe(received: Received) -> None:
        if received.signal != "traces":
            telemetry.add(metrics.SIGNALS_DROPPED, 1, received.signal)
        elif received.error is not None:
            telemetry.add(metrics.REQUESTS_REFUSED, 1, refusal_reason(type(received.error).__mro__))
        else:
            telemetry.add(metrics.REQUESTS_ACCEPTED)
            telemetry.add(metrics.REQUEST_BYTES, received.body_bytes)
            telemetry.observe(metrics.REQUEST_SECONDS, received.seconds)

    return observe


def refusal_reason(classes: Sequence[type]) -> str:
    """The reason of the first class that has one."""
    return next((REASONS[kind] for kind in classes if kind in REASONS), "internal")
