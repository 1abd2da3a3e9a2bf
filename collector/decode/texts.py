"""Texts picked out of arrays: by the compiled library, else by Arrow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.compiled import texts as compiled
from collector.compiled.arrays import binary
from collector.decode import arrays
from collector.decode.slices import NO_BYTES

Picks = npt.NDArray[np.int32]

_NOTHING = pa.array([], pa.binary())


def wire_texts(bounds: Picks, buffer: pa.Buffer) -> pa.BinaryArray:
    """Places on the wire, ascending, as an array without a copy: text i is between bounds i and i + 1."""
    return pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), buffer])


def laid(texts: pa.BinaryArray, picks: Picks, more: pa.BinaryArray = _NOTHING) -> pa.BinaryArray:
    """The picked texts, those behind the last of `texts` from `more`; NULL where a pick is negative."""
    found = compiled.lay_texts(texts_of(texts), texts_of(more), picks)
    if found is not None:
        return binary(*found)
    whole = pa.concat_arrays([texts, more]) if len(more) else texts
    return whole.take(pa.array(picks, mask=picks < 0))


def encoded(texts: pa.BinaryArray, picks: Picks) -> tuple[Picks, pa.BinaryArray]:
    """The picked texts as numbers of distinct ones, which come in the order in which they are met."""
    found = compiled.number_texts(texts_of(texts), picks)
    if found is not None:
        numbers, firsts = found
        return numbers, texts.take(pa.array(picks[firsts]))
    one = texts.take(pa.array(picks)).dictionary_encode()
    return one.indices.to_numpy(), one.dictionary


def texts_of(array: pa.BinaryArray | pa.StringArray) -> compiled.Texts:
    """An array as the library takes it."""
    bounds = arrays.offsets(array)
    data = array.buffers()[2] if bounds[-1] else NO_BYTES
    return compiled.Texts(np.frombuffer(data, dtype=np.uint8), bounds)
