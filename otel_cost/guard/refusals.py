"""What may come of asking the collector, other than yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """The collector's answer to a claim, other than yes."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__()
        self.decision = str(answer.get("decision"))
        self.refusal: Mapping[str, Any] = answer.get("refusal") or {}


class Incomplete(Exception):
    """Budgets count by attributes that the claim does not speak of: it is to be made anew, with `Leases.attributes`."""


class ClosedError(Exception):
    """Nobody answers, and the rules said that nothing is let through then; the message is the rules' names."""
