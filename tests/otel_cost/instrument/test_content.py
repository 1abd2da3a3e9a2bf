"""What was said goes onto spans only where it is asked for, redacted, in the conventions' shape, and within its cap."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument.content import Mode, content_attributes, max_characters, mode
from otel_cost.instrument.wire.types import Api, Asked, Reading, Request

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
INPUT, OUTPUT, SYSTEM = "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"


def asked(body: object) -> Asked:
    def unused(*_: Any) -> Any:
        raise AssertionError("nothing is read here")

    api = Api("any", unused, unused, unused)
    return Asked(api, "openai", "chat", Request("POST", "https://example.com/v1/chat", {}), body=body)


def answered(*texts: str) -> Reading:
    return Reading("chat", "openai", finish_reasons=("stop",), said=lambda: ((), texts))


def attributes(body: object, *texts: str) -> Mapping[str, Any]:
    return {key: json.loads(text) for key, text in content_attributes(asked(body), answered(*texts)).items()}


def text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Mode.NO_CONTENT),
        ("false", Mode.NO_CONTENT),
        ("true", Mode.SPAN_ONLY),
        ("span_and_event", Mode.SPAN_AND_EVENT),
        (" SPAN_ONLY ", Mode.SPAN_ONLY),
    ],
)
def test_the_standard_variable_switches_it_on(monkeypatch: pytest.MonkeyPatch, value: str, expected: Mode) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert mode() is expected


def test_nothing_is_captured_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not mode().on_spans
    assert not Mode.EVENT_ONLY.on_spans


def test_a_mistyped_mode_captures_nothing_and_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "span_olny")
    with caplog.at_level(logging.WARNING):
        assert mode() is Mode.NO_CONTENT
    assert "did you mean SPAN_ONLY?" in caplog.text


def test_a_mistyped_cap_leaves_the_default(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_COST_CONTENT_MAX_CHARACTERS", "many")
    with caplog.at_level(logging.WARNING):
        assert max_characters() == 32_768
    assert "OTEL_COST_CONTENT_MAX_CHARACTERS=many" in caplog.text
    monkeypatch.setenv("OTEL_COST_CONTENT_MAX_CHARACTERS", "100")
    assert max_characters() == 100


SHAPES = {
    "openai chat": {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {}}]},
        ]
    },
    "anthropic": {"system": "be brief", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
    "openai responses": {"instructions": "be brief", "input": "hi"},
    "gemini": {"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": [{"parts": [{"text": "hi"}]}]},
    "bedrock converse": {"system": [{"text": "be brief"}], "messages": [{"role": "user", "content": [{"text": "hi"}]}]},
    "cohere v1": {"preamble": "be brief", "message": "hi"},
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_every_api_has_its_conversation_in_one_shape(body: Mapping[str, Any]) -> None:
    found = attributes(body, "hello")
    assert found[INPUT][-1] == {"role": "user", "parts": [text("hi")]}
    assert found[OUTPUT] == [{"role": "assistant", "parts": [text("hello")], "finish_reason": "stop"}]
    if SYSTEM in found:
        assert found[SYSTEM] == [text("be brief")]
    else:
        assert found[INPUT][0] == {"role": "system", "parts": [text("be brief")]}


TOOLS = {
    "openai chat": [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ],
    "anthropic": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
        {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
    ],
    "bedrock converse": [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]},
        {"role": "tool", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "sunny"}]}}]},
    ],
}


@pytest.mark.parametrize("messages", TOOLS.values(), ids=TOOLS)
def test_tool_calls_and_their_results_are_parts(messages: list[Any]) -> None:
    found = attributes({"messages": messages})[INPUT]
    assert found == [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": '{"a": 1}'}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]},
    ]


def test_every_text_passes_the_apps_redaction() -> None:
    body = {
        "system": "secret",
        "messages": [
            {"role": "user", "content": "secret one"},
            {"role": "user", "content": "drop me"},
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"key": "secret"}}]},
            {"role": "tool", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "secret"}]}]},
        ],
    }

    def redact(said: str) -> str | None:
        return None if said.startswith("drop") else said.replace("secret", "***")

    found = "".join(content_attributes(asked(body), answered("secret three"), redact).values())
    assert "secret" not in found
    assert "drop me" not in found
    assert found.count("***") == 5


def test_what_redaction_raises_is_not_hidden() -> None:
    """The caller then keeps no content at all."""

    def redact(said: str) -> str:
        raise KeyError(said)

    with pytest.raises(KeyError):
        content_attributes(asked({"input": "hi"}), None, redact)


def test_the_oldest_messages_go_first_when_there_is_no_room() -> None:
    body = {"messages": [{"role": "user", "content": f"message {number} " + "x" * 50} for number in range(20)]}
    found = content_attributes(asked(body), None, most=300)[INPUT]
    kept = [message["parts"][0]["content"].split()[1] for message in json.loads(found)]
    assert kept == ["18", "19"]


def test_half_of_a_surrogate_pair_does_not_break_the_export() -> None:
    found = content_attributes(asked({"input": "a\ud800b"}), None)[INPUT]
    assert json.loads(found)[0]["parts"] == [text("a?b")]


WORDS = st.text(max_size=80)
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "parts", "text", "type", "tool_calls", "toolUse", "messages", "input"]),
            inner | st.sampled_from(["tool_use", "tool_result", "user"]),
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(body=BODIES, said=st.lists(WORDS, max_size=3), most=st.integers(1, 400))
def test_whatever_the_body_is_attributes_are_json_within_the_cap(body: object, said: list[str], most: int) -> None:
    for found in content_attributes(asked(body), answered(*said), most=most).values():
        assert len(found) <= most
        assert isinstance(json.loads(found), list)
