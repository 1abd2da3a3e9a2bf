"""Readers of single values: text or number in, the value in its unit out, `BadValue` when it is no such thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from collector.config.parts import Endpoint
from collector.config.problems import BadValue
from collector.config.text import EnvText

NS_PER_UNIT = {"ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
MIB = 1024 * 1024

BYTES_PER_UNIT = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def text(value: object) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str):
        raise BadValue("must be text; put it in quotes")
    if not value.strip():
        raise BadValue("must not be empty")
    return str(value)


def path(value: object) -> Path:
    """A path; a leading `~` is the home directory."""
    return Path(text(value)).expanduser()


def boolean(value: object) -> bool:
    """`true` or `false`."""
    if isinstance(value, EnvText) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise BadValue("must be true or false")
    return value


def integer(minimum: int, maximum: int) -> Callable[[object], int]:
    """A whole number between two bounds, both included."""

    def read(value: object) -> int:
        if isinstance(value, EnvText) and re.fullmatch(r"[+-]?\d{1,18}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValue("must be a whole number")
        if not minimum <= value <= maximum:
            raise BadValue(f"must be between {minimum} and {maximum}")
        return value

    return read


def mebibytes(minimum: int, maximum: int) -> Callable[[object], int]:
    """A whole number of MiB between two bounds, as bytes."""
    read = integer(minimum, maximum)
    return lambda value: read(value) * MIB


def size_bytes(value: object) -> int:
    """A size such as `500MiB`, `50GiB` or `1.5TiB`, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGTkmgt]?i?[Bb]?)", str(value).strip())
    if match is None or match.group(2) not in BYTES_PER_UNIT:
        raise BadValue("must be a size such as 500MiB, 50GiB or 1TiB")
    result = int(Decimal(match.group(1)) * BYTES_PER_UNIT[match.group(2)])
    if result <= 0:
        raise BadValue("must be above 0")
    return result


def duration_ns(value: object) -> int:
    """A duration such as `500ms`, `5s`, `1h30m`, `7d`, in nanoseconds; `0` and `0s` are none at all."""
    written = str(value).strip() if isinstance(value, str) or value == 0 else ""
    if written == "0" and not isinstance(value, bool):
        return 0
    parts = _DURATION_PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise BadValue("must be a duration such as 500ms, 5s, 1h30m or 7d")
    return sum(int(Decimal(number) * NS_PER_UNIT[unit]) for number, unit in parts)


def _written(seconds: float) -> str:
    """As one writes it: in the largest unit of which it is a whole number."""
    duration = round(seconds * 10**9)
    unit = max((unit for unit in NS_PER_UNIT if duration % NS_PER_UNIT[unit] == 0), key=lambda unit: NS_PER_UNIT[unit])
    return f"{duration // NS_PER_UNIT[unit]}{unit}"


def seconds(minimum: float, maximum: float) -> Callable[[object], float]:
    """A duration between two bounds, in seconds."""

    def read(value: object) -> float:
        result = duration_ns(value) / 10**9
        if not minimum <= result <= maximum:
            raise BadValue(f"must be between {_written(minimum)} and {_written(maximum)}")
        return result

    return read


def choice(words: Iterable[str]) -> Callable[[object], str]:
    """One of some words."""
    allowed = tuple(words)

    def read(value: object) -> str:
        if value not in allowed:
            raise BadValue("unknown word", words=allowed)
        return str(value)

    return read


def choices(words: Iterable[str], what: str) -> Callable[[object], tuple[str, ...]]:
    """A list of some words (or one of them), in the order given, none twice."""
    allowed = tuple(words)

    def read(value: object) -> tuple[str, ...]:
        given = value if isinstance(value, list) else [value]
        for word in given:
            if word not in allowed:
                raise BadValue(f"unknown {what}", words=allowed, got=word)
        return tuple(dict.fromkeys(str(word) for word in given))

    return read


def names(value: object) -> tuple[str, ...]:
    """A list of component ids."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadValue("must be a list of component names")
    twice = sorted({item for item in value if value.count(item) > 1})
    if twice:
        raise BadValue("names a component twice", got=twice[0])
    return tuple(value)


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """A mapping of header names to texts; names are lower-cased, as gRPC wants them."""
    if not isinstance(value, dict):
        raise BadValue("must be a mapping of header names to texts")
    for name, content in value.items():
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise BadValue("not a header name", got=name)
        if not isinstance(content, str) or not content.isprintable():
            raise BadValue(f"the header {name} must be printable text; put it in quotes", got="a value of another kind")
    return tuple((name.lower(), str(content)) for name, content in value.items())


def listen_address(value: object) -> Endpoint:
    """`host:port` to listen on: `127.0.0.1:4317`, `[::1]:4317`, `localhost:4317`, `:4317` (every interface)."""
    host, port = _host_and_port(text(value))
    return Endpoint(host or "0.0.0.0", port)


def grpc_target(value: object) -> str:
    """`host:port` to send to; a leading `http://` or `https://` is dropped, as the OpenTelemetry Collector does."""
    written = re.sub(r"^https?://", "", text(value)).rstrip("/")
    host, port = _host_and_port(written)
    if not host or not port:
        raise BadValue("must be host:port, for example localhost:4317")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def http_url(value: object) -> str:
    """An http or https URL with a host."""
    written = text(value)
    try:
        parts = urlsplit(written)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise BadValue("must be a URL such as http://localhost:4318")
    return written.rstrip("/")


def percent(value: object) -> Decimal:
    """`80%` as Decimal 0.80; above 0, at most 100."""
    written = str(value).strip() if isinstance(value, str) else ""
    try:
        number = Decimal(written.removesuffix("%").strip()) if written.endswith("%") else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadValue("must be a percentage such as 80%")
    if not 0 < number <= 100:
        raise BadValue("must be above 0% and at most 100%")
    return number / 100


def _host_and_port(written: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:/\s\[\]]*)):(\d{1,5})", written)
    port = int(match.group(3)) if match else -1
    if match is None or port > 65_535:
        raise BadValue("must be host:port with a port between 0 and 65535, for example 127.0.0.1:4317")
    host = match.group(1) or match.group(2)
    if match.group(1):
        try:
            ip_address(host)
        except ValueError:
            raise BadValue("not an IPv6 address", got=host) from None
    return host, port
