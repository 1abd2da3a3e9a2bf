"""Loops over bytes in C, one small library: what columns cannot do without passing over everything again and again.

The library knows neither Python nor Arrow: arrays go in, arrays come out, all made here. It is compiled where the
package is installed, if there is a C compiler, never later. Without it `ptars` and Arrow do the same, slower
(docs/adr/0017-loops-in-c.md).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from collector.compiled.build import library_name

_FOLDER = Path(__file__).parent

SWITCH = "OTEL_COST_COMPILED"
"""Environment variable: `off` leaves the library alone."""

_ADDRESS, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_FUNCTIONS: dict[str, tuple[type, ...]] = {
    "plain_spans": (_ADDRESS, _NUMBER, _NUMBER, _NUMBER),
    "count_levels": (_ADDRESS, _ADDRESS, _NUMBER, _NUMBER, _ADDRESS),
    "read_levels": (_ADDRESS, _ADDRESS, _NUMBER, _NUMBER, _ADDRESS),
    "key_values": (_ADDRESS, _ADDRESS, _ADDRESS, _NUMBER, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS),
    "number_texts": (
        *(_ADDRESS, _ADDRESS, _ADDRESS, _NUMBER, ctypes.c_uint64),
        *(_ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _NUMBER),
    ),
    "place_rows": (_ADDRESS, _ADDRESS, _NUMBER, _ADDRESS, _NUMBER, _NUMBER, _ADDRESS),
    "size_texts": (_ADDRESS, _NUMBER, _ADDRESS, _NUMBER, _ADDRESS, _NUMBER),
    "lay_texts": (*(_ADDRESS, _ADDRESS, _NUMBER, _ADDRESS, _ADDRESS, _ADDRESS, _NUMBER), _ADDRESS, _ADDRESS, _ADDRESS),
    "count_specials": (_ADDRESS, _NUMBER),
    "size_objects": (_ADDRESS, _NUMBER, _NUMBER, _NUMBER),
    "write_objects": (_ADDRESS,),
}
"""What the library has, under `otel_cost_`; all give an int64."""


@cache
def library() -> ctypes.CDLL | None:
    """The library of this very source; None: there is none. Its functions release the interpreter lock."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no"):
        return None
    try:
        path = _FOLDER / library_name(_FOLDER)
        found = ctypes.CDLL(str(path))
        for name, arguments in _FUNCTIONS.items():
            function = getattr(found, f"otel_cost_{name}")
            function.argtypes, function.restype = arguments, _NUMBER
    except (OSError, AttributeError):
        return None
    return found
