"""Whose spans are and who sent them, per resource: organisations, and the marks of ingest tokens.

A token's name and tags become attributes of the resources that it sent, behind their own: so they are stored, found
again and attributed as everything else that a resource says, and what a sender writes under the token's name is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode import arrays
from collector.decode.columns import VALUE_STRING
from collector.decode.extras import Extra
from collector.decode.request import NO_ORIGIN, Origin, Request
from otel_cost.attributes import OTEL_COST_INGEST_TOKEN, OTEL_COST_TAG_PREFIX, OTEL_COST_TOKEN_PREFIX

MAX_ORGANIZATION_CHARS = 200
_CLAIMS = (OTEL_COST_INGEST_TOKEN, OTEL_COST_TAG_PREFIX + OTEL_COST_INGEST_TOKEN)


class Organizations(NamedTuple):
    """The organisation of each resource, and the resources that have none or none that can be one."""

    names: pa.StringArray
    missing: arrays.Ints
    invalid: arrays.Ints


def marks(requests: Sequence[Request], request_of_resource: arrays.Ints) -> list[Extra]:
    """What the ingest tokens of the requests say on their resources."""
    extras: list[Extra] = []
    for origin, rows in _resources_of(requests, request_of_resource):
        if origin.token and len(rows):
            said = {OTEL_COST_INGEST_TOKEN: origin.token}
            said |= {OTEL_COST_TOKEN_PREFIX + dimension: value for dimension, value in origin.tags}
            extras += [Extra(key, VALUE_STRING, rows, [value] * len(rows)) for key, value in said.items()]
    return extras


def without_claims(attributes: pa.Table, requests: Sequence[Request], request_of_span: arrays.Ints) -> pa.Table:
    """The attributes of spans without those under the token's name, where there is a token: a span's own would be found
    before its resource's. Rare, so it costs a look at the keys."""
    if all(request.origin is NO_ORIGIN for request in requests):
        return attributes
    keys = arrays.single(attributes.column("key"))
    claims = [code for code in (keys.dictionary.index(key).as_py() for key in _CLAIMS) if code >= 0]
    if not claims:
        return attributes
    has_token = np.array([bool(request.origin.token) for request in requests])
    owners = arrays.single(attributes.column("owner_index")).to_numpy()
    return attributes.filter(pa.array(~(np.isin(keys.indices.to_numpy(), claims) & has_token[request_of_span[owners]])))


def organizations(requests: Sequence[Request], request_of_resource: arrays.Ints, table: pa.Table) -> Organizations:
    """Of each resource: what it says where its sender may say so, else its request's. `table`: their attributes."""
    names = pa.array([request.org_id for request in requests], pa.string()).take(pa.array(request_of_resource))
    found = _resources_of(requests, request_of_resource)
    if not any(origin.organization_key for origin, _ in found):
        return Organizations(names, arrays.NO_ROWS, arrays.NO_ROWS)
    for origin, rows in found:
        if origin.organization_key:
            said = texts_of(table, origin.organization_key, len(names))
            may_say = np.zeros(len(names), np.bool_)
            may_say[rows] = True
            names = pc.if_else(pc.and_(pa.array(may_say), said.is_valid()), said, names)
    encoded = names.dictionary_encode()
    right = np.array([_is_name(name) for name in encoded.dictionary.to_pylist()], np.bool_)
    empty = np.array([name == "" for name in encoded.dictionary.to_pylist()], np.bool_)
    codes = encoded.indices.to_numpy()
    return Organizations(names, arrays.rows(empty[codes]), arrays.rows(~right[codes] & ~empty[codes]))


def texts_of(table: pa.Table, key: str, count: int) -> pa.StringArray:
    """The text of a key for each resource; the last one if it is there twice, NULL where there is none."""
    keys = arrays.single(table.column("key"))
    code = keys.dictionary.index(key).as_py()
    kinds = arrays.single(table.column("value_type")).to_numpy()
    rows = arrays.rows((keys.indices.to_numpy() == code) & (kinds == VALUE_STRING))
    owners = arrays.single(table.column("owner_index")).to_numpy()[rows]
    picks = np.full(count, -1, dtype=np.int64)
    picks[owners] = rows
    return arrays.single(table.column("string_value")).take(pa.array(picks, mask=picks < 0))


def _resources_of(requests: Sequence[Request], request_of_resource: arrays.Ints) -> list[tuple[Origin, arrays.Ints]]:
    """The resources of each sender of whom something is known."""
    if all(request.origin is NO_ORIGIN for request in requests):
        return []
    numbers: dict[Origin, list[int]] = {}
    for number, request in enumerate(requests):
        if request.origin != NO_ORIGIN:
            numbers.setdefault(request.origin, []).append(number)
    return [(origin, arrays.rows(np.isin(request_of_resource, held))) for origin, held in numbers.items()]


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_ORGANIZATION_CHARS and name.isprintable()
