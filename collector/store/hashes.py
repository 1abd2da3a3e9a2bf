"""64-bit hashes of traces, response ids and kinds of calls, as keys of `SeqIndex`. They never leave the process."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_TRACE_ID_BYTES = 32
_SALT = hash("otel-cost ledger") & (2**64 - 1)
"""Differs from process to process, so that nobody outside can choose ids that collide."""


def trace_hashes(org_ids: pa.Array, trace_ids: pa.Array) -> Hashes:
    """One hash per row. Trace ids are 32 hex digits; any other length is hashed too, more slowly."""
    offsets = np.frombuffer(trace_ids.buffers()[1], np.int32)[trace_ids.offset :][: len(trace_ids) + 1]
    if not len(trace_ids):
        return np.empty(0, np.uint64)
    if not (np.diff(offsets) == _TRACE_ID_BYTES).all():
        return text_hashes(org_ids, trace_ids)
    text = np.frombuffer(trace_ids.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    words = text.view(np.uint64) if offsets[0] % 8 == 0 else text.copy().view(np.uint64)
    mixed = value_hashes(org_ids)
    for word in words.reshape(-1, 4).T:  # spread after each: sums of words are equal for ids that were counted up
        mixed = spread(mixed ^ word)
    return mixed


def text_hashes(org_ids: pa.Array, texts: pa.Array) -> Hashes:
    """One hash per row of any text."""
    hashed = np.fromiter((hash(text) for text in texts.to_pylist()), np.int64, len(texts)).view(np.uint64)
    return spread(hashed ^ value_hashes(org_ids))


def value_hashes(texts: pa.Array) -> Hashes:
    """One hash per row of texts that repeat: each distinct one is hashed once."""
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    of_each: Any = np.array([hash(text) ^ _SALT for text in encoded.dictionary.to_pylist()], dtype=object)
    known = np.array([value & (2**64 - 1) for value in of_each], dtype=np.uint64)
    hashes: Hashes = known[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes


def spread(mixed: Hashes) -> Hashes:
    """Spread what differs over all bits (the finaliser of SplitMix64)."""
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
