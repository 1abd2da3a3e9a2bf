"""How a call's tokens were estimated, kept in its `cost_reason`."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

MARK = "tokens estimated by "


def method_of(reason: str | None) -> str | None:
    """The way of estimating that a stored reason names; None: it names none."""
    _, mark, method = (reason or "").partition(MARK)
    return method if mark else None


def with_methods(costs: pa.Table, methods: Mapping[int, str]) -> pa.Table:
    """COST_SCHEMA with the way of estimating behind the reason, if any, of the rows that `methods` names."""
    if not methods:
        return costs
    reasons: list[str | None] = costs.column("cost_reason").to_pylist()
    for row, method in methods.items():
        reasons[row] = "; ".join(filter(None, (reasons[row], MARK + method)))
    place = costs.schema.get_field_index("cost_reason")
    field = costs.schema.field(place)
    return costs.set_column(place, field, pa.array(reasons, pa.string()).dictionary_encode().cast(field.type))
