"""OTLP/JSON -> OTLP protobuf, so that one decoder serves both.

OTLP/JSON is proto3's JSON mapping with three differences: trace and span ids are hex, enums may only be numbers (names
are taken too, as older exporters write them), and unknown fields are ignored. Both `traceId` and `trace_id` are read.
Source: opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import binascii
import json
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import MalformedRequest
from collector.limits import MAX_VALUE_DEPTH, TRUNCATION_MARK

_HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}
_VALUE = "AnyValue"
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}


def to_protobuf(body: bytes) -> bytes:
    """A JSON `ExportTraceServiceRequest` as protobuf; an empty body stays empty.

    Raises `MalformedRequest`, which names the place: `resourceSpans[0].scopeSpans[2].spans[17].kind: ...`.
    """
    if not body:
        return b""
    try:
        data = json.loads(body)
    except RecursionError:
        raise MalformedRequest("the JSON is nested too deep") from None
    except ValueError as error:
        raise MalformedRequest(f"not JSON: {error}") from None
    request = ExportTraceServiceRequest()
    _fill(request, data, "", 0)
    wire: bytes = request.SerializeToString()
    return wire


def _fill(message: Message, data: Any, path: str, depth: int) -> None:
    """Sets the fields of `message`; `depth` counts the values around it."""
    if not isinstance(data, dict):
        raise MalformedRequest(f"{path or 'body'}: expected an object, got {_shown(data)}")
    names = _fields(message.DESCRIPTOR)
    if message.DESCRIPTOR.name == _VALUE:
        depth += 1
        if depth > MAX_VALUE_DEPTH + 1:
            message.string_value = TRUNCATION_MARK  # type: ignore[attr-defined]
            return
    for name, value in data.items():
        field = names.get(name)
        if field is None or value is None:
            continue
        place = f"{path}.{name}" if path else name
        if not field.is_repeated:
            _set(message, field, value, place, depth)
        elif isinstance(value, list):
            _extend(message, field, value, place, depth)
        else:
            raise MalformedRequest(f"{place}: expected an array, got {_shown(value)}")


@cache
def _fields(message: Descriptor) -> dict[str, FieldDescriptor]:
    """Fields by both of their names."""
    return {name: field for field in message.fields for name in (field.json_name, field.name)}


def _set(message: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        part = getattr(message, field.name)
        part.SetInParent()
        _fill(part, value, path, depth)
    else:
        setattr(message, field.name, _scalar(field, value, path))


def _extend(message: Message, field: FieldDescriptor, values: list[Any], path: str, depth: int) -> None:
    target = getattr(message, field.name)
    for index, value in enumerate(values):
        place = f"{path}[{index}]"
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            _fill(target.add(), value, place, depth)
        else:
            target.append(_scalar(field, value, place))


def _scalar(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        if not isinstance(value, str):
            raise MalformedRequest(f"{path}: expected a string, got {_shown(value)}")
        return _text(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _binary(field, value, path)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(value, bool):
            raise MalformedRequest(f"{path}: expected true or false, got {_shown(value)}")
        return value
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _double(value, path)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(field, value, path)
    return _integer(value, path, *_INTEGERS[field.type])


def _text(value: str) -> str:
    """Half an emoji (a lone surrogate, as JavaScript cuts them) becomes U+FFFD: protobuf has no place for it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def _binary(field: FieldDescriptor, value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        raise MalformedRequest(f"{path}: expected a string, got {_shown(value)}")
    if field.name in _HEX_FIELDS:
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise MalformedRequest(f"{path}: expected hex digits, got {_shown(value)}") from None
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedRequest(f"{path}: expected base64, got {_shown(value)}") from None


def _double(value: Any, path: str) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise MalformedRequest(f"{path}: expected a number, got {_shown(value)}")


def _enum(field: FieldDescriptor, value: Any, path: str) -> int:
    if isinstance(value, str) and field.enum_type is not None and value in field.enum_type.values_by_name:
        return int(field.enum_type.values_by_name[value].number)
    return _integer(value, path, *_INTEGERS[FieldDescriptor.TYPE_INT32])


def _integer(value: Any, path: str, lowest: int, highest: int) -> int:
    """A JSON number or a decimal string; 1.0 and 1e3 are integers too."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and len(value) < 40:
        try:
            number = int(value)
        except ValueError:
            number = None
    if number is None or not lowest <= number <= highest:
        raise MalformedRequest(f"{path}: expected an integer from {lowest} to {highest}, got {_shown(value)}")
    return number


def _shown(value: Any) -> str:
    """A short form for messages."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
