"""Settings of the channels on which people and programs are told about budgets."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.budgets.model import Action

TELLING = (Action.NOTIFY, Action.WEBHOOK, Action.EMAIL, Action.SLACK)
"""Actions that tell somebody. `notify` needs no channel: it is the log and the event itself."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One of `processors.budget.channels`."""

    name: str  # component id as the config writes it: `webhook`, `email/ops`
    timeout_seconds: float = 10.0  # of each step of a try: connecting, sending, the answer

    @property
    def action(self) -> Action:
        """Which action of a rule it is for."""
        return Action(self.name.partition("/")[0])


@dataclass(frozen=True, slots=True)
class WebhookChannel(Channel):
    """A signed POST."""

    url: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SlackChannel(Channel):
    """An incoming webhook of Slack, or of anything that takes `{"text": ...}`. Whoever knows the URL may write."""

    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class EmailChannel(Channel):
    """A mail server and who gets mail."""

    host: str = ""
    port: int = 587
    tls: str = "starttls"  # none, starttls, tls (from the first byte)
    username: str = ""  # empty: no login
    password: str = field(default="", repr=False)
    sender: str = ""
    to: tuple[str, ...] = ()


AnyChannel = WebhookChannel | SlackChannel | EmailChannel
