"""`exporters.prometheus`: where metrics are read, and by what spend is split in them."""

from __future__ import annotations

from hashlib import sha256

from collector.config import access, values
from collector.config.parts import Endpoint
from collector.config.problems import BadValue
from collector.config.reader import Section
from collector.metering.config import MeteringConfig
from collector.metering.table import LABELS

_UNBOUNDED = {"run", "conversation", "user", "trace", "trace_id", "span_id"}
_MOST_SERIES = 20_000
_words = values.choices(LABELS, "label")


def read_prometheus(section: Section, default: Endpoint) -> tuple[Endpoint, MeteringConfig, tuple[bytes, ...]]:
    """The address, what is shown there, and the SHA-256 of tokens of those who may read it; without any, everybody."""
    usual = MeteringConfig()
    endpoint = section.take("endpoint", values.listen_address, default)
    config = MeteringConfig(
        labels=section.take("labels", _labels, usual.labels),
        max_series=section.take("max_series", values.integer(10, _MOST_SERIES), usual.max_series),
        exemplars=section.take("exemplars", values.boolean, usual.exemplars),
        refresh_seconds=section.take("refresh_interval", values.seconds(10, 86_400), usual.refresh_seconds),
    )
    auth = section.section("auth")
    digests = tuple(_digest(part) for part in auth.sections("tokens"))
    if "auth" in section and not digests:
        auth.problem(BadValue("must list at least one token"), key="tokens")
    auth.close()
    section.close()
    return endpoint, config, digests


def _digest(part: Section) -> bytes:
    secret, digest = access.read_secret(part)
    part.take("name", values.text, "")
    part.close()
    return bytes.fromhex(digest) if digest else sha256(secret.encode()).digest()


def _labels(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    for word in given:
        if word in _UNBOUNDED:
            raise BadValue("is no label: each one would be a series for ever; ask the ledger", got=word)
    if not given:
        raise BadValue("must name at least one label")
    return _words(value)
