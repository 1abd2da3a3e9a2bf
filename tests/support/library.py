"""With and without the compiled library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collector import compiled


def require_library() -> None:
    """Skip a test of the library where there is no C compiler to make it with."""
    compiled.library.cache_clear()
    if compiled.library() is None:
        pytest.skip("there is no C compiler to make the library with")


@contextmanager
def without_library() -> Iterator[None]:
    """What a collector without the library does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(compiled.SWITCH, "off")
        compiled.library.cache_clear()
        yield
    compiled.library.cache_clear()
