"""The compiled library: how it is made, and what hostile bytes do to it."""

from __future__ import annotations

import errno
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from collector import compiled
from collector.compiled.build import build, compiler, library_name
from collector.compiled.texts import Picks, place_rows
from tests.collector.decode.reference import random_request
from tests.collector.decode.test_direct import usual
from tests.support.library import require_library
from tests.support.plain_calls import plain_calls

SOURCES = Path(compiled.__file__).parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(autouse=True)
def path() -> None:
    """What is made here is made in a folder of the test."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sources alone."""
    for source in (*SOURCES.glob("*.c"), *SOURCES.glob("*.h")):
        shutil.copy(source, tmp_path)
    return tmp_path


def test_without_a_compiler_or_with_a_broken_one_nothing_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what was wrong, and leaves nothing behind."""
    before = sorted(folder.iterdir())
    monkeypatch.setenv("CC", "false")
    assert "failed" in build(folder)
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", str(folder))
    assert "no C compiler" in build(folder)
    assert sorted(folder.iterdir()) == before


def test_what_a_compiler_says_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first error, though more follows; of one that says nothing how it ended."""
    program = folder / "compiler"
    program.write_text(
        "#!/bin/sh\necho 'plain.c:1:2: error: no such thing' >&2\necho '1 error generated.' >&2\nexit 3\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    assert build(folder) == "the C compiler failed with status 3: plain.c:1:2: error: no such thing"
    monkeypatch.setenv("CC", "false")
    assert build(folder) == "the C compiler failed with status 1: it said nothing"
    monkeypatch.setenv("CC", '"gcc')
    assert build(folder) == 'CC is no command line (No closing quotation): "gcc'


def test_an_installation_goes_on_whatever_the_folder_does_not_allow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old library that cannot be removed stays; where nothing can be written there is no library."""
    if compiler() is None:
        pytest.skip("there is no C compiler")
    (folder / "kernels_of_old.so").mkdir()
    assert build(folder) == ""
    assert (folder / library_name(folder)).exists()
    assert (folder / "kernels_of_old.so").exists()

    (folder / library_name(folder)).unlink()
    monkeypatch.setattr("tempfile.TemporaryDirectory", _refused)
    assert "Read-only" in build(folder)


def _refused(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_library_of_other_sources_is_never_taken(folder: Path) -> None:
    """Its name is that of what it was made from; one is made once, and the older one goes."""
    if compiler() is None:
        pytest.skip("there is no C compiler")
    assert build(folder) == ""
    first = library_name(folder)
    made = (folder / first).stat()
    assert build(folder) == ""
    assert (folder / first).stat() == made
    (folder / "plain.c").write_text((folder / "plain.c").read_text() + "\n")
    assert library_name(folder) != first
    assert build(folder) == ""
    assert [path.name for path in folder.glob("kernels_*")] == [library_name(folder)]


def _row(*numbers: int) -> Picks:
    return np.array(numbers, np.int32)


@pytest.mark.parametrize(
    ("codes", "owners", "starts"),
    [
        (_row(1), _row(0), [0]),
        (_row(-1), _row(0), [0]),
        (_row(0), _row(3), [0]),
        (_row(0), _row(-1), [0]),
        (_row(0), _row(0), [4]),
        (_row(0), _row(0), [-1]),
    ],
)
def test_rows_beside_their_table_are_written_nowhere(codes: Picks, owners: Picks, starts: list[int]) -> None:
    """A table of six places for three owners: behind a start there must be room for three."""
    require_library()
    table = np.full(6, -1, np.int32)
    with pytest.raises(IndexError):
        place_rows(codes, owners, np.array(starts, np.int64), 3, table)
    assert (table == -1).all()


def test_columns_of_different_lengths_are_no_rows() -> None:
    require_library()
    with pytest.raises(ValueError, match="different lengths"):
        place_rows(_row(0), _row(0, 1), np.zeros(1, np.int64), 3, np.full(3, -1, np.int32))


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(5_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
def test_no_mutant_makes_it_read_or_write_beside_its_bytes(tmp_path: Path, count: int) -> None:
    """All loops, under sanitizers, each mutant in memory of its very size."""
    command = compiler()
    if command is None:
        pytest.skip("there is no C compiler")
    fuzz, corpus = tmp_path / "fuzz", tmp_path / "corpus"
    source = Path(__file__).with_name("fuzz_library.c")
    made = subprocess.run(
        [*command, "-std=c11", "-g", "-O1", *SANITIZERS, f"-I{SOURCES}", "-o", str(fuzz), str(source)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the C compiler has no sanitizers: {made.stderr.decode()[-200:]}")
    rng = random.Random(1)
    bodies = [usual(random_request(rng), rng).SerializeToString() for _ in range(200)]
    bodies += [plain_calls(number)[0].SerializeToString() for number in range(1, 20)]
    corpus.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bodies))
    ran = subprocess.run([str(fuzz), str(corpus), str(count), "1"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    plain, read = (int(word) for word in ran.stdout.split() if word.isdigit())
    assert plain > count // 500
    assert read > count // 50
