"""What the readers of Google's and others' own APIs make of answers that were not recorded, by the references."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_cost.instrument.wire import asked, body_reader
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request

GEMINI = "https://generativelanguage.googleapis.com/v1beta"
VERTEX = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google"


def wanted(url: str, body: object = None, method: str = "POST") -> Asked:
    sent = None if body is None else json.dumps(body).encode()
    found = asked(Request(method, url, {"content-type": "application/json"}, sent))
    assert found is not None
    return found


def read(
    url: str,
    answer: object,
    body: object = None,
    *,
    method: str = "POST",
    status: int = 200,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Reading:
    """The reading of an answer: JSON, or the text of a stream."""
    reader = body_reader(wanted(url, body, method), Head(status, {"content-type": kind, **(headers or {})}))
    reader.feed(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())
    reader.end()
    return reader.reading()


def sse(*events: object) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def gemini(metadata: dict[str, Any] | None = None, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [candidate], "usageMetadata": metadata or {"promptTokenCount": 1, "candidatesTokenCount": 2}}


class TestGemini:
    URL = f"{GEMINI}/models/gemini-3-flash-preview:generateContent"
    OLD = f"{GEMINI}/models/gemini-2.5-flash:generateContent"
    STREAM = f"{GEMINI}/models/gemini-2.5-flash:streamGenerateContent"

    def test_modalities_are_parts_of_their_totals_and_cached_ones_overlap(self) -> None:
        usage = {
            "promptTokenCount": 500,
            "cachedContentTokenCount": 300,
            "candidatesTokenCount": 50,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 150},
                {"modality": "VIDEO", "tokenCount": 250},
            ],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 90}, {"modality": "IMAGE", "tokenCount": 210}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
        }
        assert read(self.URL, gemini(usage)).usage == {
            "input_tokens": 500,
            "output_tokens": 50,
            "cache_read_tokens": 300,
            "input_audio_tokens": 150,
            "cache_audio_read_tokens": 90,
            "input_video_tokens": 250,
            "output_audio_tokens": 40,
        }

    def test_snake_case_says_the_same(self) -> None:
        usage = {"prompt_token_count": 7, "candidates_token_count": 3, "thoughts_token_count": 2, "traffic_type": 4}
        answer = {"candidates": [{"finish_reason": "STOP"}], "usage_metadata": usage, "model_version": "gemini-x"}
        reading = read(self.URL, answer)
        assert reading.usage == {"input_tokens": 7, "output_tokens": 5, "output_reasoning_tokens": 2}
        assert (reading.finish_reasons, reading.response_model) == (("STOP",), "gemini-x")
        assert reading.context == {"processing": "flex"}
        assert read(f"{self.STREAM}?alt=sse", sse(answer, answer), kind="text/event-stream").usage == reading.usage

    @pytest.mark.parametrize(
        ("traffic", "processing"),
        [
            ("ON_DEMAND", None),
            (1, None),
            ("ON_DEMAND_PRIORITY", "priority"),
            (3, "priority"),
            ("ON_DEMAND_FLEX", "flex"),
            ("PROVISIONED_THROUGHPUT", "provisioned_throughput"),
        ],
    )
    def test_traffic_of_vertex_ai_decides_the_price(self, traffic: object, processing: str | None) -> None:
        usage = {"promptTokenCount": 1, "trafficType": traffic}
        reading = read(f"{VERTEX}/models/gemini-2.5-pro:generateContent", gemini(usage))
        said = {"processing": processing} if processing else {}
        assert (reading.provider, reading.context) == ("gcp.vertex_ai", {"location": "us-central1", **said})

    @pytest.mark.parametrize(
        ("url", "model", "location"),
        [
            ("https://aiplatform.googleapis.com/v1/publishers/google/models/g:generateContent?key=k", "g", None),
            ("https://europe-west4-aiplatform.googleapis.com/v1/publishers/google/models/g:generateContent", "g", "eu"),
            (
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/9:generateContent",
                "e9",
                "gl",
            ),
            (
                "http://localhost:8080/vertex/v1/projects/p/locations/us/publishers/google/models/g:generateContent",
                "g",
                "us",
            ),
            (f"{GEMINI}/tunedModels/mine:generateContent", "tunedModels/mine", None),
        ],
    )
    def test_the_url_says_model_provider_and_place(self, url: str, model: str, location: str | None) -> None:
        found = wanted(url)
        places = {"eu": "europe-west4", "gl": "global", "us": "us", None: None}
        assert found.model == ("endpoints/9" if model == "e9" else model)
        assert found.context.get("location") == places[location]
        assert found.provider == ("gcp.gemini" if "tunedModels" in url else "gcp.vertex_ai")

    def test_searches_are_billed_by_query_from_gemini_3_on_and_by_prompt_before(self) -> None:
        grounding = {"webSearchQueries": ["", "a", "b", "a"], "searchEntryPoint": {"renderedContent": "<div>"}}
        assert read(self.URL, gemini(groundingMetadata=grounding)).usage["web_searches"] == 2
        assert read(self.OLD, gemini(groundingMetadata=grounding)).usage["web_searches"] == 1

    def test_maps_are_billed_by_themselves_and_pages_that_were_read_not_at_all(self) -> None:
        maps = {"groundingChunks": [{"maps": {"uri": "u"}}], "googleMapsWidgetContextToken": "t"}
        page = {"groundingChunks": [{"web": {"uri": "u"}}]}
        files: dict[str, Any] = {"groundingChunks": [{"retrievedContext": {}}]}
        assert read(self.OLD, gemini(groundingMetadata=maps)).usage["map_searches"] == 1
        for each in (page, files, {}):
            assert not {"web_searches", "map_searches"} & read(self.OLD, gemini(groundingMetadata=each)).usage.keys()

    def test_a_blocked_prompt_says_what_was_read_and_why_it_was_blocked(self) -> None:
        answer = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
        for reading in (read(self.URL, answer), read(self.STREAM, sse(answer), kind="text/event-stream")):
            assert reading.usage == {"input_tokens": 9}
            assert reading.finish_reasons is None
            assert reading.extra["block_reason"] == "PROHIBITED_CONTENT"

    def test_pictures_in_thoughts_are_no_pictures_of_the_answer(self) -> None:
        picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        answer = gemini(content={"parts": [{**picture, "thought": True}, picture, {"text": "Here"}]})
        assert read(self.URL, answer).images == 1
        assert read(self.STREAM, sse(answer, answer), kind="text/event-stream").images == 2

    def test_a_stream_without_sse_is_an_array_and_so_is_its_error(self) -> None:
        first = {"candidates": [{"content": {"parts": [{"text": "]}, {"}]}}], "usageMetadata": {"promptTokenCount": 5}}
        last = gemini({"promptTokenCount": 5, "candidatesTokenCount": 8}, finishReason="STOP")
        reading = read(self.STREAM, [first, last])
        assert reading.usage == {"input_tokens": 5, "output_tokens": 8}
        assert (reading.is_stream, reading.finish_reasons) == (True, ("STOP",))
        failed = read(self.STREAM, [{"error": {"code": 503, "status": "UNAVAILABLE"}}], status=503)
        assert (failed.error_type, failed.is_billable, failed.is_stream) == ("UNAVAILABLE", False, True)

    def test_an_abandoned_stream_says_what_its_last_event_said(self) -> None:
        reader = body_reader(wanted(f"{self.STREAM}?alt=sse"), Head(200, {"content-type": "text/event-stream"}))
        reader.feed(sse(gemini(content={"parts": [{"text": '"finishReason" and "candidates"'}]})).encode())
        assert reader.has_content
        assert not reader.is_done
        assert reader.reading().usage == {"input_tokens": 1, "output_tokens": 2}

    def test_an_error_in_a_stream_keeps_what_was_counted(self) -> None:
        events = sse(gemini(), {"error": {"code": 500, "status": "INTERNAL"}})
        reading = read(self.STREAM, events, kind="text/event-stream")
        assert (reading.error_type, reading.usage["output_tokens"]) == ("INTERNAL", 2)

    def test_embeddings_without_usage_say_their_texts(self) -> None:
        body = {"requests": [{"content": {"parts": [{"text": "one"}, {"text": "two"}]}}]}
        reading = read(f"{GEMINI}/models/gemini-embedding-001:batchEmbedContents", {"embeddings": [{}]}, body)
        assert reading.said is not None
        assert reading.said() == (["one", "two"], [])


class TestGooglePartners:
    def test_mistral_on_vertex_speaks_its_own_api(self) -> None:
        url = f"{VERTEX.removesuffix('google')}mistralai/models/codestral-2501"
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        reading = read(f"{url}:rawPredict", {"id": "i", "usage": usage}, {"model": "codestral-2501", "messages": []})
        assert (reading.provider, reading.operation, reading.request_model) == (
            "gcp.vertex_ai",
            "chat",
            "codestral-2501",
        )
        assert reading.usage == {"input_tokens": 5, "output_tokens": 2}
        assert reading.context["location"] == "us-central1"
        chunk = {"id": "i", "choices": [{"delta": {"content": "x"}}], "usage": usage}
        streamed = read(f"{url}:streamRawPredict", sse(chunk), {"prompt": "x"}, kind="text/event-stream")
        assert (streamed.operation, streamed.is_stream, streamed.usage) == ("text_completion", True, reading.usage)

    def test_code_assist_wraps_gemini(self) -> None:
        url = "https://cloudcode-pa.googleapis.com/v1internal:generateContent"
        reading = read(url, {"response": gemini()}, {"model": "gemini-2.5-pro", "request": {}})
        assert (reading.request_model, reading.usage["output_tokens"]) == ("gemini-2.5-pro", 2)


class TestGooglePredict:
    def test_imagen_bills_the_pictures_that_were_made(self) -> None:
        made = {"mimeType": "image/png", "bytesBase64Encoded": "AAAA"}
        reading = read(
            f"{GEMINI}/models/imagen-4.0-generate-001:predict",
            {"predictions": [made, {"raiFilteredReason": "no"}, made]},
            {"instances": [{"prompt": "x"}], "parameters": {"sampleCount": 3, "sampleImageSize": "2K"}},
        )
        assert (reading.operation, reading.images, reading.usage) == ("image_generation", 2, {"output_images": 2})
        assert reading.context == {"size": "2k"}

    def test_veo_bills_the_seconds_that_were_ordered_once(self) -> None:
        name = "models/veo-3.1-generate-preview/operations/1"
        body = {
            "instances": [{"prompt": "x"}],
            "parameters": {"durationSeconds": 6, "sampleCount": 2, "resolution": "4K"},
        }
        reading = read(f"{GEMINI}/models/veo-3.1-generate-preview:predictLongRunning", {"name": name}, body)
        assert (reading.operation, reading.usage) == ("video_generation", {"output_video_seconds": 12_000_000})
        assert (reading.context, reading.response_id) == ({"resolution": "4k"}, name)
        poll = read(f"{GEMINI}/{name}", {"name": name, "done": True, "response": {}}, method="GET")
        assert (poll.operation, poll.usage, poll.is_billable, poll.status) == (None, {}, False, "completed")

    def test_veo_s_seconds_are_found_beside_a_picture_that_is_too_large_to_parse(self) -> None:
        picture = {"prompt": "x", "image": {"bytesBase64Encoded": "A" * 2**21}}
        body = {"instances": [picture], "parameters": {"durationSeconds": 4, "resolution": "1080p"}}
        reading = read(f"{GEMINI}/models/veo-3.1-fast-generate-preview:predictLongRunning", {"name": "n"}, body)
        assert reading.usage == {"output_video_seconds": 4_000_000}
        assert reading.context == {"resolution": "1080p"}

    def test_text_embeddings_of_vertex_are_billed_by_characters_gemini_s_by_tokens(self) -> None:
        answer = {
            "predictions": [{"embeddings": {"statistics": {"token_count": 3}}}, {"embeddings": {"statistics": {}}}],
            "metadata": {"billableCharacterCount": 11},
        }
        body = {"instances": [{"content": "a"}]}
        reading = read(f"{VERTEX}/models/text-embedding-005:predict", answer, body)
        assert (reading.usage, reading.parts[0].usage) == ({"input_tokens": 3}, {"input_characters": 11})
        reading = read(f"{VERTEX}/models/gemini-embedding-001:predict", answer, body)
        assert (reading.usage, reading.parts) == ({"input_tokens": 3}, ())


class TestInteractions:
    URL = f"{GEMINI}/interactions"
    USAGE: ClassVar[dict[str, Any]] = {
        "total_input_tokens": 10,
        "total_output_tokens": 4,
        "total_thought_tokens": 3,
        "total_tool_use_tokens": 2,
    }

    def test_a_background_interaction_counts_when_it_is_retrieved_and_only_once(self) -> None:
        begun = read(self.URL, {"id": "i", "status": "in_progress"}, {"agent": "deep-research", "background": True})
        assert (begun.operation, begun.status, begun.usage) == ("generate_content", "in_progress", {})
        ended = {"id": "i", "status": "completed", "usage": self.USAGE, "service_tier": "flex"}
        got = read(f"{self.URL}/i", ended, method="GET")
        assert (got.operation, got.is_billable, got.counts_once, got.response_id) == (None, False, True, "i")
        assert got.extra["counts_as"] == "generate_content"
        assert (got.usage["input_tokens"], got.usage["output_tokens"], got.service_tier) == (12, 7, "flex")

    def test_an_abandoned_stream_says_what_its_events_metadata_said(self) -> None:
        created = {"interaction": {"id": "i", "model": "gemini-3"}, "event_type": "interaction.created"}
        delta = {"delta": {"text": "Hi"}, "event_type": "step.delta", "metadata": {"usage": self.USAGE}}
        reader = body_reader(
            wanted(self.URL, {"model": "g", "stream": True}), Head(200, {"content-type": "text/event-stream"})
        )
        reader.feed(sse({**created, "metadata": {"usage": {"total_input_tokens": 1}}}, delta).encode())
        assert (reader.is_done, reader.reading().usage["output_tokens"]) == (False, 7)

    def test_searches_are_counted_by_usage_else_by_steps(self) -> None:
        step = {"type": "google_search_call", "arguments": {"queries": ["a", "b"]}}
        answer = {"id": "i", "model": "gemini-3-pro", "usage": self.USAGE, "steps": [step]}
        assert read(self.URL, answer, {"model": "gemini-3-pro"}).usage["web_searches"] == 2
        told = {**self.USAGE, "grounding_tool_count": [{"type": "google_search", "count": 5}]}
        assert read(self.URL, {**answer, "usage": told}, {"model": "gemini-3-pro"}).usage["web_searches"] == 5


class TestGeminiBatches:
    ITEM: ClassVar[dict[str, Any]] = {
        "response": gemini({"promptTokenCount": 4, "candidatesTokenCount": 1}, finishReason="STOP")
    }

    def test_inlined_answers_are_parts_at_batch_rates_that_count_once(self) -> None:
        job = {
            "name": "batches/b",
            "metadata": {"model": "models/gemini-2.5-flash", "state": "BATCH_STATE_SUCCEEDED"},
            "response": {"inlinedResponses": {"inlinedResponses": [{**self.ITEM, "metadata": {"key": "a"}}, {}]}},
        }
        reading = read(f"{GEMINI}/batches/b", job, method="GET")
        (part,) = reading.parts
        assert (reading.operation, reading.is_billable, reading.counts_once) == ("batch", False, True)
        assert (part.model, part.context, part.extra["custom_id"]) == ("gemini-2.5-flash", {"processing": "batch"}, "a")
        assert part.usage == {"input_tokens": 4, "output_tokens": 1}
        assert part.response_id == "batches/b/0"

    def test_a_file_of_answers_is_read_line_by_line(self) -> None:
        lines = "".join(json.dumps({"key": str(key), **self.ITEM}) + "\n" for key in range(3))
        url = "https://generativelanguage.googleapis.com/download/v1beta/files/batch-1:download?alt=media"
        reading = read(url, lines, method="GET", kind="application/octet-stream")
        assert [part.usage["input_tokens"] for part in reading.parts] == [4, 4, 4]
        assert len({part.response_id for part in reading.parts}) == 3


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


URLS = (
    *(("POST", f"{GEMINI}/models/m:{action}") for action in ("generateContent", "streamGenerateContent?alt=sse")),
    *(("POST", f"{GEMINI}/models/{model}:predict") for model in ("imagen-4", "text-embedding-004", "chat-bison")),
    *(
        ("POST", f"{GEMINI}/models/m:{action}")
        for action in ("batchEmbedContents", "batchGenerateContent", "countTokens")
    ),
    ("POST", f"{GEMINI}/models/veo-3:predictLongRunning"),
    ("POST", f"{GEMINI}/interactions"),
    ("POST", f"{GEMINI}/cachedContents"),
    ("GET", f"{GEMINI}/interactions/i"),
    ("GET", f"{GEMINI}/batches/b"),
    ("GET", f"{GEMINI}/files/b:download"),
    ("GET", f"{GEMINI}/operations/o"),
    *(("POST", f"https://api.cohere.com/v2/{action}") for action in ("chat", "embed", "rerank")),
    *(("POST", f"http://localhost:11434/api/{action}") for action in ("chat", "generate", "embed")),
    *(("POST", f"https://api.mistral.ai/v1/{action}") for action in ("ocr", "audio/transcriptions", "audio/speech")),
    *(
        ("POST", f"https://api.mistral.ai/v1/{action}")
        for action in ("conversations", "agents/completions", "batch/jobs")
    ),
    ("GET", "https://api.mistral.ai/v1/batch/jobs/b"),
    ("POST", "https://api.voyageai.com/v1/embeddings"),
    ("POST", "https://api.replicate.com/v1/predictions"),
    ("GET", "https://api.replicate.com/v1/predictions/p"),
    ("POST", "https://api.elevenlabs.io/v1/text-to-speech/v"),
    ("POST", "https://api.deepgram.com/v1/listen"),
    ("GET", "https://api.assemblyai.com/v2/transcript/t"),
    ("POST", "https://us-south.ml.cloud.ibm.com/ml/v1/text/generation_stream"),
    ("POST", "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat"),
    ("POST", "http://localhost:8080/generate_stream"),
)
KEYS = st.sampled_from(
    [
        *("candidates", "content", "parts", "inlineData", "mimeType", "usageMetadata", "promptTokenCount", "error"),
        *("promptTokensDetails", "modality", "tokenCount", "groundingMetadata", "webSearchQueries", "groundingChunks"),
        *("finishReason", "trafficType", "interaction", "usage", "steps", "delta", "metadata", "response", "output"),
        *("inlinedResponses", "predictions", "embeddings", "statistics", "instances", "parameters", "durationSeconds"),
        *(
            "billed_units",
            "tokens",
            "meta",
            "generations",
            "connectors",
            "outputs",
            "body",
            "status",
            "metrics",
            "details",
        ),
        *("results", "choices", "message", "model", "id", "name", "stream", "words", "end", "inputs", "text", "errors"),
        *("prompt_tokens_details", "prompt_audio_seconds", "usage_info", "grounding_tool_count", "count", "type"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS | st.just("image/png")
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
KINDS = st.sampled_from(["application/json", "text/event-stream", "application/x-ndjson", "audio/mpeg", ""])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(URLS), JSON, st.lists(JSON, max_size=4), KINDS, st.sampled_from([200, 400]))
def test_no_json_makes_a_reader_raise(
    where: tuple[str, str], body: object, values: list[object], kind: str, status: int
) -> None:
    """Also of the request, and also where what is said is asked for."""
    request = {**body, "inputs": "", "parameters": 0, "model": "m"} if isinstance(body, dict) else body
    found = asked(Request(where[0], where[1], {}, json.dumps(request).encode() if where[0] == "POST" else None))
    if found is None:
        return
    answers = (sse(*values).encode(), json.dumps(values).encode(), json.dumps(values[0] if values else body).encode())
    for answer in answers:
        reader = body_reader(found, Head(status, {"content-type": kind}))
        reader.feed(answer)
        reader.end()
        reading = reader.reading()
        assert all(type(count) is int and count >= 0 for count in reading.usage.values())
        if reading.said is not None:
            reading.said()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(URLS), st.lists(st.binary(max_size=60), max_size=5), KINDS)
def test_no_bytes_make_a_reader_raise(where: tuple[str, str], chunks: list[bytes], kind: str) -> None:
    found = asked(Request(where[0], where[1], {}, b'{"model": "m", "inputs": "", "parameters": {}}'))
    assert found is not None
    reader = body_reader(found, Head(200, {"content-type": kind}))
    for chunk in chunks:
        reader.feed(chunk)
        reader.reading()
    reader.end()
    assert reader.reading().said is None or reader.reading().provider
