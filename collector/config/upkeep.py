"""`exporters.duckdb.retention` and `exporters.duckdb.archive`: how long spans stay, and where old ones go."""

from __future__ import annotations

from pathlib import Path

from collector.config import values
from collector.config.reader import Section
from collector.store.upkeep import Archive, Keep, Retention

_HOUR_SECONDS = 3_600
_CENTURY_SECONDS = 100 * 366 * 86_400
_AGE = values.seconds(_HOUR_SECONDS, _CENTURY_SECONDS)
DEFAULT_AFTER_SECONDS = 30 * 86_400.0


def read_retention(section: Section) -> Retention:
    """What is removed; nothing where the section is absent."""
    everything = _keep(section)
    organizations = []
    for name, part in section.named("organizations"):
        organizations.append((name, _keep(part)))
        part.close()
    section.close()
    return Retention(everything, tuple(organizations))


def _keep(section: Section) -> Keep:
    never: float | None = None
    unbounded: int | None = None
    return Keep(section.take("max_age", _AGE, never), section.take("max_size", values.size_bytes, unbounded))


def read_archive(section: Section) -> Archive:
    """Where old spans go; the section is there."""
    archive = Archive(section.require("path", values.path, Path()), section.take("after", _AGE, DEFAULT_AFTER_SECONDS))
    section.close()
    return archive
