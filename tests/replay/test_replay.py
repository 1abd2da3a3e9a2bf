"""The replay server answers real SDKs with recorded exchanges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anthropic
import openai
import pytest

from examples.replay import Exchange, ReplayServer, load_exchange, load_exchanges

EXCHANGES = Path(__file__).parents[2] / "examples" / "demo" / "exchanges"


def recorded(name: str) -> Exchange:
    return load_exchange(EXCHANGES / f"{name}.json")


@pytest.fixture
def server() -> Iterator[ReplayServer]:
    with ReplayServer(load_exchanges(EXCHANGES), fresh_ids=True) as running:
        yield running


def openai_client(server: ReplayServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_the_model_of_the_request_chooses_the_answer(server: ReplayServer) -> None:
    with openai_client(server) as client:
        models = [
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}]).model
            for model in ("gpt-5-nano", "gpt-4o")
        ]
    assert models == ["gpt-5-nano-2025-08-07", "gpt-4o-2024-08-06"]


def test_a_stream_is_sent_as_it_was_recorded(server: ReplayServer) -> None:
    with (
        anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client,
        client.messages.stream(
            model="claude-sonnet-4-6", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
        ) as stream,
    ):
        usage = stream.get_final_message().usage
    assert (usage.input_tokens, usage.output_tokens) == (721, 113)


def test_answers_come_in_the_order_given_and_the_last_one_repeats() -> None:
    failure = replace(recorded("openai/error_500_server_error"), path="/v1/chat/completions", model="gpt-5-nano")
    with ReplayServer([failure, recorded("openai/chat_reasoning_gpt5nano")]) as server:
        statuses = []
        for _ in range(3):
            answer = server.answer("POST", "/v1/chat/completions", {"model": "gpt-5-nano"})
            statuses.append(answer.status if answer else None)
    assert statuses == [500, 200, 200]


def test_fresh_ids_make_each_replay_a_call_of_its_own() -> None:
    kept = ReplayServer([recorded("openai/chat_reasoning_gpt5nano")])
    fresh = ReplayServer([recorded("openai/chat_reasoning_gpt5nano")], fresh_ids=True)
    ask = ("POST", "/v1/chat/completions", {"model": "gpt-5-nano"})
    recorded_ids = {answer.response_id for answer in (kept.answer(*ask), kept.answer(*ask)) if answer}
    fresh_answers = [answer for answer in (fresh.answer(*ask), fresh.answer(*ask)) if answer]
    assert recorded_ids == {"chatcmpl-C4Gm9xikLXbgE8He0BHWeoM03aa72"}
    assert len({answer.response_id for answer in fresh_answers}) == 2
    assert all(str(answer.response_id).encode() in b"".join(answer.chunks) for answer in fresh_answers)


def test_a_path_that_was_never_recorded_is_not_found(server: ReplayServer) -> None:
    with openai_client(server) as client, pytest.raises(openai.NotFoundError):
        client.moderations.create(input="hi")
    assert (server.served[-1].path, server.served[-1].exchange) == ("/v1/moderations", None)


def test_every_exchange_names_its_source_and_licence() -> None:
    text = (EXCHANGES / "README.md").read_text()
    for file in EXCHANGES.rglob("*.json"):
        assert f"`{file.relative_to(EXCHANGES)}`" in text
