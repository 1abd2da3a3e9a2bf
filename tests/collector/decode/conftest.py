"""Every test here holds with the compiled library and without it, unless it says which of them it is about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from collector import compiled
from tests.support.library import require_library


@pytest.fixture(params=["compiled", "without the library"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Which of the two decodes; tests for the library are skipped where there is no C compiler."""
    if request.param == "compiled":
        require_library()
    else:
        monkeypatch.setenv(compiled.SWITCH, "off")
        compiled.library.cache_clear()
    yield
    compiled.library.cache_clear()
