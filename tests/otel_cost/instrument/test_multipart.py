"""Text fields of forms that upload files: read without touching the files."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from otel_cost.instrument import multipart
from otel_cost.instrument.multipart import stream_fields, text_fields


class _Untouchable(io.BytesIO):
    """A file that fails the test when somebody reads it."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the app's file was read")


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_fields_of_a_stream_are_read_and_its_files_are_not(module: ModuleType) -> None:
    request: Any = module.Request(
        "POST",
        "http://model.example/v1/audio/transcriptions",
        data={"model": "whisper-1", "temperature": 0, "include[]": ["a", "b"]},
        files={"file": ("speech.wav", _Untouchable(b"RIFF")), "purpose": (None, "as a file without a name")},
    )
    fields = stream_fields(request.stream)
    assert fields == {
        "model": "whisper-1",
        "temperature": "0",
        "include[]": "b",
        "purpose": "as a file without a name",
    }


@pytest.mark.parametrize("stream", [httpx.ByteStream(b"{}"), iter([b"x"]), None, object()])
def test_other_streams_have_no_fields(stream: object) -> None:
    assert stream_fields(stream) is None


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n', exclude_categories=["Cc"]), max_size=30)


@given(
    fields=st.dictionaries(_TEXT.filter(lambda name: name.strip() != ""), _TEXT, min_size=1, max_size=5),
    file=st.binary(max_size=300),
)
def test_fields_of_an_encoded_body_are_those_that_were_encoded(fields: dict[str, str], file: bytes) -> None:
    made = requests.Request(
        "POST", "http://model.example/", data=fields, files={"file": ("speech.wav", file)}
    ).prepare()
    assert isinstance(made.body, bytes)
    assert text_fields(made.headers["content-type"], made.body) == fields


@given(body=st.binary(max_size=300), content_type=st.text(max_size=60) | st.just("multipart/form-data; boundary=b"))
def test_no_body_makes_it_raise(body: bytes, content_type: str) -> None:
    text_fields(content_type, b"--b\r\n" + body + b"\r\n--b--")


def test_long_fields_are_left_out() -> None:
    long = "x" * (multipart.MAX_FIELD_BYTES + 1)
    made = requests.Request("POST", "http://a.example/", data={"a": long, "b": "c"}, files={"f": b"x"}).prepare()
    assert isinstance(made.body, bytes)
    assert text_fields(made.headers["content-type"], made.body) == {"b": "c"}


@pytest.mark.parametrize("content_type", [None, "application/json", "multipart/form-data"])
def test_what_is_no_form_has_no_fields(content_type: str | None) -> None:
    assert text_fields(content_type, b"--b\r\n") is None
