"""What a plan reads of a chat's answer is what the reader of any answer reads of it."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked
from otel_cost.instrument.wire.exchange import head_of, request_of
from otel_cost.instrument.wire.openai_chat import any_reading, reading_of
from otel_cost.instrument.wire.openai_plan import _plan, usual_reading
from otel_cost.instrument.wire.types import Asked, Head, Reading
from otel_cost.instrument.wire.values import MAX_TEXT
from otel_cost.pricing.units import MAX_QUANTITY
from tests.support.sdk_replay import load, recorded

from .answers import request

OK = Head(200, {})
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5-2025-08-07",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
    "service_tier": "default",
    "system_fingerprint": None,
}


def wanted(model: str = "gpt-5", host: str = "https://api.openai.com/v1/", path: str = "chat/completions") -> Asked:
    found = asked(request(path, {"model": model, "messages": [{"content": "Say."}]}, host=host))
    assert found is not None
    return found


def _recorded() -> list[tuple[Asked, Head, dict[str, Any]]]:
    """The recorded answers that come in this shape."""
    found = []
    for exchange in map(load, recorded("")):
        sent, body = asked(request_of(exchange)), exchange["response"].get("body")
        if sent is not None and sent.api.whole is reading_of and isinstance(body, dict):
            found.append((sent, head_of(exchange), body))
    return found


RECORDED = _recorded()
ANSWERS = [(wanted(), OK, CHAT), *RECORDED]


def no_texts(sent: Asked, choices: Any) -> Any:
    del sent, choices


def by_plan(sent: Asked, head: Head, body: dict[str, Any]) -> Reading | None:
    """None: it was left to the reader of any answer."""
    left: list[Any] = []

    def any_other(*what: Any) -> Reading:
        left.append(what)
        return any_reading(*what)

    reading = usual_reading(any_other, no_texts, sent, head, body)
    return None if left else reading


def changed(**other: Any) -> dict[str, Any]:
    """The answer with other values; `usage__x` stands for one of its usage."""
    body = copy.deepcopy(CHAT)
    for name, value in other.items():
        *way, last = name.split("__")
        inner = body
        for step in way:
            inner = inner[step]
        inner[last] = value
    return body


def told(reading: Reading) -> tuple[Any, ...]:
    """All of a reading; of its usage also the order."""
    texts = reading.said() if reading.said is not None else None
    return (reading._replace(said=None), list(reading.usage), texts, type(reading.finish_reasons), type(reading.usage))


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in inner for place in places(item, (*path, key))]


def damaged(body: dict[str, Any], chance: random.Random, other: object, key: str | None) -> Any:
    """A copy with another value at one place, or with one key more."""
    found = copy.deepcopy(body)
    *way, last = chance.choice(places(found))
    inner: Any = found
    for step in way:
        inner = inner[step]
    if key is not None and isinstance(inner, dict):
        inner[key] = other
    elif other is ...:
        del inner[last]
    else:
        inner[last] = other
    return found


KEYS = [
    *("error", "usage_breakdown", "service_tier", "system_fingerprint", "cached_tokens", "cost", "x_groq", "is_byok"),
    *("num_search_queries", "reasoning_tokens", "prompt_cache_hit_tokens", "input_tokens", "cache_creation_tokens"),
    *("prompt_tokens_details", "video_tokens", "finish_reason", "usage", "choices", "total_tokens", "image_tokens"),
]
COUNTS = st.integers(-3, 30) | st.sampled_from([MAX_QUANTITY, MAX_QUANTITY + 1, 2**70, True, False, 7.0, 1.5, "7"])
TEXTS = st.sampled_from(["", "x", "gpt-4o-search-preview", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1), "\ud800"])
OTHERS = (
    COUNTS
    | TEXTS
    | st.none()
    | st.sampled_from([..., [], [1], ["prompt_tokens"], {}, [[]], [{}], [{"finish_reason": "length"}] * 2])
    | st.dictionaries(st.sampled_from(KEYS), COUNTS | TEXTS, max_size=3)
)


@given(
    st.sampled_from(ANSWERS),
    st.integers(0, 2**32),
    st.lists(st.tuples(OTHERS, st.none() | st.sampled_from(KEYS)), min_size=1, max_size=2),
    st.sampled_from([200, 201, 400]),
    st.sampled_from([{}, {"fireworks-cached-prompt-tokens": "7"}]),
)
def test_a_changed_answer_is_read_the_same_with_and_without_a_plan(
    answer: tuple[Asked, Head, dict[str, Any]], seed: int, changes: Any, status: int, headers: dict[str, str]
) -> None:
    sent, _, body = answer
    chance = random.Random(seed)
    for other, key in changes:
        if places(body):
            body = damaged(body, chance, other, None if other is ... else key)
    head = Head(status, headers)
    assert told(reading_of(sent, head, body)) == told(any_reading(sent, head, body))


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_a_recorded_answer_is_read_the_same_with_and_without_a_plan(number: int) -> None:
    sent, head, body = ANSWERS[number]
    for is_stream in (None, True, False):
        by_any = any_reading(sent, head, body, is_stream)
        assert told(reading_of(sent, head, body, is_stream=is_stream)) == told(by_any)


def test_usual_answers_are_read_by_a_plan() -> None:
    assert by_plan(wanted(), OK, CHAT) is not None
    assert sum(by_plan(*answer) is not None for answer in RECORDED) >= 25
    assert by_plan(wanted(), OK, changed(system_fingerprint="fp", service_tier=None)) is not None
    assert by_plan(wanted(), OK, changed(usage__prompt_tokens_details=None)) is not None
    bare: dict[str, Any] = {**CHAT, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    assert by_plan(wanted(host="https://api.fireworks.ai/inference/v1/"), OK, bare) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"usage__total_tokens": 26},
        {"usage__prompt_tokens": True},
        {"usage__prompt_tokens": "20"},
        {"usage__completion_tokens": -5},
        {"usage__prompt_tokens_details": ["cached_tokens"]},
        {"usage__prompt_tokens_details__audio_tokens": -1},
        {"usage__prompt_tokens_details__cached_tokens": MAX_QUANTITY + 1},
        {"usage__cost": 0.5},
        {"id": ["chatcmpl-1"]},
        {"id": ""},
        {"model": "x" * MAX_TEXT},
        {"model": "gpt-4o-search-preview"},
        {"error": None},
        {"choices": []},
        {"choices": ["stop"]},
    ],
    ids=str,
)
def test_an_unusual_answer_is_not_read_by_a_plan(other: dict[str, Any]) -> None:
    assert by_plan(wanted(), OK, changed(**other)) is None


def test_no_plan_is_for_what_counts_otherwise() -> None:
    assert by_plan(wanted(host="https://api.perplexity.ai/"), OK, CHAT) is None
    assert by_plan(wanted(path="embeddings"), OK, CHAT) is None
    assert by_plan(wanted(), Head(201, {}), CHAT) is None


def test_plans_are_made_once_and_few_are_kept() -> None:
    before = _plan.cache_info().misses
    for number in range(3):
        by_plan(wanted(), OK, json.loads(json.dumps(changed(usage__prompt_tokens=number))))
    assert _plan.cache_info().misses <= before + 1
    for number in range(100):
        by_plan(wanted(), OK, {**CHAT, f"key {number}": 1})
    assert _plan.cache_info().currsize <= 64
