"""Files of the page under addresses that name their content, so that browsers keep them for ever."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path as File
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from collector.serve.api.errors import not_found

KINDS: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, by ending. Everything else in a folder is not."""
FOR_EVER = "public, max-age=31536000, immutable"
"""RFC 8246: another content has another address."""
DIGEST_LENGTH = 16
"""Hexadecimal digits of an address. Fewer: another version of the page might have the same address."""


class Folder:
    """Files below one folder, read when they are first asked for, under one digest of them all; and some that are
    `made` of them, by name."""

    def __init__(self, root: File, made: Mapping[str, bytes] = MappingProxyType({})) -> None:
        self._root = root
        self._made = made
        self._packed: dict[str, bytes] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Paths below the folder, with slashes, in order."""
        found = (file for file in self._root.rglob("*") if file.suffix in KINDS)
        return tuple(sorted([*self._made, *(file.relative_to(self._root).as_posix() for file in found)]))

    @cached_property
    def digest(self) -> str:
        """Changes with any file: modules name each other by relative addresses."""
        total = sha256()
        for name in self.names:
            total.update(name.encode() + b"\0" + sha256(self._content(name)).digest())
        return total.hexdigest()[:DIGEST_LENGTH]

    async def answer(self, name: str, request: Request) -> Response:
        """One file, compressed for whoever takes that.

        Raises:
            ApiError: there is no such file (404).
        """
        if name not in self.names:
            raise not_found(f"there is nothing at {request.url.path}")
        headers = {
            "Cache-Control": FOR_EVER,
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        kind = KINDS[File(name).suffix]
        if not _takes_gzip(request.headers):
            return Response(await asyncio.to_thread(self._content, name), headers=headers, media_type=kind)
        if name not in self._packed:
            self._packed[name] = await asyncio.to_thread(self._pack, name)
        return Response(self._packed[name], headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)

    def _content(self, name: str) -> bytes:
        return self._made[name] if name in self._made else (self._root / name).read_bytes()

    def _pack(self, name: str) -> bytes:
        return gzip.compress(self._content(name), compresslevel=9, mtime=0)


class Charts(Folder):
    """The script of the chart library, where the installed package has it."""

    FILE = "plotly.min.js"

    @classmethod
    def installed(cls) -> Charts | None:
        """None: the package is not installed; the page then shows tables."""
        found = find_spec("plotly")  # not imported: nothing of it is needed but a file
        if found is None or found.origin is None:
            return None
        root = File(found.origin).parent / "package_data"
        return cls(root) if (root / cls.FILE).is_file() else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The script alone."""
        return (self.FILE,)

    @cached_property
    def style_ids(self) -> tuple[str, ...]:
        """Ids of style elements that the script adds unless there is an element of that id: styles of its maps, which
        the page does not have, and whose policy would refuse them with an error."""
        found = re.findall(rb'document\.getElementById\("([0-9a-f]{64})"\)', (self._root / self.FILE).read_bytes())
        return tuple(sorted({name.decode() for name in found}))


def _takes_gzip(headers: Headers) -> bool:
    offered = (part.strip().partition(";") for part in headers.get("accept-encoding", "").lower().split(","))
    return any(coding == "gzip" and weight.replace(" ", "") not in ("q=0", "q=0.0") for coding, _, weight in offered)
