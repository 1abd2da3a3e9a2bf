"""Pictures, sound and video: tokens where they are reported, else what the price is quoted for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otel_cost.instrument.wire import asked
from otel_cost.instrument.wire.types import Head
from otel_cost.pricing.units import MICRO

from .answers import read, read_chunks, read_events, request

IMAGE_TOKENS = {
    "input_tokens": 20,
    "input_tokens_details": {"image_tokens": 8, "text_tokens": 12},
    "output_tokens": 272,
    "output_tokens_details": {"image_tokens": 272, "text_tokens": 0},
    "total_tokens": 292,
}
IMAGE_UNITS = {"input_tokens": 20, "input_image_tokens": 8, "output_tokens": 272, "output_image_tokens": 272}


def test_pictures_without_tokens_are_counted_with_what_decides_their_price() -> None:
    body = {"model": "dall-e-3", "n": 2, "size": "1024x1792", "quality": "HD", "prompt": "a cat"}
    reading = read(request("images/generations", body), {"created": 1, "data": [{"url": "a"}, {"url": "b"}]})
    assert (reading.usage, reading.images) == ({"output_images": 2}, 2)
    assert reading.context == {"size": "1024x1792", "quality": "hd"}
    assert reading.extra["usage_reported"] is False


def test_pictures_with_tokens_are_not_counted_a_second_time() -> None:
    answer = {"data": [{"b64_json": "iVBO"}], "size": "1024x1024", "quality": "high", "usage": IMAGE_TOKENS}
    reading = read(request("images/generations", {"model": "gpt-image-1", "size": "1024x1024"}), answer)
    assert (reading.usage, reading.images, reading.context) == (IMAGE_UNITS, 1, {})


def test_the_fields_of_a_multipart_edit_are_read() -> None:
    form = {"model": "gpt-image-1.5", "stream": "true", "size": "auto", "quality": "low"}
    event = {"type": "image_edit.completed", "b64_json": "A" * 9000, "size": "1024x1024", "usage": IMAGE_TOKENS}
    partial = {"type": "image_edit.partial_image", "b64_json": "A" * 9000}
    reading = read_events(request("images/edits", form=form), [partial, event])
    assert (reading.operation, reading.request_model, reading.is_stream) == ("image_edit", "gpt-image-1.5", True)
    assert (reading.usage, reading.images) == (IMAGE_UNITS, 1)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_stream_without_its_last_event_reports_nothing(is_named: bool) -> None:
    event = {"type": "image_generation.partial_image", "b64_json": "A" * 9000}
    reading = read_events(request("images/generations", {"model": "m", "stream": True}), [event], is_named=is_named)
    assert (reading.usage, reading.images) == ({}, 0)


def test_the_last_event_is_found_without_event_names() -> None:
    event = {"b64_json": "A" * 9000, "usage": IMAGE_TOKENS, "type": "image_generation.completed"}
    sent = request("images/generations", {"model": "m", "stream": True})
    assert read_events(sent, [event], is_named=False).usage == IMAGE_UNITS


def test_what_a_streamed_picture_puts_out_are_image_tokens() -> None:
    """Events do not split the output; image models have another rate for text."""
    usage = {key: value for key, value in IMAGE_TOKENS.items() if key != "output_tokens_details"}
    event = {"type": "image_generation.completed", "b64_json": "AAAA", "usage": usage}
    reading = read_events(request("images/generations", {"model": "gpt-image-2", "stream": True}), [event])
    assert reading.usage == IMAGE_UNITS


def test_a_stream_of_several_pictures_is_done_with_the_last() -> None:
    event = json.dumps({"type": "image_generation.completed", "usage": IMAGE_TOKENS}).encode()
    wanted = asked(request("images/generations", {"model": "gpt-image-2", "stream": True, "n": 2}))
    assert wanted is not None
    events = wanted.api.stream(wanted, Head(200, {}))
    done = []
    for _ in range(2):
        events.feed(event, "image_generation.completed")
        done.append(events.is_done)
    assert done == [False, True]
    assert events.reading().images == 2


def test_an_svg_is_billed_to_its_author_and_to_its_painter() -> None:
    drawn = {"model": "gpt-5.6", "input_tokens": 3, "output_tokens": 9, "reasoning_tokens": 4, "total_tokens": 12}
    answer = {"data": [{"b64_json": "PHN2"}], "usage": IMAGE_TOKENS, "svg_usage": drawn}
    reading = read(request("images/generations", {"model": "gpt-image-2.5-flare"}), answer)
    assert [(part.model, part.usage) for part in reading.parts] == [
        ("gpt-image-2.5-flare", IMAGE_UNITS),
        ("gpt-5.6", {"input_tokens": 3, "output_tokens": 9, "output_reasoning_tokens": 4}),
    ]


def test_xai_reports_what_a_picture_cost() -> None:
    sent = request("images/generations", {"model": "grok-imagine-image"}, host="https://api.x.ai/v1/")
    reading = read(sent, {"data": [{"url": "u"}], "usage": {"cost_in_usd_ticks": 200000000}})
    assert (reading.reported_cost_pico_usd, reading.usage) == (20_000_000_000, {"output_images": 1})


def test_the_deployment_of_an_azure_url_is_the_model() -> None:
    host = "https://r.openai.azure.com/openai/deployments/my-dalle/"
    reading = read(request("images/generations?api-version=2024-02-01", {"prompt": "a"}, host=host), {"data": [{}]})
    assert (reading.provider, reading.request_model) == ("azure.ai.openai", "my-dalle")


TRANSCRIBE = request("audio/transcriptions", form={"model": "whisper-1"})


@pytest.mark.parametrize(
    ("answer", "seconds", "is_reported"),
    [
        ({"text": "a", "usage": {"type": "duration", "seconds": 9}}, 9 * MICRO, True),
        ({"text": "a", "duration": 8.47, "usage": {"type": "duration", "seconds": 9}}, 9 * MICRO, True),
        ({"text": "a", "duration": 8.470000267028809}, 8_470_000, False),
        ({"text": "a", "duration": "8.47"}, 8_470_000, False),
    ],
)
def test_whisper_is_billed_by_the_seconds_that_it_reports(answer: Any, seconds: int, is_reported: bool) -> None:
    reading = read(TRANSCRIBE, answer)
    assert reading.usage == {"audio_seconds": seconds}
    assert reading.extra.get("usage_reported") is is_reported


def test_a_transcript_that_reports_tokens_is_not_billed_by_its_length_too() -> None:
    usage = {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 45}
    reading = read(TRANSCRIBE, {"text": "a", "duration": 3.7, "usage": usage})
    assert reading.usage == {"input_tokens": 14, "input_audio_tokens": 14, "output_tokens": 45}
    assert reading.extra["audio_seconds"] == 3.7


@pytest.mark.parametrize("content_type", ["text/plain", "text/vtt", "application/x-subrip"])
def test_plain_text_and_subtitles_report_nothing(content_type: str) -> None:
    reading = read(TRANSCRIBE, b"1\n00:00:00,000 --> 00:00:03,000\nHi\n", content_type=content_type)
    assert (reading.operation, reading.usage, reading.error_type) == ("transcription", {}, None)


def test_translation_is_an_operation_of_its_own() -> None:
    sent = request("audio/translations", form={"model": "whisper-1"})
    assert read(sent, {"text": "a"}).operation == "translation"


def test_speech_is_counted_by_characters_unless_its_stream_reports_tokens() -> None:
    body = {"model": "gpt-4o-mini-tts", "input": "Grüße 👋", "voice": "alloy"}
    plain = read_chunks(request("audio/speech", body), [b"\xff\xf3\x00", b"\x00" * 64], content_type="audio/mpeg")
    assert (plain.usage, plain.is_stream) == ({"input_characters": 7}, False)
    events: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": "//PE"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
    ]
    streamed = read_events(request("audio/speech", body | {"stream_format": "sse"}), events, is_named=False)
    assert (streamed.usage, streamed.is_stream) == ({"input_tokens": 14, "output_tokens": 101}, True)


def test_groqs_transcripts_say_their_id() -> None:
    sent = request("audio/transcriptions", form={"model": "whisper-large-v3"}, host="https://api.groq.com/openai/v1/")
    reading = read(sent, {"text": "a", "duration": 10.0, "x_groq": {"id": "req_1"}})
    assert (reading.provider, reading.response_id) == ("groq", "req_1")


VIDEO = {"id": "video_1", "object": "video", "model": "sora-2-pro", "seconds": "8", "size": "1792x1024", "progress": 0}


def test_a_video_counts_when_it_is_made_and_its_polls_say_the_same_under_its_id() -> None:
    sent = request("videos", form={"model": "sora-2-pro", "prompt": "a cat", "seconds": "8"})
    made = read(sent, VIDEO | {"status": "queued"})
    poll = read(request("videos/video_1"), VIDEO | {"status": "completed"})
    for reading in (made, poll):
        assert reading.usage == {"output_video_seconds": 8 * MICRO}
        assert reading.context == {"resolution": "1024p"}
        assert reading.response_id == "video_1"
    assert (made.operation, made.is_billable, made.counts_once) == ("video_generation", True, False)
    assert (poll.operation, poll.is_billable, poll.counts_once) == (None, False, True)


def test_a_video_that_failed_is_not_billed() -> None:
    poll = read(request("videos/video_1"), VIDEO | {"status": "failed", "error": {"code": "moderation_blocked"}})
    assert (poll.is_billable, poll.counts_once) == (False, False)


def test_videos_of_xai_and_azure() -> None:
    poll = read(
        request("videos/c84748c1", host="https://api.x.ai/v1/"),
        {"status": "done", "video": {"duration": 6}, "usage": {"cost_in_usd_ticks": 500000000}},
    )
    assert (poll.usage, poll.response_id) == ({"output_video_seconds": 6 * MICRO}, "c84748c1")
    assert (poll.counts_once, poll.reported_cost_pico_usd) == (True, 50_000_000_000)
    host = "https://r.openai.azure.com/openai/v1/"
    body = {"model": "sora", "n_seconds": 5, "n_variants": 2, "width": 1280, "height": 720}
    job = read(request("video/generations/jobs", body, host=host), body | {"id": "task_1", "status": "queued"})
    assert (job.usage, job.context) == ({"output_video_seconds": 10 * MICRO}, {"resolution": "720p"})


def test_a_whole_answer_in_random_pieces_reads_the_same() -> None:
    body = json.dumps({"data": [{"b64_json": "A" * 20000}], "usage": IMAGE_TOKENS}).encode()
    sent = request("images/generations", {"model": "gpt-image-1"})
    pieces = [body[begin : begin + 777] for begin in range(0, len(body), 777)]
    assert read_chunks(sent, pieces, content_type="application/json").usage == IMAGE_UNITS


@pytest.mark.parametrize(
    "path", ["images/generations", "images/edits", "audio/transcriptions", "audio/speech", "videos"]
)
def test_other_peoples_pictures_sounds_and_videos_are_no_model_calls(path: str) -> None:
    """On a host that nobody knows a path alone says too little."""
    host = "https://shop.example.com/api/"
    assert asked(request(path, {"title": "my cat"}, host=host)) is None
    ours = asked(request(path, {"model": "flux", "prompt": "a cat"}, host=host))
    assert ours is not None
    assert ours.operation in ("image_generation", "image_edit", "transcription", "speech", "video_generation")
