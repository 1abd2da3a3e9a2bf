"""Chat answers as they nearly always are, read by a plan.

The answers of one API have the same keys call after call. What follows from the keys alone is worked out once: which
units the usage tells, and where; what else of the answer is read. The values are then taken in a few steps. Whatever is
not as the plan expects is left to the reader of any answer (`openai_chat`), which gives the same for what a plan reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, NamedTuple

from otel_cost.instrument.wire.openai_usage import APART_THINKERS, BESIDE_TOKENS, present
from otel_cost.instrument.wire.types import Asked, Head, Reading, maker
from otel_cost.instrument.wire.values import MAX_TEXT, NOTHING, put, text
from otel_cost.pricing.units import CACHE_READ, INPUT, MAX_QUANTITY, OUTPUT

_Keys = tuple[str, ...]
_Take = Callable[[Mapping[str, Any]], tuple[Any, ...]]
_Texts = tuple[list[str], list[str]]

_NONE: dict[str, Any] = {}
_INTS = {int}
_OTHERS = frozenset({"error", "usage_breakdown"})
"""Keys of an answer that says more than a plan reads."""

_reading = maker(Reading)


class _Plan(NamedTuple):
    """How answers with certain keys are read: counts of `units`, from the three parts of the usage one after another.

    What may be missing of what any answer has is asked of the answer itself.
    """

    units: _Keys  # one that is told alone in its part stands here twice, as `_taking` gives it
    of_usage: _Take
    of_prompt: _Take
    of_completion: _Take
    says_cached: bool  # else a header may
    says_tier: bool
    says_fingerprint: bool


def usual_reading(
    any_reading: Callable[[Asked, Head, Any, bool | None], Reading],
    texts: Callable[[Asked, Any], _Texts],
    asked: Asked,
    head: Head,
    said: Any,
    is_stream: bool | None = None,
) -> Reading:
    """What the JSON of a chat's answer says; where it is no usual one `any_reading` reads it. `texts`: of the request
    and of `choices`."""
    if type(said) is not dict or head[0] != 200:
        return any_reading(asked, head, said, is_stream)
    usage, choices = said.get("usage"), said.get("choices")
    if type(usage) is not dict or type(choices) is not list or len(choices) != 1:
        return any_reading(asked, head, said, is_stream)
    _, provider, operation, _, request_model, asked_stream, _, context, _ = asked
    prompt = usage.get("prompt_tokens_details") or _NONE
    completion = usage.get("completion_tokens_details") or _NONE
    try:
        plan = _plan(operation, provider, tuple(said), tuple(usage), tuple(prompt), tuple(completion))
        if plan is None:
            return any_reading(asked, head, said, is_stream)
        units, of_usage, of_prompt, of_completion, says_cached, says_tier, says_fingerprint = plan
        values = (*of_usage(usage), *of_prompt(prompt), *of_completion(completion))
        model, response_id, reason = said["model"], said["id"], choices[0]["finish_reason"]
        characters = len("".join((model, response_id, reason)))
    except (TypeError, KeyError):  # of another kind than planned, or not there
        return any_reading(asked, head, said, is_stream)
    counts = dict(zip(units, values))  # noqa: B905  # they are as many; to have it checked takes half as long again
    total = counts[INPUT] + counts[OUTPUT] if set(map(type, values)) == _INTS else None
    if (
        total is None
        or total != usage.get("total_tokens", total)
        or min(values) < 0
        or max(values) > MAX_QUANTITY
        or characters > MAX_TEXT
        or not (model and response_id and reason)
        or "search" in model
    ):
        return any_reading(asked, head, said, is_stream)
    if not says_cached:
        put(counts, CACHE_READ, head.headers.get("fireworks-cached-prompt-tokens"))
    fingerprint = text(said["system_fingerprint"]) if says_fingerprint else None
    return _reading(
        (
            operation,
            provider,
            request_model,
            model,
            response_id,
            asked_stream if is_stream is None else is_stream,
            counts,
            None,  # images
            (reason,),
            None,  # error
            text(said["service_tier"]) if says_tier else None,
            context,
            None,  # reported cost
            True,  # billable
            False,
            None,
            (),
            partial(texts, asked, choices),
            {"system_fingerprint": fingerprint} if fingerprint else NOTHING,
        )
    )


@lru_cache(maxsize=64)
def _plan(operation: str, provider: str, said: _Keys, usage: _Keys, prompt: _Keys, completion: _Keys) -> _Plan | None:
    """None for answers that are not read by a plan. An app sees few such sets of keys."""
    if operation == "embeddings" or provider in APART_THINKERS:
        return None
    if not (_OTHERS.isdisjoint(said) and BESIDE_TOKENS.isdisjoint(usage)):
        return None
    units, parts, _ = present(usage, prompt, completion, True)
    if INPUT not in units or OUTPUT not in units:
        return None
    names = iter(units)
    told = [[next(names) for _ in keys] for keys in parts]
    return _Plan(
        tuple(unit for part in told for unit in (part * 2 if len(part) == 1 else part)),
        *(_taking(parts[0]), _taking(parts[1]), _taking(parts[2])),
        CACHE_READ in units,
        "service_tier" in said,
        "system_fingerprint" in said,
    )


def _taking(keys: _Keys) -> _Take:
    """Takes the values of these keys. Python's own taker gives no tuple of a single one: that is taken twice."""
    if not keys:
        return _nothing
    return itemgetter(*(keys * 2 if len(keys) == 1 else keys))


def _nothing(_: object) -> tuple[Any, ...]:
    return ()
