"""What the readers of other providers' own APIs make of answers that were not recorded, by the references."""

from __future__ import annotations

import json
from typing import Any

from otel_cost.instrument.wire import body_reader
from otel_cost.instrument.wire.types import Head
from tests.otel_cost.instrument.wire.answered import read, sse, wanted

SSE = "text/event-stream"


class TestOthers:
    def test_cohere_bills_search_units_and_tokens_of_pictures(self) -> None:
        reading = read(
            "https://api.cohere.com/v2/rerank", {"meta": {"billed_units": {"search_units": 2}}}, {"model": "r"}
        )
        assert (reading.operation, reading.usage) == ("rerank", {"rerank_searches": 2})
        units = {"billed_units": {"input_tokens": 5.0, "image_tokens": 100, "images": 1}}
        reading = read("https://api.cohere.com/v2/embed", {"meta": units}, {"model": "embed-v4.0"})
        assert (reading.usage, reading.parts) == ({"input_tokens": 105, "input_image_tokens": 100}, ())

    def test_cohere_bills_less_than_it_processes(self) -> None:
        usage = {
            "billed_units": {"input_tokens": 5, "output_tokens": 3},
            "tokens": {"input_tokens": 206, "output_tokens": 3},
        }
        reading = read("https://api.cohere.com/v2/chat", {"id": "i", "usage": usage}, {"model": "command"})
        assert reading.usage["input_tokens"] == 206
        assert [(part.model, part.usage) for part in reading.parts] == [
            ("command", {"input_tokens": 5, "output_tokens": 3})
        ]

    def test_the_end_of_cohere_s_stream_is_known_without_its_name(self) -> None:
        events = {"id": "i", "type": "message-start"}, {"type": "message-end", "delta": {"finish_reason": "ERROR"}}
        reading = read("https://api.cohere.com/v2/chat", sse(*events), {"model": "c", "stream": True}, kind=SSE)
        assert (reading.finish_reasons, reading.error_type) == (("ERROR",), "ERROR")

    def test_cohere_counts_pictures_beside_the_text(self) -> None:
        tokens = {"input_tokens": 34, "output_tokens": 70, "image_tokens": 259}
        usage = {"billed_units": {"input_tokens": 267, "output_tokens": 66}, "tokens": tokens}
        reading = read("https://api.cohere.com/v2/chat", {"usage": usage}, {"model": "command-a"})
        assert reading.usage == {"input_tokens": 293, "output_tokens": 70, "input_image_tokens": 259}

    def test_jina_and_voyage_count_their_total(self) -> None:
        for url in ("https://api.jina.ai/v1/rerank", "https://api.voyageai.com/v1/rerank"):
            assert read(url, {"usage": {"total_tokens": 9}}, {"model": "m"}).usage == {"input_tokens": 9}
        multimodal = {"usage": {"text_tokens": 4, "image_pixels": 900, "total_tokens": 10}}
        reading = read("https://api.voyageai.com/v1/multimodalembeddings", multimodal, {"model": "m"})
        assert reading.usage == {"input_tokens": 10}
        assert [part.usage for part in reading.parts] == [{"input_tokens": 4, "input_pixels": 900}]

    def test_rerankers_of_gateways_count_tokens_or_searches_and_say_their_cost(self) -> None:
        body = {"model": "m", "query": "q", "documents": ["d"]}
        usage = {"search_units": 1, "cost": 0.002}
        reading = read("https://openrouter.ai/api/v1/rerank", {"id": "g", "usage": usage}, body)
        assert (reading.operation, reading.provider, reading.response_id) == ("rerank", "openrouter", "g")
        assert (reading.usage, reading.reported_cost_pico_usd) == ({"rerank_searches": 1}, 2_000_000_000)
        units = {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 3}}
        reading = read("https://api.fireworks.ai/inference/v1/rerank", {"meta": units}, body)
        assert reading.usage == {"input_tokens": 3, "rerank_searches": 1}

    def test_a_reranker_of_an_unknown_host_is_not_always_cohere_s(self) -> None:
        body = {"model": "BAAI/bge-reranker-base", "query": "q", "documents": ["d"]}
        reading = read("http://localhost:8000/v1/rerank", {"usage": {"total_tokens": 9}}, body)
        assert (reading.provider, reading.usage) == ("vllm", {"input_tokens": 9})
        assert wanted("https://gateway.example.com/v2/rerank", {**body, "model": "rerank-v3.5"}).provider == "cohere"

    def test_ollama_streams_unless_told_otherwise_and_an_abandoned_stream_says_its_text(self) -> None:
        found = wanted("http://localhost:11434/api/generate", {"model": "m", "prompt": "Why"})
        assert (found.operation, found.is_stream, found.provider) == ("text_completion", True, "ollama")
        reader = body_reader(found, Head(200, {"content-type": "application/x-ndjson"}))
        reader.feed(b'{"model":"m","response":"Be","done":false}\n{"model":"m","response":"cause","done":false}\n')
        reading = reader.reading()
        assert (reader.is_done, reading.usage, reading.response_model) == (False, {}, "m")
        assert reading.said is not None
        assert reading.said() == (["Why"], ["Be", "cause"])

    def test_mistral_ocr_bills_annotated_pages_dearer(self) -> None:
        answer = {"model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3}}
        plain = read("https://api.mistral.ai/v1/ocr", answer, {"model": "m", "document": {}})
        assert plain.usage == {"input_document_pages": 3}
        document = {"document_url": "data:application/pdf;base64," + "A" * 2**21}
        body = {"model": "m", "document": document, "document_annotation_format": {"type": "json_schema"}}
        annotated = read("https://api.mistral.ai/v1/ocr", answer, body)
        assert annotated.usage == {"input_document_pages": 3, "input_annotated_document_pages": 3}

    def test_mistral_bills_seconds_of_a_transcript_and_not_its_tokens(self) -> None:
        usage = {"prompt_audio_seconds": 3, "prompt_tokens": 3, "total_tokens": 389, "completion_tokens": 11}
        usage_json: dict[str, Any] = {**usage, "prompt_tokens_details": {"audio_tokens": 375}}
        url, body = "https://api.mistral.ai/v1/audio/transcriptions", {"model": "voxtral-mini-latest"}
        whole = read(url, {"model": "voxtral-mini-latest", "usage": usage_json}, body)
        done = f"event: transcription.done\ndata: {json.dumps({'model': 'v', 'usage': usage_json})}\n\n"
        streamed = read(url, done, {**body, "stream": True}, kind="text/event-stream")
        for reading in (whole, streamed):
            assert reading.usage["input_tokens"] == 378
            assert [part.usage for part in reading.parts] == [{"audio_seconds": 3_000_000}]

    def test_mistral_s_conversations_count_connectors(self) -> None:
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 610,
            "connector_tokens": 500,
            "connectors": {"web_search": 2, "image_generation": 1},
        }
        url, body = "https://api.mistral.ai/v1/conversations", {"model": "mistral-medium-latest", "inputs": "Hi"}
        answer = {"conversation_id": "c", "outputs": [{"model": "mistral-medium-2508"}], "usage": usage}
        whole = read(url, answer, body)
        started = {"type": "conversation.response.started", "conversation_id": "c"}
        delta = {"type": "message.output.delta", "model": "mistral-medium-2508", "content": "Hi"}
        ended = {"type": "conversation.response.done", "usage": usage}
        streamed = read(f"{url}#stream", sse(started, delta, ended), {**body, "stream": True}, kind="text/event-stream")
        for reading in (whole, streamed):
            assert reading.usage == {
                "input_tokens": 600,
                "output_tokens": 10,
                "input_tool_tokens": 500,
                "web_searches": 2,
                "output_images": 1,
            }
            assert (reading.response_id, reading.response_model) == ("c", "mistral-medium-2508")

    def test_replicate_tells_its_time_at_the_end(self) -> None:
        url = "https://api.replicate.com/v1/models/meta/llama/predictions"
        begun = read(url, {"id": "p", "status": "starting"}, {"input": {}})
        assert (begun.operation, begun.request_model, begun.usage) == ("generate_content", "meta/llama", {})
        ended = {"id": "p", "model": "meta/llama", "status": "succeeded", "metrics": {"predict_time": 2.811363}}
        got = read("https://api.replicate.com/v1/predictions/p", ended, method="GET")
        assert (got.counts_once, got.is_billable, got.usage) == (True, False, {"gpu_seconds": 2_811_363})

    def test_speech_is_billed_by_characters_and_by_seconds(self) -> None:
        url = "https://api.elevenlabs.io/v1/text-to-speech/voice"
        told = read(url, "x", {"text": "Hello"}, kind="audio/mpeg", headers={"character-cost": "3"})
        assert (told.request_model, told.usage) == ("eleven_multilingual_v2", {"input_characters": 3})
        assert read(url, "x", {"text": "Hello"}, kind="audio/mpeg").usage == {"input_characters": 5}
        heard = read(
            "https://api.deepgram.com/v1/listen?model=nova-3", {"metadata": {"duration": 25.933313}}, {"url": "u"}
        )
        assert (heard.request_model, heard.usage) == ("nova-3", {"audio_seconds": 25_933_313})
        url = "https://api.deepgram.com/v1/speak?model=aura-2-thalia-en"
        voiced = read(url, "x", {"text": "Hello"}, kind="audio/mpeg", headers={"dg-char-count": "5"})
        assert (voiced.request_model, voiced.response_model) == ("aura-2-thalia-en", "aura-2")
        assert (voiced.usage, voiced.extra["usage_reported"]) == ({"input_characters": 5}, True)
        done = {"id": "t", "status": "completed", "audio_duration": 30, "speech_model": "universal"}
        got = read("https://api.assemblyai.com/v2/transcript/t", done, method="GET")
        assert (got.counts_once, got.usage) == (True, {"audio_seconds": 30_000_000})

    def test_x_ai_s_transcripts_are_billed_as_its_own_model_s_where_none_is_named(self) -> None:
        url, heard = "https://api.x.ai/v1/stt", {"text": "Hi", "duration": 3.7}
        reading = read(url, heard, {"language": "en"})
        assert (reading.request_model, reading.usage) == (None, {"audio_seconds": 3_700_000})
        assert [(part.model, part.usage) for part in reading.parts] == [("grok-voice-transcribe-2.0", reading.usage)]
        named = read(url, heard, {"model": "grok-voice-transcribe-3.0"})
        assert (named.request_model, named.parts) == ("grok-voice-transcribe-3.0", ())

    def test_watsonx_tells_growing_counts(self) -> None:
        url = "https://us-south.ml.cloud.ibm.com/ml/v1/text/generation_stream?version=1"
        events = [
            {
                "model_id": "g",
                "results": [{"generated_token_count": 0, "input_token_count": 8, "stop_reason": "not_finished"}],
            },
            {
                "model_id": "g",
                "results": [{"generated_token_count": 11, "input_token_count": 0, "stop_reason": "eos_token"}],
            },
        ]
        reading = read(url, sse(*events), {"model_id": "g", "input": "x"}, kind="text/event-stream")
        assert reading.usage == {"input_tokens": 8, "output_tokens": 11}
        assert (reading.request_model, reading.finish_reasons) == ("g", ("eos_token",))

    def test_tgi_tells_its_details(self) -> None:
        url = "http://localhost:8080/generate_stream"
        last = {
            "token": {"text": "."},
            "generated_text": "A.",
            "details": {"finish_reason": "length", "generated_tokens": 20},
        }
        body = {"inputs": "Hi", "parameters": {}}
        reading = read(url, sse(last), body, kind="text/event-stream", headers={"x-prompt-tokens": "4"})
        assert (reading.usage, reading.finish_reasons) == ({"input_tokens": 4, "output_tokens": 20}, ("length",))
