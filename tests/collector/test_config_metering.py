"""`exporters.prometheus`."""

from __future__ import annotations

from hashlib import sha256

import pytest

from collector.config.load import read
from collector.config.problems import ConfigError
from collector.metering.config import MeteringConfig
from collector.metering.table import LABELS


def metering(text: str) -> MeteringConfig:
    return read(f"exporters:\n  duckdb: {{}}\n  prometheus: {{{text}}}\n", "collector.yaml", {}).metering


def test_labels_are_those_of_the_list_in_the_order_of_the_list() -> None:
    """Any bounded dimension, and no default for one that is left out."""
    assert metering("") == MeteringConfig()
    found = metering("labels: [customer, model], max_series: 50, exemplars: false, refresh_interval: 1m")
    assert found == MeteringConfig(("customer", "model"), 50, False, 60.0)
    assert metering(f"labels: [{', '.join(LABELS)}]").labels == tuple(LABELS)


def test_tokens_are_kept_as_digests_and_open_the_address_to_other_machines() -> None:
    """Without any of them `collect` refuses an address that others reach."""
    written = "exporters:\n  duckdb: {}\n  prometheus: {endpoint: '0.0.0.0:9464', auth: {tokens: %s}}\n"
    digest = sha256(b"metrics-0123456789").hexdigest()
    config = read(written % f"[{{name: p, token: metrics-0123456789}}, {{sha256: {digest}}}]", "collector.yaml", {})
    assert config.scrapers == (bytes.fromhex(digest),) * 2
    assert "exporters.prometheus.endpoint" not in dict(config.exposed())
    with pytest.raises(ConfigError, match="at least one token"):
        read(written % "[]", "collector.yaml", {})


@pytest.mark.parametrize("word", ["run", "user", "conversation", "trace_id"])
def test_what_would_be_a_series_for_ever_is_refused_with_the_reason(word: str) -> None:
    """Not only as an unknown word."""
    with pytest.raises(ConfigError, match="a series for ever"):
        metering(f"labels: [provider, {word}]")


@pytest.mark.parametrize("text", ["labels: []", "labels: [agnet]", "max_series: 1", "refresh_interval: 1s"])
def test_other_mistakes_are_told(text: str) -> None:
    """With the place."""
    with pytest.raises(ConfigError, match=r"exporters\.prometheus\."):
        metering(text)
