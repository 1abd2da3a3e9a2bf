"""What of a reading is billed, and by how many spans: parts by other models, items of batches, things told twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from time import monotonic
from typing import NamedTuple

from otel_cost.instrument.wire.types import Part, Reading, taker
from otel_cost.pricing.units import INPUT, REQUESTS
from otel_cost.recent import Recent

MAX_COUNTED_IDS = 65_536
"""Ids of responses and items that were counted here (twice as many at most, 20 MB): a background response that is
polled again, or a batch that is downloaded again, after so many others is counted twice by this process."""

MAX_ITEM_SPANS = 500
"""Items of one batch that get spans of their own. More would overflow the queue of the SDK's exporting processor
(2048), which drops spans without a word."""

MAX_SUMMED_INPUT_TOKENS = 32_000
"""Items are summed up to here: no price list knows a dearer rate for calls with fewer input tokens, so that a sum is
priced like its items. A single item may be larger."""

CONTAINER_SECONDS = 1200.0
"""A container of OpenAI's code interpreter expires when it was not used for 20 minutes."""
MAX_CONTAINERS = 1024
"""Containers that are remembered (twice as many at most); the session of one that is forgotten is counted again."""
SESSIONS = "code_interpreter_sessions"

_containers: Recent[str, float] = Recent(MAX_CONTAINERS)
_counted: Recent[str, object] = Recent(MAX_COUNTED_IDS)


class Bill(NamedTuple):
    """What one span says was used: one part, or several that have everything in common but their quantities."""

    part: Part
    items: int = 1


def forget() -> None:
    """Forget which ids were counted."""
    _counted.clear()
    _containers.clear()


def is_first(provider: str, response_id: str | None) -> bool:
    """Whether usage under this id has not been counted here; from now on it has. Without an id nobody knows: True."""
    return response_id is None or _counted.add(f"{provider} {response_id}")


def is_plain(reading: Reading) -> bool:
    """Whether its usage is all that is billed, and just as it is reported: of nearly all calls, `bills_of` needs not
    be asked then. From now on its id is counted."""
    provider, response_id, usage, is_billable, counts_once, parts = _billed(reading)
    if counts_once or parts or not is_billable or SESSIONS in usage or not any(usage.values()):
        return False
    if response_id is not None:
        _counted.add(f"{provider} {response_id}")
    return True


_billed = taker(Reading, "provider", "response_id", "usage", "is_billable", "counts_once", "parts")


def bills_of(reading: Reading) -> list[Bill]:
    """Everything that is billed for this exchange; empty where nothing is."""
    if reading.counts_once:
        parts = reading.parts or (_as_part(reading),)
        return summed([part for part in parts if _has_use(part) and is_first(reading.provider, _id_of(part))])
    if not reading.is_billable:
        return []
    if any(reading.usage.values()):
        is_first(reading.provider, reading.response_id)
        if SESSIONS in reading.usage:
            reading = _without_open_containers(reading)
    if not reading.parts:
        return [Bill(_as_part(reading))]
    split_cost = any(part.reported_cost_pico_usd is not None for part in reading.parts)
    if reading.reported_cost_pico_usd is not None and not split_cost:
        return [Bill(_as_part(reading))]
    return summed(reading.parts)


def _id_of(part: Part) -> str | None:
    """A part's own id, or that of its line in a file of results."""
    item = part.extra.get("item_id")
    return part.response_id or (item if isinstance(item, str) else None)


def _without_open_containers(reading: Reading) -> Reading:
    """Code interpreters are billed per container, which lives on for the next calls."""
    opened = reading.usage.get(SESSIONS)
    ids = reading.extra.get("container_ids")
    if not opened or not ids:
        return reading
    now = monotonic()
    new = 0
    for name in ids:
        last = _containers.get(name)
        new += last is None or now - last > CONTAINER_SECONDS
        _containers.put(name, now)
    return reading._replace(usage={**reading.usage, SESSIONS: min(opened, new)})


def summed(parts: Sequence[Part]) -> list[Bill]:
    """Each part by itself where they are few; else those of one model and price together, as far as that is exact."""
    if len(parts) <= MAX_ITEM_SPANS:
        return [Bill(part) for part in parts]
    groups: dict[object, list[Part]] = {}
    for part in parts:
        groups.setdefault((part.model, part.service_tier, tuple(sorted(part.context.items()))), []).append(part)
    return [bill for group in groups.values() for bill in _packed(group)]


def _packed(parts: Iterable[Part]) -> list[Bill]:
    packs: list[list[Part]] = []
    room = -1
    for part in parts:
        size = part.usage.get(INPUT, 0)
        if size > room or part.reported_cost_pico_usd is not None:
            packs.append([])
            room = MAX_SUMMED_INPUT_TOKENS
        packs[-1].append(part)
        room = -1 if part.reported_cost_pico_usd is not None else room - size
    return [Bill(_sum(pack), len(pack)) if len(pack) > 1 else Bill(pack[0]) for pack in packs]


def _sum(parts: Sequence[Part]) -> Part:
    usage: dict[str, int] = {}
    for part in parts:
        for unit, quantity in part.usage.items():
            usage[unit] = usage.get(unit, 0) + quantity
    usage.setdefault(REQUESTS, len(parts))  # what is billed per request
    ids = blake2b("\n".join(part.response_id or "" for part in parts).encode(), digest_size=12).hexdigest()
    return parts[0]._replace(usage=usage, response_id=f"items_{ids}", finish_reasons=None)


def _as_part(reading: Reading) -> Part:
    return Part(
        reading.response_model,
        reading.usage,
        reading.response_id,
        reading.service_tier,
        reading.context,
        reading.reported_cost_pico_usd,
        reading.finish_reasons,
        reading.error_type,
    )


def _has_use(part: Part) -> bool:
    return any(part.usage.values()) or part.reported_cost_pico_usd is not None


def as_reading(reading: Reading, part: Part, operation: str) -> Reading:
    """The reading of a part by itself."""
    context: Mapping[str, str] = {**reading.context, **part.context}
    return reading._replace(
        operation=operation,
        request_model=reading.request_model if part.model in (None, reading.response_model) else part.model,
        response_model=part.model or reading.response_model,
        response_id=part.response_id,
        usage=part.usage,
        service_tier=part.service_tier or reading.service_tier,
        context=context,
        reported_cost_pico_usd=part.reported_cost_pico_usd,
        finish_reasons=part.finish_reasons,
        error_type=part.error_type,
        is_billable=True,
        counts_once=False,
        status=None,
        parts=(),
        said=None,
    )
