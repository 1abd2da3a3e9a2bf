"""The vectorised JSON objects against `json.dumps` of plain Python values."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pytest

from collector.decode import Request, decode_requests
from collector.decode.columns import ATTRIBUTE_SCHEMA, VALUE_DOUBLE, VALUE_INT, VALUE_STRING
from collector.decode.remainder import attributes_json
from tests.collector.decode.reference import by_owner, random_request


def _expected(attributes: list[tuple[str, int, object]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, kind, value in attributes:
        fields.pop(key, None)
        fields[key] = _data(kind, value)
    return fields


def _data(kind: int, value: Any) -> Any:
    if kind == 2:
        return bool(value)
    if kind == VALUE_DOUBLE:
        number = float(value)
        if number != number:
            return "NaN"
        return {float("inf"): "Infinity", float("-inf"): "-Infinity"}.get(number, number)
    return json.loads(value) if kind == 5 else value


def _table(rows: list[tuple[int, str, int, str | None, int | None, float | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, ATTRIBUTE_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=ATTRIBUTE_SCHEMA)


@pytest.mark.parametrize("seed", range(20))
def test_objects_hold_what_was_sent_in_order(seed: int) -> None:
    """All value types, keys and texts that need escapes, owners without attributes, keys sent twice."""
    rng = random.Random(seed)
    bodies = [random_request(rng).SerializeToString() for _ in range(20)]
    batch = decode_requests([Request(body, "o") for body in bodies]).batch
    for table, count in ((batch.attributes, len(batch.spans)), (batch.resource_attributes, len(batch.resources))):
        texts = attributes_json(table, count)
        texts.validate(full=True)
        kept = table.filter(pa.array([not key.startswith("otel.") for key in table.column("key").to_pylist()]))
        for text, attributes in zip(attributes_json(kept, count).to_pylist(), by_owner(kept, count), strict=True):
            wanted = _expected(attributes)
            assert json.loads(text) == wanted
            assert list(json.loads(text)) == list(wanted)
        assert [json.loads(text) is None for text in texts.to_pylist()] == [False] * count


def test_the_text_is_compact_and_numbers_keep_their_digits() -> None:
    """No spaces; 64-bit integers are not rounded; characters beyond ASCII stay."""
    rows: list[tuple[int, str, int, str | None, int | None, float | None]] = [
        (1, "a", VALUE_INT, None, 2**63 - 1, None),
        (1, "ü", VALUE_STRING, 'é"\n\x01\\', None, None),
        (3, "d", VALUE_DOUBLE, None, None, 0.1),
    ]
    texts = attributes_json(_table(rows), 5).to_pylist()
    assert texts == ["{}", '{"a":9223372036854775807,"ü":"é\\"\\n\\u0001\\\\"}', "{}", '{"d":0.1}', "{}"]


@pytest.mark.parametrize("many", [1, 50])
def test_only_what_needs_escapes_is_escaped(many: int) -> None:
    """More characters to escape than rows, or fewer; empty texts around them; each kind of character alone."""
    texts = ["", '"' * many, "", "plain", "\\" * many, "\n" * many, "\r", "\t", "\x00", "", "ü" * many, '\\"\x1f\n', ""]
    for part in (texts, texts[1:2], texts[:3], texts[4:5], texts[8:]):
        table = _table([(owner, "k", VALUE_STRING, text, None, None) for owner, text in enumerate(part)])
        assert [json.loads(text)["k"] for text in attributes_json(table, len(part)).to_pylist()] == part


def test_a_character_is_escaped_wherever_it_stands() -> None:
    """And only there: texts of every length up to some words of the machine, each character at each place."""
    texts = ["a" * size for size in range(20)]
    for character in ('"', "\\", "\x00", "\x1f", " ", "!", "\x7f", "é", "\U0010ffff"):
        texts += ["a" * at + character + "a" * (size - at) for size in range(20) for at in range(size + 1)]
    table = _table([(owner, "k", VALUE_STRING, text, None, None) for owner, text in enumerate(texts)])
    assert attributes_json(table, len(texts)).to_pylist() == [
        json.dumps({"k": text}, ensure_ascii=False, separators=(",", ":")) for text in texts
    ]


def test_the_last_of_a_repeated_key_counts() -> None:
    """Also when the types differ, and only within one owner."""
    rows: list[tuple[int, str, int, str | None, int | None, float | None]] = [
        (0, "k", VALUE_STRING, "first", None, None),
        (0, "other", VALUE_INT, None, 1, None),
        (0, "k", VALUE_INT, None, 2, None),
        (1, "k", VALUE_STRING, "mine", None, None),
    ]
    assert attributes_json(_table(rows), 2).to_pylist() == ['{"other":1,"k":2}', '{"k":"mine"}']


def test_slices_and_filtered_tables_are_read_right() -> None:
    """A stage may hand on part of a table, in several chunks."""
    rows: list[tuple[int, str, int, str | None, int | None, float | None]] = [
        (owner, f"k{owner % 3}", VALUE_STRING, f'v"{owner}', None, None) for owner in range(6)
    ]
    table = _table(rows)
    parts = pa.concat_tables([table.slice(2, 2), table.slice(4, 2)])
    assert attributes_json(parts, 6).to_pylist()[2:4] == ['{"k2":"v\\"2"}', '{"k0":"v\\"3"}']
    assert attributes_json(table.slice(3), 6).to_pylist()[2:4] == ["{}", '{"k0":"v\\"3"}']


def test_no_attributes_at_all() -> None:
    """As many empty objects as owners, none for none."""
    assert attributes_json(ATTRIBUTE_SCHEMA.empty_table(), 2).to_pylist() == ["{}", "{}"]
    assert attributes_json(ATTRIBUTE_SCHEMA.empty_table(), 0).to_pylist() == []
