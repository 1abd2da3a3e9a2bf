"""The allocators' settings: harmless wherever they do not exist."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from collector import memory

_BURST = """
import os
import numpy as np
from collector import memory

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

memory.configure()
kept, burst = [], []
for number in range(300):
    burst.append(np.ones(1 << 17))
    kept.append(np.ones(64))
high = resident_bytes()
burst.clear()
memory.give_back()
print(high - resident_bytes())
"""


def test_memory_of_a_burst_goes_back_to_the_system() -> None:
    """300 MB of arrays with small ones between them that stay."""
    if memory._glibc("malloc_trim") is None:
        memory.give_back()  # the C library decides by itself
        return
    found = subprocess.run([sys.executable, "-c", _BURST], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 250_000_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither macOS nor a libc without these functions makes a start fail."""
    assert memory._glibc("no_such_function") is None
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory._glibc("mallopt") is None
    memory.give_back()


def test_between_start_and_end_full_collections_are_rare() -> None:
    """They hold the interpreter's lock for tens of milliseconds; afterwards the process has its own habits back."""
    before = gc.get_threshold()
    memory.settle()
    try:
        assert gc.get_threshold() > before
        assert gc.get_freeze_count() > 0
    finally:
        memory.unsettle()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
