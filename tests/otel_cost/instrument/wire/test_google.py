"""What the readers of Google's APIs make of answers that were not recorded, by the references."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from otel_cost.instrument.wire import body_reader
from otel_cost.instrument.wire.types import Head
from tests.otel_cost.instrument.wire.answered import GEMINI, VERTEX, gemini, read, sse, wanted


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
