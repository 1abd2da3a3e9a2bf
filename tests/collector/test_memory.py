"""The allocators' settings: harmless wherever they do not exist."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from collector import allocator, memory

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


def run_with(script: str, variable: str, said: str | None) -> subprocess.CompletedProcess[str]:
    """The script in an interpreter of its own, where a user has set the variable so (None: not at all)."""
    environment = {name: value for name, value in os.environ.items() if name != variable}
    if said is not None:
        environment[variable] = said
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)


_SETTINGS = """
from collector.cli import collect_command
import pyarrow as pa
pa.jemalloc_memory_pool().print_stats()
"""


@pytest.mark.skipif("jemalloc" not in pa.supported_memory_backends(), reason="Arrow has another allocator here")
@pytest.mark.parametrize(("said", "arenas"), [(None, "1"), ("narenas:3", "3")])
def test_arrow_of_a_collector_keeps_free_pages_in_one_arena_unless_its_user_says_otherwise(
    said: str | None, arenas: str
) -> None:
    found = run_with(_SETTINGS, allocator.VARIABLE, said)
    assert f"opt.narenas: {arenas}\n" in found.stderr + found.stdout


_PARQUET = """
from collector.cli import collect_command
from collector import memory
import io
import pyarrow as pa
from pyarrow import parquet
memory.configure()
parquet.write_table(pa.table({"text": ["a" * 50] * 100_000}), io.BytesIO())
print(pa.mimalloc_memory_pool().max_memory())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not {"jemalloc", "mimalloc"} <= set(pa.supported_memory_backends()),
    reason="Arrow has no two allocators here",
)
@pytest.mark.parametrize(("said", "other_takes"), [(None, False), ("mimalloc", True)])
def test_parquet_is_written_with_the_same_allocator_unless_its_user_says_otherwise(
    said: str | None, other_takes: bool
) -> None:
    found = run_with(_PARQUET, allocator.KIND_VARIABLE, said)
    assert (int(found.stdout) > 0) is other_takes


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
