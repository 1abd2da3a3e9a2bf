"""Requests that were valid once, and what protobuf itself makes of each."""

from __future__ import annotations

import gzip
from enum import Enum
from functools import cache
from random import Random

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

_FILES = (common_pb2, resource_pb2, trace_pb2, trace_service_pb2)
_REQUEST = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
_DETAILS = ("events", "links", "array_value", "kvlist_value")


class Form(Enum):
    """How well-formed a body is, by protobuf's own parser."""

    VALID = "valid"
    NOT_UTF8 = "only its texts are not UTF-8"
    DETAIL = "only an event, a link, an array or a map in it is broken"
    BROKEN = "not a request"


def form(body: bytes) -> Form:
    """What the reference parser says of `body`."""
    if _parses(trace_service_pb2.ExportTraceServiceRequest, body):
        return Form.VALID
    if _parses(_relaxed(details=False), body):
        return Form.NOT_UTF8
    return Form.DETAIL if _parses(_relaxed(details=True), body) else Form.BROKEN


def mutant(bodies: list[bytes], chance: Random) -> bytes:
    """One of `bodies` with one to four changes."""
    body = bytearray(chance.choice(bodies))
    for _ in range(chance.randint(1, 4)):
        if body:
            chance.choice(_CHANGES)(body, bodies, chance)
    return bytes(body)


def packed(body: bytes, chance: Random) -> tuple[bytes, str]:
    """`body` as it may travel over HTTP: plain, gzip, or (rarely) gzip with a changed byte; and its encoding."""
    kind = chance.random()
    if kind < 0.7:
        return body, ""
    zipped = bytearray(gzip.compress(body, 1))
    if kind > 0.95:
        zipped[chance.randrange(len(zipped))] ^= 1 << chance.randrange(8)
        return bytes(zipped), "damaged"
    return bytes(zipped), "gzip"


def _flip(body: bytearray, _: list[bytes], chance: Random) -> None:
    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)


def _overwrite(body: bytearray, _: list[bytes], chance: Random) -> None:
    body[chance.randrange(len(body))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _truncate(body: bytearray, _: list[bytes], chance: Random) -> None:
    del body[chance.randrange(len(body)) :]


def _cut(body: bytearray, _: list[bytes], chance: Random) -> None:
    start = chance.randrange(len(body))
    del body[start : start + chance.randint(1, 40)]


def _repeat(body: bytearray, _: list[bytes], chance: Random) -> None:
    start = chance.randrange(len(body))
    body[start:start] = body[start : start + chance.randint(1, 200)]


def _splice(body: bytearray, bodies: list[bytes], chance: Random) -> None:
    other = chance.choice(bodies)
    body[chance.randrange(len(body)) :] = other[chance.randrange(len(other)) :]


def _noise(body: bytearray, _: list[bytes], chance: Random) -> None:
    start = chance.randrange(len(body))
    body[start:start] = chance.randbytes(chance.randint(1, 20))


_CHANGES = (_flip, _flip, _overwrite, _truncate, _cut, _repeat, _splice, _noise)


def _parses(message: type[Message], body: bytes) -> bool:
    try:
        message.FromString(body)
    except DecodeError:
        return False
    return True


@cache
def _relaxed(details: bool) -> type[Message]:
    """The request with every string declared as bytes, which is the same on the wire and knows no UTF-8; with
    `details`, so are the parts of a span that can be broken without harm to the rest."""
    pool = descriptor_pool.DescriptorPool()
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for message in file.message_type:
            _turn(message, details)
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_REQUEST))


def _turn(message: descriptor_pb2.DescriptorProto, details: bool) -> None:
    for field in message.field:
        if field.type == field.TYPE_STRING or (details and field.name in _DETAILS):
            field.type = field.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _turn(nested, details)
