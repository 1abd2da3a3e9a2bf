"""Calls that name their lease are found among those that name none."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collector.store import budgets
from collector.store.rows import MONEY


def rows(*chunks: list[str]) -> pa.Table:
    """Calls with these attributes."""
    attributes = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks], pa.string())
    of_all = {"call_kind": "leaf", "input_tokens": 2, "output_tokens": 3, "counted": True}
    columns = {name: pa.array([value] * len(attributes)) for name, value in of_all.items()}
    cost = pa.nulls(len(attributes), MONEY)
    return pa.table({**columns, "attributes": attributes, "cost_usd": cost})


@pytest.mark.parametrize("before", range(40))
def test_a_lease_is_found_wherever_it_lies_in_the_texts(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_LOOKED_AT_BYTES", 16)
    text = "x" * before + '"otel_cost.lease":"l/1"'
    found = budgets.leased_calls(rows(["", "no"], ["{}", text, "{}"], []))
    assert found is not None
    assert found.column("lease_id").to_pylist() == ["l/1"]
    assert found.column("tokens").to_pylist() == [5]


def test_texts_that_only_look_alike_together_name_no_lease() -> None:
    assert budgets.leased_calls(rows(['"otel_cost.', 'lease":"l/1"'])) is None
    assert budgets.leased_calls(rows()) is None
