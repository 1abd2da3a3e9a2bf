"""`processors.budget.channels`: where webhooks, chat messages and e-mail about budgets go."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from collector.budgets.actions.config import TELLING, AnyChannel, EmailChannel, SlackChannel, WebhookChannel
from collector.budgets.model import Action, Rule
from collector.config import values
from collector.config.parts import Endpoint
from collector.config.problems import BadValue
from collector.config.reader import Section

CHANNELS = {
    Action.WEBHOOK.value: "a signed POST",
    Action.SLACK.value: "a message to a chat",
    Action.EMAIL.value: "a mail",
}
TLS_WORDS = ("starttls", "tls", "none")
DEFAULT_PORTS = {"starttls": 587, "tls": 465, "none": 25}

MIN_SECRET_CHARACTERS = 16
"""Shorter secrets can be found by trying, from one signature."""
MAX_CHANNELS = 32
"""Each has a thread of its own, so that a dead receiver holds up nobody else."""
MAX_RECIPIENTS = 100

_ADDRESS = re.compile(r"[^@\s<>,;\"\x00-\x1f\x7f]+@[^@\s<>,;\"\x00-\x1f\x7f]+")


def read_channels(section: Section) -> tuple[AnyChannel, ...]:
    """All channels, in the order of the file."""
    found: list[AnyChannel] = []
    for kind, part in section.components(CHANNELS):
        found.append(_READERS[kind](part.path.removeprefix(f"{section.path}."), part))
        part.close()
    section.close()
    if len(found) > MAX_CHANNELS:
        section.problem(BadValue(f"are at most {MAX_CHANNELS}"), len(found))
    return tuple(found)


def check_channels(part: Section, rule: Rule, channels: Collection[AnyChannel]) -> None:
    """Note each action of a rule that tells on a channel that there is none of."""
    kinds = {channel.action for channel in channels}
    for key, actions in (("on_warn", rule.on_warn), ("on_exceed", rule.on_exceed)):
        for action in actions:
            if action in TELLING and action is not Action.NOTIFY and action not in kinds:
                have = tuple(sorted({Action.NOTIFY.value, *(kind.value for kind in kinds)}))
                what = f"needs {action.value} in processors.budget.channels"
                part.problem(BadValue(what, allowed=", ".join(have), got=action.value), key=key)


def _webhook(name: str, part: Section) -> WebhookChannel:
    return WebhookChannel(
        name,
        _timeout(part),
        part.require("url", _url, ""),
        part.require("secret", _secret, ""),
    )


def _slack(name: str, part: Section) -> SlackChannel:
    return SlackChannel(name, _timeout(part), part.require("url", _url, ""))


def _email(name: str, part: Section) -> EmailChannel:
    tls = part.take("tls", values.choice(TLS_WORDS), "starttls")
    channel = EmailChannel(
        name,
        _timeout(part),
        part.require("host", _host, "localhost"),
        part.take("port", values.integer(1, 65_535), DEFAULT_PORTS[tls]),
        tls,
        part.take("username", values.text, ""),
        part.take("password", _password, ""),
        part.require("from", _address, ""),
        part.require("to", _addresses, ()),
    )
    if bool(channel.username) != bool(channel.password):
        part.problem(BadValue("username and password go together: give both or neither"))
    if channel.password and tls == "none" and not Endpoint(channel.host, channel.port).is_loopback:
        part.problem(BadValue("a password is not sent without TLS", allowed="starttls, tls"), "none", key="tls")
    return channel


_READERS: dict[str, Callable[[str, Section], AnyChannel]] = {"webhook": _webhook, "slack": _slack, "email": _email}


def _timeout(part: Section) -> float:
    return part.take("timeout", values.seconds(0.1, 60), 10.0)


def _url(value: object) -> str:
    """As it is written: a slash at its end may matter."""
    values.http_url(value)
    return values.text(value).strip()


def _secret(value: object) -> str:
    written = values.text(value)
    if len(written) < MIN_SECRET_CHARACTERS:
        raise BadValue(f"must have at least {MIN_SECRET_CHARACTERS} characters", got="...")
    return written


def _password(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadValue("must be text; put it in quotes", got="...")
    return value


def _host(value: object) -> str:
    written = values.text(value)
    if not re.fullmatch(r"[A-Za-z0-9._:\-]+", written):
        raise BadValue("must be a host name or an address, without a port", allowed="for example smtp.example.com")
    return written


def _address(value: object) -> str:
    written = values.text(value)
    if not _ADDRESS.fullmatch(written):
        raise BadValue("must be a mail address", allowed="for example costs@example.com", got=written)
    return written


def _addresses(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or len(given) > MAX_RECIPIENTS:
        raise BadValue(f"must be 1 to {MAX_RECIPIENTS} mail addresses")
    return tuple(dict.fromkeys(_address(item) for item in given))
