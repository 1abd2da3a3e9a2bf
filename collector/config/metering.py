"""`exporters.prometheus`: where metrics are read, and by what spend is split in them."""

from __future__ import annotations

from collector.config import values
from collector.config.parts import Endpoint
from collector.config.problems import BadValue
from collector.config.reader import Section
from collector.metering.config import MeteringConfig
from collector.metering.table import LABELS

_UNBOUNDED = {"run", "conversation", "user", "trace", "trace_id", "span_id"}
_MOST_SERIES = 20_000
_words = values.choices(LABELS, "label")


def read_prometheus(section: Section, default: Endpoint) -> tuple[Endpoint, MeteringConfig]:
    """The address and what is shown there."""
    usual = MeteringConfig()
    endpoint = section.take("endpoint", values.listen_address, default)
    config = MeteringConfig(
        labels=section.take("labels", _labels, usual.labels),
        max_series=section.take("max_series", values.integer(10, _MOST_SERIES), usual.max_series),
        exemplars=section.take("exemplars", values.boolean, usual.exemplars),
        refresh_seconds=section.take("refresh_interval", values.seconds(10, 86_400), usual.refresh_seconds),
    )
    section.close()
    return endpoint, config


def _labels(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    for word in given:
        if word in _UNBOUNDED:
            raise BadValue("is no label: each one would be a series for ever; ask the ledger", got=word)
    if not given:
        raise BadValue("must name at least one label")
    return _words(value)
