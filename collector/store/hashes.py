"""64-bit hashes of traces, spans, response ids and kinds of calls. They never leave the process."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_LONGEST_ID_BYTES = 128
"""Longer texts are hashed one by one."""

_SALT = hash("otel-cost ledger") & (2**64 - 1)
"""Differs from process to process, so that nobody outside can choose ids that collide."""

_EVEN = np.uint64(2**64 - 2)


def trace_hashes(org_ids: pa.Array, trace_ids: pa.Array) -> Hashes:
    """One even hash per row (`as_value`)."""
    return text_hashes(org_ids, trace_ids) & _EVEN


def span_hashes(traces: Hashes, span_ids: pa.Array) -> Hashes:
    """One hash per span, from the hash of its trace."""
    return _mixed(traces, span_ids)


def as_value(traces: Hashes) -> npt.NDArray[np.int64]:
    """Hashes of traces as values of `SeqIndex`, which holds 0 or more."""
    return (traces >> np.uint64(1)).astype(np.int64)


def from_value(values: npt.NDArray[np.int64]) -> Hashes:
    """The inverse of `as_value`."""
    return values.astype(np.uint64) << np.uint64(1)


def text_hashes(org_ids: pa.Array, texts: pa.Array) -> Hashes:
    """One hash per row of any text; fast where they are short and few lengths occur, as ids do."""
    return _mixed(value_hashes(org_ids), texts)


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


def _mixed(seeds: Hashes, texts: pa.Array) -> Hashes:
    """The hash of each text, begun with the seed beside it. It depends on nothing but the two."""
    if not len(texts):
        return np.empty(0, np.uint64)
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    text = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    sizes = np.diff(offsets)
    if (sizes == sizes[0]).all():
        return _of_one_size(seeds, text[offsets[0] : offsets[-1]].reshape(len(texts), -1), texts)
    mixed = np.empty(len(texts), np.uint64)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        of_size = texts.take(pa.array(rows))
        mixed[rows] = _mixed(seeds[rows], of_size)
    return mixed


def _of_one_size(seeds: Hashes, text: npt.NDArray[np.uint8], texts: pa.Array) -> Hashes:
    count, size = text.shape
    if size > _LONGEST_ID_BYTES:
        return spread(np.fromiter((hash(each) for each in texts.to_pylist()), np.int64, count).view(np.uint64) ^ seeds)
    padded = text
    if size % 8:
        padded = np.zeros((count, size + -size % 8), np.uint8)
        padded[:, :size] = text
    mixed = seeds + np.uint64(size)
    for word in np.ascontiguousarray(padded).view(np.uint64).T:
        mixed = spread(mixed ^ word)  # spread after each: sums of words are equal for ids that were counted up
    return mixed
