"""What is told from whole columns is what the rules find one by one; how strings are stored changes nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest

from collector.attribute import attribute, owners, tree
from collector.attribute.counting import Verdict
from collector.attribute.skeleton import Spans, encode, has_gaps, pair_codes
from otel_cost.call import DIMENSIONS
from tests.collector.attribute.building import Row, fingerprint, skeleton, span

KINDS = ("leaf", "leaf", "leaf", "aggregate", "ignore", None)
RESPONSE_IDS = (None, None, "", "chatcmpl-1234567", "chatcmpl-7654321", "msg_1")


def _spans(rng: random.Random, trace: str) -> Iterator[Row]:
    """One trace: lost parents, loops, ids that other traces use, twins of other scopes, failures, odd owners."""
    names: list[str | None] = [None]
    for index in range(rng.randrange(1, 10)):
        name = fingerprint(rng.choice((f"{trace} {index}", f"shared {index}")))
        parent = rng.choice((*names, name, fingerprint("nobody")))
        names.append(name)
        kind = rng.choice(KINDS)
        usage = kind in ("leaf", "aggregate") and rng.random() < 0.7
        tokens = rng.choice(((100, 10), (100, 12), (50, 5))) if usage else (None, None)
        said: Row = {
            "call_kind": kind,
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "has_usage": usage,
            "cost_pico_usd": rng.choice((None, 0, 1000)) if usage else None,
            "reported_cost_pico_usd": rng.choice((None, None, 0, 5)),
            "failed": rng.random() < 0.2,
            "scope_name": rng.choice(("one", "one", "two", None)),
            "dialect": rng.choice(("official", "openlit", None)),
            "operation": rng.choice(("chat", "chat", "embeddings")),
            "request_model": rng.choice(("gpt-4o", "gpt-4o", None)),
            "response_id": rng.choice(RESPONSE_IDS),
        }
        yield span(name, parent, rng.randrange(4) / 10, trace_id=trace, org_id=rng.choice("aab")) | said


def _skeleton(seed: int) -> pa.Table:
    rng = random.Random(seed)
    rows = [row for trace in range(20) for row in _spans(rng, fingerprint(f"{seed} {trace}") * 2)]
    for name in (*DIMENSIONS, *(f"resource_{name}" for name in DIMENSIONS)):
        values = rng.choice(((None,), ("x",), ("x", "y"), ("x", None), ("x", ""), ("",), ("x", "", None)))
        for row in rows:
            row[name] = rng.choice(values)
    rng.shuffle(rows)
    return skeleton(rows)


@pytest.mark.parametrize("seed", range(60))
def test_whole_columns_say_what_the_rules_say(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners that every span says or none does, and parents found by unique ids: the same as span by span."""
    table = _skeleton(seed)
    quick = attribute(table).to_pylist()

    def slow(spans: Spans, name: str, parents: tree.Tree, verdict: Verdict) -> pa.Array:
        columns = spans.column(name), spans.column(f"resource_{name}")
        return owners._resolve_one_by_one(columns, parents, verdict)

    monkeypatch.setattr(owners, "_resolve", slow)
    monkeypatch.setattr(tree, "_has_repeats", lambda codes: True)
    assert attribute(table).to_pylist() == quick


@pytest.mark.parametrize("seed", range(20))
def test_dictionaries_and_chunks_are_read_as_strings_are(seed: int) -> None:
    """A store may hand over its columns as they lie on disk: encoded, in pieces, each with a dictionary of its own."""
    table = _skeleton(seed)
    half = len(table) // 2
    encoded = [
        pa.Table.from_arrays(
            [
                column.combine_chunks().dictionary_encode() if column.type == pa.string() else column
                for column in part.columns
            ],
            names=table.column_names,
        )
        for part in (table.slice(0, half), table.slice(half))
    ]
    assert attribute(pa.concat_tables(encoded)).to_pylist() == attribute(table).to_pylist()


def test_a_dictionary_may_repeat_a_text_or_hold_null() -> None:
    """Codes are equal exactly where the texts are; empty and missing texts are unknown."""
    values = pa.array(["a", "b", "a", None, ""], pa.string())
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, 4, None], pa.int32()), values)
    codes = encode(column)[0].codes.tolist()
    assert codes[0] == codes[2] != codes[1]
    assert codes[3:] == [-1, -1, -1]
    assert has_gaps(column)


def test_pairs_are_told_apart_whatever_their_size() -> None:
    """Negative and very large numbers do not run into each other."""
    one = pa.array([0, 1, 1 << 61, 1 << 61, 0, -1]).to_numpy()
    other = pa.array([1 << 40, -5, 7, 7, 1 << 40, 1 << 62]).to_numpy()
    assert pair_codes(one, other).tolist() == [0, 1, 2, 2, 0, 3]


def test_no_spans_give_no_verdicts() -> None:
    """An empty skeleton is fine."""
    assert attribute(skeleton([])).num_rows == 0


def test_a_late_parent_in_another_trace_is_nobodys_parent() -> None:
    """Ids are compared within their trace only."""
    rows = [
        span("a" * 16, trace_id="1" * 32, agent="planner"),
        span("b" * 16, "a" * 16, trace_id="2" * 32, call_kind="leaf"),
    ]
    assert attribute(skeleton(rows)).column("agent").to_pylist() == [None]


def test_columns_that_share_their_codes_may_each_have_a_dictionary_of_their_own() -> None:
    """Equal texts have one code in both, with words that neither row says, NULL and empty ones among them."""
    texts: list[list[str | None]] = [["b", "a", None, "", "c", "b"], ["c", "b", "", "z", None, "a"]]
    words: list[list[str | None]] = [["unsaid", "a", "b", None, "", "c"], ["z", "", "c", "b", "a"]]
    columns: list[pa.Array] = [
        pa.DictionaryArray.from_arrays(
            pa.array([None if text is None else own.index(text) for text in said], pa.int32()),
            pa.array(own, pa.string()),
        )
        for said, own in zip(texts, words, strict=True)
    ]
    for mixed in (columns, [columns[0], columns[1].cast(pa.string())]):
        found = encode(*mixed)
        told = [[None if code < 0 else one.values[code].as_py() for code in one.codes.tolist()] for one in found]
        assert told == [[text or None for text in said] for said in texts]
        assert found[0].codes[0] == found[1].codes[1]
