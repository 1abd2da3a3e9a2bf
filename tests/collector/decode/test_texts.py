"""Texts picked, numbered and laid out, and rows put into tables: with the compiled library and without it."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from collector.decode.texts import encoded, laid
from collector.normalise.fields import Fields

LONGEST = 70


@pytest.mark.parametrize("distinct", [1, 5, 300, 2_047, 2_048, 2_049, 6_000])
def test_every_text_gets_the_number_of_its_first_place(distinct: int) -> None:
    """However many there are, and in whatever order."""
    rng = random.Random(distinct)
    texts = pa.array([b"%d of them" % rng.randrange(distinct) for _ in range(8_000)], pa.binary())
    picks = np.array([rng.randrange(len(texts)) for _ in range(8_000)], np.int32)
    numbers, words = encoded(texts, picks)
    picked = texts.take(pa.array(picks)).to_pylist()
    assert [words[number].as_py() for number in numbers] == picked
    assert words.to_pylist() == list(dict.fromkeys(picked))


def test_texts_of_any_length_are_laid_one_behind_the_other() -> None:
    """And nothing is written beside its place."""
    texts = pa.array([bytes(range(size)) for size in range(LONGEST)], pa.binary())
    more = pa.array([bytes(range(100, 100 + size)) for size in range(LONGEST)], pa.binary())
    rng = random.Random(1)
    picks = np.array([rng.randrange(-1, 2 * LONGEST) for _ in range(2_000)], np.int32)
    both = texts.to_pylist() + more.to_pylist()
    assert laid(texts, picks, more).to_pylist() == [None if pick < 0 else both[pick] for pick in picks.tolist()]


def test_of_an_attribute_that_stands_twice_on_a_span_the_last_row_counts() -> None:
    table = pa.table(
        {
            "owner_index": pa.array([0, 0, 2, 2, 2], pa.int32()),
            "key": pa.array(
                ["user.id", "gen_ai.usage.input_tokens", "unread", "user.id", "user.id"]
            ).dictionary_encode(),
            "value_type": pa.array([1, 3, 1, 1, 1], pa.int8()),
            "string_value": pa.array(["a", None, "b", "c", "d"]),
            "int_value": pa.array([None, 7, None, None, None], pa.int64()),
            "double_value": pa.nulls(5, pa.float64()),
        }
    )
    fields = Fields.of(table, 3)
    assert fields.table[fields.keys.local["user.id"]].tolist() == [0, -1, 4]
    assert fields.table[fields.keys.local["gen_ai.usage.input_tokens"]].tolist() == [1, -1, -1]
    assert fields.table[len(fields.keys.ids)].tolist() == [-1, -1, 2]
