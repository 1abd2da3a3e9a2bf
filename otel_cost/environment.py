"""Variables of the environment as the app half reads them: what cannot be meant is logged once, and counts as unset."""

from __future__ import annotations

import logging
import os

_logger = logging.getLogger("otel_cost")
_logged: set[str] = set()


def is_true(name: str) -> bool:
    """Whether a variable says `true`, in any case. OpenTelemetry's booleans know no other word for it, `1` and `yes`
    included (its specification of environment variables, which wants such values logged)."""
    said = os.environ.get(name, "").strip().lower()
    if said not in ("", "true", "false"):
        warn_once(f"otel-cost: {name}={said}: allowed are true and false; it counts as false")
    return said == "true"


def warn_once(text: str) -> None:
    """Log a warning, unless this process has: `opentelemetry-instrument` has each variable read several times."""
    if text not in _logged:
        _logged.add(text)
        _logger.warning("%s", text)
