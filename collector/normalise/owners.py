"""Who pays, as spans and resources say it, in columns: for each dimension the first of its keys that has a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import DICT_STRING, VALUE_INT, VALUE_STRING
from collector.normalise.keys import IDENTITY, KEY_IDS, OWNER, ROLES
from collector.normalise.rows import Bools, Places, Rows
from otel_cost.normalise.rules import SPAN_NAME
from otel_cost.normalise.transforms import text

Index = npt.NDArray[np.int64]


class Texts:
    """The rows' values through the transform `text`: strings, NULL where a value is no text."""

    def __init__(self, rows: Rows) -> None:
        wanted = np.flatnonzero(ROLES[rows.key] & (OWNER | IDENTITY))
        self._place = np.full(len(rows.key) + 1, -1, np.int64)  # the last entry answers for row -1
        self._place[wanted] = np.arange(len(wanted))
        self.strings = _as_text(rows, wanted)
        self._valid = np.append(self.strings.is_valid().to_numpy(zero_copy_only=False), False)

    def find(self, rows: npt.NDArray[np.int32]) -> Index:
        """Place in `strings` of each row's text; -1: none."""
        found = self._place[rows]
        return np.where(self._valid[found], found, -1)

    def take(self, places: Index) -> pa.Array:
        """The texts at these places."""
        return self.strings.take(pa.array(places, mask=places < 0))

    def column(self, places: Index, names: pa.Array | None = None) -> pa.Array:
        """The texts at these places as a DICT_STRING array; places after the last one are places in `names`."""
        if (places < 0).all():
            return pa.DictionaryArray.from_arrays(pa.nulls(len(places), pa.int32()), pa.array([], pa.string()))
        strings = self.strings
        if names is not None and (places >= len(strings)).any():
            strings = pa.concat_arrays([strings, names])
        return strings.take(pa.array(places, mask=places < 0)).dictionary_encode().cast(DICT_STRING)


def _as_text(rows: Rows, wanted: npt.NDArray[np.intp]) -> pa.Array:
    kind = rows.value_type[wanted]
    strings = rows.strings.take(pa.array(wanted))
    keep = (kind == VALUE_STRING) & pc.fill_null(pc.greater(pc.binary_length(strings), 0), False).to_numpy(
        zero_copy_only=False
    )
    if not keep.all():
        strings = pc.if_else(pa.array(keep), strings, pa.scalar(None, pa.string()))
    whole = kind == VALUE_INT
    if whole.any():
        strings = pc.if_else(pa.array(whole), pc.cast(pa.array(rows.ints[wanted]), pa.string()), strings)
    return without_quotes(strings)


def without_quotes(strings: pa.Array) -> pa.Array:
    """Strings in JSON quotes without them; empty ones as NULL."""
    quoted = pc.fill_null(pc.starts_with(strings, '"'), False)
    if not pc.any(quoted).as_py():
        return strings
    return pa.array([text(value) if isinstance(value, str) else None for value in strings.to_pylist()], pa.string())


def dimension_places(table: Mapping[str, tuple[str, ...]], places: Places, texts: Texts, size: int) -> dict[str, Index]:
    """Dimension -> place of its text for each span (or resource); -1: none."""
    return {
        dimension: _coalesce(map(KEY_IDS.__getitem__, keys), places, texts, size) for dimension, keys in table.items()
    }


def _coalesce(keys: Iterable[int], places: Places, texts: Texts, size: int) -> Index:
    found = np.full(size, -1, np.int64)
    for key in keys:
        rows = places.of(key)
        if rows is not None:
            found = np.where(found >= 0, found, texts.find(rows))
    return found


def own_agents(
    agent: Index,
    keys: Sequence[tuple[str, ...]],
    shape: Index,
    places: Places,
    texts: Texts,
    names: tuple[Index, Bools],
) -> Index:
    """`agent` completed by the name that agent spans bear themselves. Span names follow the texts."""
    name_code, name_valid = names
    for wanted in set(keys) - {()}:
        mine = np.array([key == wanted for key in keys], np.bool_)[shape] & (agent < 0)
        if not mine.any():
            continue
        for key in wanted:
            if key == SPAN_NAME:
                found = np.where(name_valid[name_code], name_code + len(texts.strings), -1)
            else:
                rows = places.of(KEY_IDS[key])
                found = np.full(len(agent), -1, np.int64) if rows is None else texts.find(rows)
            agent = np.where(mine & (agent < 0), found, agent)
    return agent
