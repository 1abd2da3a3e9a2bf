"""Every recorded exchange is read exactly as its `expected` says, whatever chunks its answer comes in."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from otel_cost.instrument.wire import read_exchange
from otel_cost.instrument.wire.exchange import chunks_of

FOLDER = Path(__file__).parents[3] / "testdata" / "exchanges"
FILES = sorted(FOLDER.rglob("*.json"))
MAX_CHUNK_BYTES = 64


def load(file: Path) -> dict[str, Any]:
    exchange = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(exchange, dict)
    return exchange


def without_notes(value: object) -> object:
    """`notes` are for people, `alternatives` other acceptable readings."""
    if isinstance(value, dict):
        return {key: without_notes(item) for key, item in value.items() if key not in ("notes", "alternatives")}
    return [without_notes(item) for item in value] if isinstance(value, list) else value


def rechunked(body: bytes, seed: int) -> list[bytes]:
    """The body in chunks of 1 to `MAX_CHUNK_BYTES` bytes."""
    chance = random.Random(seed)
    chunks, begin = [], 0
    while begin < len(body):
        size = chance.randint(1, MAX_CHUNK_BYTES)
        chunks.append(body[begin : begin + size])
        begin += size
    return chunks


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER))[:-5])
def test_an_exchange_reads_as_expected_in_any_chunks(file: Path) -> None:
    """Also in one chunk, byte by byte and in random chunks: where the network breaks a body means nothing."""
    exchange = load(file)
    expected = without_notes(exchange["expected"])
    assert read_exchange(exchange) == expected
    body = b"".join(chunks_of(exchange))
    for chunks in ([body], [body[i : i + 1] for i in range(len(body))], rechunked(body, 1), rechunked(body, 2)):
        assert read_exchange(exchange, chunks=chunks) == expected


def test_there_are_exchanges_of_every_kind_of_framing() -> None:
    """Else the test above could pass on an empty folder."""
    framings = [load(file)["response"].get("framing") for file in FILES]
    assert len(FILES) > 190
    assert {"sse", "ndjson", "aws-eventstream"} <= set(framings)
