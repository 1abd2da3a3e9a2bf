"""What the API is built from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.config.parts import Endpoint  # the config is built from this


class Role(IntEnum):
    """What a token allows; each includes those before it."""

    VIEWER = 1  # read
    EDITOR = 2  # ask for leases, settle them, decide on approvals
    ADMIN = 3  # change rules


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A secret that whoever calls has to show."""

    name: str  # for the audit trail
    secret: str
    role: Role
    organization: str | None = None  # that it may see; None: all


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where the API listens and whom it answers. Without tokens everybody who reaches it is an admin."""

    endpoint: Endpoint
    tokens: tuple[ApiToken, ...] = ()
