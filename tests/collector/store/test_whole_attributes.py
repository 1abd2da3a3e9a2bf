"""A value that stands in a column is kept once, and the attributes are shown as they were sent, to the character."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from collector.decode.columns import COST_SCHEMA, LEDGER_SCHEMA, MARKS, OWNER_COLUMNS
from collector.decode.remainder import attributes_json
from collector.ledger import ledger_table
from collector.limits import MAX_NAME_BYTES
from collector.normalise import normalise_columns, parts
from collector.store.upkeep import Archive
from collector.store.whole_attributes import with_whole_attributes
from tests.collector.store.conftest import OpenStore
from tests.collector.store.ledger_rows import attribute, batch, call
from tests.collector.store.scratch_ledger import ScratchLedger
from tests.collector.store.test_maintenance import settle
from tests.collector.store.test_retention import DAY, aged
from tests.otel_cost.normalise.samples import SAMPLES, sample_spans
from tests.strategies import Span, batch_of, spans

SAID = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 1_200,
    "gen_ai.usage.output_tokens": 34,
    "customer.id": "acme",
    "user.id": "user-7",
    "gen_ai.agent.name": "writer",
    "app.note": "plain",
}
MARKED = {"response_id", "input_tokens", "output_tokens", "customer", "user", "agent"}


def ledger_of(made: Sequence[Span]) -> tuple[pa.Table, list[str]]:
    """What the store gets for spans, and their attributes as they were sent."""
    decoded = batch_of(made)
    calls = normalise_columns(decoded)
    nothing = [pa.repeat(0 if field.name == "flags" else None, len(made)).cast(field.type) for field in COST_SCHEMA]
    unpriced = pa.Table.from_arrays(nothing, schema=COST_SCHEMA)
    return ledger_table(decoded, calls, unpriced), attributes_json(decoded.attributes, len(made)).to_pylist()


def marks_in(texts: Sequence[str]) -> set[str]:
    """The columns whose mark stands in some text."""
    return {name for name, mark in MARKS.items() if any(mark in text for text in texts)}


def assert_whole(made: Sequence[Span]) -> set[str]:
    """Marks are undone exactly; which columns are marked."""
    ledger, sent = ledger_of(made)
    assert with_whole_attributes(ledger).column("attributes").to_pylist() == sent
    return marks_in(ledger.column("attributes").to_pylist())


def test_a_mark_is_a_control_character_of_its_own_and_stays_what_it_is() -> None:
    """Files hold them: a mark that moved to another column would change what spans of years ago said."""
    assert MARKS == {
        "response_id": "\x01", "run": "\x02", "agent": "\x03", "customer": "\x04", "feature": "\x05", "team": "\x06",
        "user": "\x07", "project": "\x08", "environment": "\x0e", "conversation": "\x0f", "input_tokens": "\x10",
        "output_tokens": "\x11", "cache_read_tokens": "\x12", "cache_write_tokens": "\x13",
        "output_reasoning_tokens": "\x14",
    }  # fmt: skip
    assert set(MARKS) <= set(LEDGER_SCHEMA.names)
    assert set(OWNER_COLUMNS) <= set(MARKS)


def test_ids_owners_and_counts_are_kept_once() -> None:
    """Their text is not in the attributes any more; what has no column stays."""
    ledger, sent = ledger_of([Span(attributes=SAID)])
    (kept,) = ledger.column("attributes").to_pylist()
    assert marks_in([kept]) == MARKED
    assert '"app.note":"plain"' in kept
    assert '"gen_ai.response.id":"\x01"' in kept
    assert not any(text in kept for text in ("chatcmpl-1", "acme", "user-7", "writer", "1200"))
    assert with_whole_attributes(ledger).column("attributes").to_pylist() == sent
    assert json.loads(sent[0]) == SAID


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_recorded_spans_are_shown_as_they_were_sent(path: Path) -> None:
    """Every dialect that was recorded."""
    assert_whole([span for _, span in sample_spans(path)])


@pytest.mark.parametrize("seed", range(3))
def test_odd_spans_are_shown_as_they_were_sent(seed: int) -> None:
    """Wrong types, numeric text, impossible counts, text with quotes: what differs from its column stays written."""
    assert assert_whole(list(spans(seed, 4_000))) >= {"response_id", "input_tokens", "customer", "user", "team"}


def test_batches_that_are_read_in_parts_are_marked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts number their attributes anew."""
    monkeypatch.setattr(parts, "MAX_CELLS", 2_000)
    made = [Span(attributes={**SAID, "customer.id": f"c{number}", "user.id": f"u{number}"}) for number in range(300)]
    assert assert_whole(made) == MARKED


