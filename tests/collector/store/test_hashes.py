"""Hashes that stand for traces must differ wherever the traces do: of two with one hash, one is forgotten."""

from __future__ import annotations

import pyarrow as pa

from collector.store.hashes import trace_hashes


def test_trace_ids_that_were_counted_up_have_hashes_of_their_own() -> None:
    """Not every emitter draws its ids at random: some write a worker's number and a counter."""
    ids = [f"{worker:024x}{number:08x}" for worker in range(200) for number in range(200)]
    hashes = trace_hashes(pa.array(["default"] * len(ids)), pa.array(ids))
    assert len(set(hashes.tolist())) == len(ids)
