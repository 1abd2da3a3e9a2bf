"""`exporters.duckdb.retention` and `.archive`: units, names of organisations, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import ConfigError, read
from collector.store.upkeep import Archive, Keep, Retention

DAY = 86_400.0


def store(keys: str) -> tuple[Retention, Archive | None]:
    config = read(f"exporters: {{duckdb: {{{keys}}}}}", "f", {}).store
    return config.retention, config.archive


def problems(keys: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        store(keys)
    return [line.removeprefix("f: exporters.duckdb.") for line in raised.value.problems]


def test_nothing_is_removed_or_moved_by_default() -> None:
    assert store("") == (Retention(), None)


def test_ages_and_sizes_are_read_in_their_units() -> None:
    """For all, and for organisations whose ids have dots, slashes and digits only."""
    kept, archive = store(
        "retention: {max_age: 90d, max_size: 1.5TiB, organizations: {a.b/c: {max_age: 365d}, '7': {max_size: 50 GiB}}},"
        "archive: {path: /mnt/cold}"
    )
    assert kept == Retention(Keep(90 * DAY, 3 << 39), (("a.b/c", Keep(365 * DAY, None)), ("7", Keep(None, 50 << 30))))
    assert archive == Archive(Path("/mnt/cold"), 30 * DAY)
    assert kept.max_age_seconds("a.b/c") == 365 * DAY
    assert kept.max_age_seconds("7") == kept.max_age_seconds("anybody") == 90 * DAY


def test_all_mistakes_are_told_at_once_with_the_nearest_spelling() -> None:
    assert problems(
        "retention: {max_agee: 1d, max_size: 50GB, organizations: {acme: {max_aeg: 1d, max_age: 90s}}},"
        "archive: {after: soon}"
    ) == [
        "retention.max_size: must be a size such as 500MiB, 50GiB or 1TiB (got 50GB)",
        "retention.organizations.acme.max_age: must be between 1h and 36600d (got 90s)",
        'retention.organizations.acme.max_aeg: unknown key; allowed: max_age, max_size; did you mean "max_age"?',
        'retention.max_agee: unknown key; allowed: max_age, max_size, organizations; did you mean "max_age"?',
        "archive.path: is required",
        "archive.after: must be a duration such as 500ms, 5s, 1h30m or 7d (got soon)",
    ]


@pytest.mark.parametrize("size", ["0MiB", "-1GiB", "12", "GiB", "1e9GiB", "1 KB"])
def test_what_is_no_size_is_refused(size: str) -> None:
    (problem,) = problems(f"retention: {{max_size: '{size}'}}")
    assert problem.startswith("retention.max_size: must be")
