"""OTLP request bytes -> Arrow columns; `decode_requests` is the way in, `columns` the contract with later stages."""

from collector.decode.protobuf import decode_requests
from collector.decode.request import Decoded, DecodeLimits, Outcome, Request

__all__ = ["DecodeLimits", "Decoded", "Outcome", "Request", "decode_requests"]