@pytest.mark.parametrize(
    "value", ['a "quote"', "back\\slash", "line\nfeed", "\x01", "\x04\x07", "ü" * MAX_NAME_BYTES, '"quoted"', "", 42]
)
def test_a_value_that_is_not_written_as_its_column_says_it_is_no_mark(value: Any) -> None:
    """What needs escapes, was cut for its column, or is of another type."""
    made = [Span(attributes={**SAID, "customer.id": value}), Span(attributes=SAID)]
    ledger, _ = ledger_of(made)
    assert MARKS["customer"] not in ledger.column("attributes").to_pylist()[0]
    assert_whole(made)


def test_a_count_that_settling_has_changed_stays_as_it_was_sent() -> None:
    """Input without what came from the cache: the column has the sum, the attribute what the app said."""
    anthropic = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.output_tokens": 5,
    }
    ledger, sent = ledger_of(
        [Span(scope_name="com.anthropic.sdk.python", attributes=anthropic), Span(attributes=anthropic)]
    )
    assert with_whole_attributes(ledger).column("attributes").to_pylist() == sent
    changed = ledger.filter(pc.not_equal(ledger.column("input_tokens"), 10))
    assert MARKS["input_tokens"] not in "".join(changed.column("attributes").to_pylist())


@pytest.mark.parametrize("rows", [slice(0, 0), slice(1, 2), slice(3, 9)])
def test_slices_and_chunks_are_made_whole(rows: slice) -> None:
    """Arrow tables come in every form."""
    made = [Span(attributes={**SAID, "customer.id": f"c{number}"}) for number in range(9)]
    ledger, sent = ledger_of(made)
    chunked = pa.concat_tables([ledger.slice(0, 4), ledger.slice(4)])
    for table in (ledger, chunked):
        part = table.slice(rows.start, rows.stop - rows.start)
        assert with_whole_attributes(part).column("attributes").to_pylist() == sent[rows]


def test_text_without_marks_is_what_it_is() -> None:
    """As in every file that an older program wrote."""
    rows = batch([call(1, 1, attributes='{"user.id":"u"}', user="someone else")])
    assert with_whole_attributes(rows) is rows


def test_everybody_sees_whole_attributes(open_store: OpenStore, ledger_path: Path) -> None:
    """The ledger, its publication, after a merge and a restart; columns that attribution supplies change nothing."""
    made = [Span(attributes={**SAID, "customer.id": f"c{number}"}) for number in range(40)]
    made += [Span(attributes={"app.note": "no call"})]
    ledger, sent = ledger_of(made)
    store = open_store()
    for row in range(len(made)):
        assert store.append(ledger.slice(row, 1), attribute).accepted == 1
    sql = "SELECT attributes FROM spans ORDER BY seq"

    def shown() -> list[str]:
        store.publish()
        from_ledger = store.read(lambda reader: reader.rows(sql))
        assert published(ledger_path, sql) == from_ledger
        return [row[0] for row in from_ledger]

    assert shown() == sent
    assert settle(store)
    assert shown() == sent
    store.stop()
    store = open_store()
    assert shown() == sent
    by_customer = "SELECT count(DISTINCT json_extract_string(attributes, '$.\"customer.id\"')) FROM spans"
    assert published(ledger_path, by_customer) == [(40,)]


def published(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """An answer of the published file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return found


def test_a_resend_is_compared_as_it_was_sent(open_store: OpenStore) -> None:
    """An owner is no content, but the attribute that names it is."""
    made = [Span(attributes={**SAID, "customer.id": f"c{number}"}) for number in range(4)]
    ledger, _ = ledger_of(made)
    other, _ = ledger_of([*made[:3], Span(attributes={**SAID, "customer.id": "somebody else"})])
    other = pa.Table.from_arrays(
        [ledger.column(name) if name.endswith("_id") else other.column(name) for name in ledger.column_names],
        schema=ledger.schema,
    )
    store = open_store()
    assert store.append(ledger, attribute).accepted == 4
    again = store.append(ledger, attribute)
    assert (again.duplicates, again.changed) == (4, 0)
    again = store.append(other, attribute)
    assert (again.duplicates, again.changed) == (4, 1)
    assert store.read(lambda reader: reader.rows("SELECT changed FROM changed_resends")) == [("attributes",)]


def test_the_archive_holds_whole_attributes(tmp_path: Path) -> None:
    """Its files are for any reader of Parquet."""
    root = tmp_path / "cold"
    ledger = ScratchLedger(tmp_path / "ledger.duckdb", archive=Archive(root, 30 * DAY))
    ledger.append([{**aged(1, 40), "customer": "acme", "attributes": '{"customer.id":"\x04","n":\x10}'}])
    assert ledger.settle()
    (file,) = root.rglob("*.parquet")
    assert parquet.read_table(file, columns=["attributes"]).to_pydict() == {
        "attributes": ['{"customer.id":"acme","n":1000}']
    }
