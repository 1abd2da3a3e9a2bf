"""Who pays, as spans and resources say it, in columns: for each dimension the first of its keys that has a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from collector.decode.columns import OWNER_COLUMNS, RESOURCE_OWNER_COLUMNS, SpanBatch
from collector.normalise.fields import Fields, Ints, codes_of, one_chunk, values_of
from collector.normalise.texts import Index, Texts, without_quotes
from otel_cost.normalise.rules import SPAN_NAME


def own_owners(
    spans: pa.Table, fields: Fields, texts: Texts, agents: Sequence[tuple[str, ...]], shape: Ints
) -> dict[str, Index | None]:
    """The place of every owner dimension's text as the spans say it; None: nobody says it.

    `agents` says per shape where an agent span keeps its own name.
    """
    found = {name: texts.first(keys) for name, keys in fields.keys.owners.items()}
    found["agent"] = _own_agents(spans, fields, texts, (agents, shape), found["agent"])
    return {name: found[name] for name in OWNER_COLUMNS}


def _own_agents(
    spans: pa.Table, fields: Fields, texts: Texts, told: tuple[Sequence[tuple[str, ...]], Ints], agent: Index | None
) -> Index | None:
    """`agent` completed by the names that agent spans bear themselves."""
    agents, shape = told
    for wanted in set(agents) - {()}:
        if agent is None:
            agent = np.full(fields.size, -1, np.int64)
        mine = np.array([keys == wanted for keys in agents], np.bool_)[shape] & (agent < 0)
        for key in wanted:
            if mine.any():
                agent = np.where(mine, _names(spans, texts) if key == SPAN_NAME else _of_key(fields, texts, key), agent)
                mine &= agent < 0
    return agent


def _of_key(fields: Fields, texts: Texts, key: str) -> Index:
    place = fields.keys.local.get(key)
    return np.full(fields.size, -1, np.int64) if place is None else texts.find(fields.table[place])


def _names(spans: pa.Table, texts: Texts) -> Index:
    """The place of each span's name as a text."""
    code, values = codes_of(spans.column("name"))
    names = without_quotes(pa.array([*values, None], pa.string()))  # the last one answers for NULL
    places = texts.add(names) + np.arange(len(names))
    return np.where(names.is_valid().to_numpy(zero_copy_only=False), places, -1)[code]


def resource_owners(batch: SpanBatch) -> dict[str, pa.Array]:
    """Every owner dimension as the resources of the spans say it."""
    fields = Fields.of(batch.resource_attributes, batch.resources.num_rows)
    texts = Texts(fields)
    index = values_of(one_chunk(batch.spans.column("resource_index")), np.int32)
    return {
        column: texts.column(texts.first(keys), index)
        for column, keys in zip(RESOURCE_OWNER_COLUMNS, fields.keys.resource_owners.values(), strict=True)
    }
